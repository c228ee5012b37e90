//! Long lines of containers, put together again from the pieces that the runtime made of them.

use std::borrow::Cow;

use super::container::{Piece, Stream};
use crate::record::Time;

/// What is kept for the next long line.
const KEPT: usize = 64 << 10;

/// A line as the container wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole<'a> {
    pub stream: Stream,
    /// Of its first piece.
    pub time: Option<Time>,
    pub text: Cow<'a, str>,
    /// Where its first piece is in the file.
    pub offset: u64,
    /// It goes on, in a text of its own: it was too long, or nobody waited for the rest.
    pub unfinished: bool,
}

/// The beginnings of lines, of each stream by itself. They never mix, however the pieces come.
#[derive(Debug)]
pub struct Pieces {
    most: usize,
    stdout: Beginning,
    stderr: Beginning,
}

#[derive(Debug, Default)]
struct Beginning {
    text: String,
    /// Offset and time of the first piece. `None`: there is no beginning, and what `text` has was given away.
    first: Option<(u64, Option<Time>)>,
}

impl Pieces {
    /// A line that has grown to `most` bytes is given as it is, and what follows is a line of its own: nothing is
    /// lost, and no more than this and one piece is held for each stream.
    pub fn new(most: usize) -> Self {
        Self { most, stdout: Beginning::default(), stderr: Beginning::default() }
    }

    /// Takes a piece, which is at `offset`, and gives the line if it ends with it.
    pub fn take<'a>(&'a mut self, piece: Piece<'a>, offset: u64) -> Option<Whole<'a>> {
        let most = self.most;
        let Piece { stream, partial, time, text, .. } = piece;
        let beginning = self.of(stream);
        if beginning.first.is_none() {
            if !partial {
                return Some(Whole { stream, time, text, offset, unfinished: false });
            }
            beginning.start(offset, time);
        }
        beginning.text.push_str(&text);
        if partial && beginning.text.len() < most {
            return None;
        }
        self.give(stream, partial)
    }

    /// Gives what there is of a line, whose rest nobody waits for any more.
    pub fn give_up(&mut self, stream: Stream) -> Option<Whole<'_>> {
        self.give(stream, true)
    }

    /// Where the file has to be read from again to have all beginnings: nothing from there on is done with.
    pub fn oldest(&self) -> Option<u64> {
        let firsts = [&self.stdout, &self.stderr].into_iter().filter_map(|beginning| beginning.first);
        firsts.map(|(offset, _)| offset).min()
    }

    fn of(&mut self, stream: Stream) -> &mut Beginning {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn give(&mut self, stream: Stream, unfinished: bool) -> Option<Whole<'_>> {
        let beginning = self.of(stream);
        let (offset, time) = beginning.first.take()?;
        Some(Whole { stream, time, text: Cow::Borrowed(&beginning.text), offset, unfinished })
    }
}

impl Beginning {
    fn start(&mut self, offset: u64, time: Option<Time>) {
        if self.text.capacity() > KEPT {
            self.text = String::new();
        }
        self.text.clear();
        self.first = Some((offset, time));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(stream: Stream, partial: bool, text: &str) -> Piece<'_> {
        Piece { stream, partial, time: Some(Time(7)), text: text.into(), attrs: None }
    }

    use Stream::{Stderr, Stdout};

    #[test]
    fn streams_never_mix() {
        let mut pieces = Pieces::new(1000);
        assert_eq!(pieces.take(piece(Stdout, true, "one "), 0), None);
        assert_eq!(pieces.take(piece(Stderr, true, "eins "), 10), None);
        assert_eq!(pieces.oldest(), Some(0));
        let done = |stream, text, offset| {
            Some(Whole { stream, time: Some(Time(7)), text: Cow::Borrowed(text), offset, unfinished: false })
        };
        assert_eq!(pieces.take(piece(Stdout, true, "two "), 20), None);
        assert_eq!(pieces.take(piece(Stdout, false, "three"), 30), done(Stdout, "one two three", 0));
        assert_eq!(pieces.oldest(), Some(10));
        assert_eq!(pieces.take(piece(Stdout, false, "four"), 40), done(Stdout, "four", 40));
        assert_eq!(pieces.take(piece(Stderr, false, "zwei"), 50), done(Stderr, "eins zwei", 10));
        assert_eq!(pieces.oldest(), None);
        assert_eq!(pieces.give_up(Stdout), None);
    }

    #[test]
    fn the_time_is_that_of_the_first_piece() {
        let mut pieces = Pieces::new(1000);
        assert_eq!(pieces.take(Piece { time: Some(Time(1)), ..piece(Stdout, true, "a") }, 0), None);
        let whole = pieces.take(Piece { time: Some(Time(2)), ..piece(Stdout, false, "b") }, 5).unwrap();
        assert_eq!((whole.time, whole.offset), (Some(Time(1)), 0));
    }

    #[test]
    fn a_line_without_end_is_given_in_parts() {
        let mut pieces = Pieces::new(10);
        assert_eq!(pieces.take(piece(Stdout, true, "123456"), 0), None);
        let whole = pieces.take(piece(Stdout, true, "789012"), 1).unwrap();
        assert_eq!((&*whole.text, whole.unfinished, whole.offset), ("123456789012", true, 0));
        assert_eq!(pieces.oldest(), None);
        assert_eq!(pieces.take(piece(Stdout, true, "345"), 2), None);
        let whole = pieces.give_up(Stdout).unwrap();
        assert_eq!((&*whole.text, whole.unfinished, whole.offset), ("345", true, 2));
        assert_eq!(pieces.take(piece(Stdout, false, "6"), 3).unwrap().text, "6");
    }

    #[test]
    fn a_huge_line_does_not_keep_its_memory() {
        let mut pieces = Pieces::new(1 << 20);
        let huge = "x".repeat(1 << 20);
        assert_eq!(pieces.take(piece(Stdout, true, &huge), 0).unwrap().text.len(), 1 << 20);
        assert_eq!(pieces.take(piece(Stdout, true, "x"), 1), None);
        assert!(pieces.stdout.text.capacity() < KEPT);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_lost(parts in prop::collection::vec((any::<bool>(), any::<bool>(), ".{0,9}"), 0..40), most in 1usize..40) {
            let mut pieces = Pieces::new(most);
            let (mut given, mut expected) = ([String::new(), String::new()], [String::new(), String::new()]);
            for (offset, (is_stdout, partial, text)) in parts.iter().enumerate() {
                let stream = if *is_stdout { Stdout } else { Stderr };
                expected[usize::from(*is_stdout)].push_str(text);
                if let Some(whole) = pieces.take(piece(stream, *partial, text), offset as u64) {
                    prop_assert_eq!(whole.stream, stream);
                    prop_assert_eq!(whole.unfinished, *partial);
                    given[usize::from(*is_stdout)].push_str(&whole.text);
                }
                prop_assert!(pieces.stdout.text.len() < most + 40 && pieces.oldest() <= Some(offset as u64));
            }
            for stream in [Stdout, Stderr] {
                let rest = pieces.give_up(stream).map(|whole| whole.text.into_owned()).unwrap_or_default();
                given[usize::from(stream == Stdout)].push_str(&rest);
            }
            prop_assert_eq!(given, expected);
        }
    }
}
