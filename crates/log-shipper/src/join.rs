//! Lines become records: the pieces of a container runtime are put together, then the lines that belong together.

use std::{
    borrow::Cow,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    parse::{
        container::{self, Stream},
        multiline::{Grouper, Grouping, Step},
        pieces::{Pieces, Whole},
    },
    record::Time,
};

/// What is put together, as configured.
#[derive(Clone, Debug)]
pub struct Join {
    /// Lines are what a container runtime writes: CRI or Docker's json-file.
    pub container: bool,
    pub lines: Option<Arc<Grouping>>,
    /// How long to wait for the next line of a record.
    pub wait: Duration,
}

impl Default for Join {
    fn default() -> Self {
        Self { container: false, lines: None, wait: Duration::from_secs(2) }
    }
}

impl Join {
    pub fn is_needed(&self) -> bool {
        self.container || self.lines.is_some()
    }
}

/// A record's text, whole.
#[derive(Debug)]
pub struct Joined<'a> {
    pub text: &'a [u8],
    /// Where its first byte is in the file.
    pub offset: u64,
    pub time: Option<Time>,
    pub stream: Option<Stream>,
}

/// What a file has that is not whole yet.
#[derive(Debug)]
pub struct Joiner {
    pieces: Option<Pieces>,
    /// One for each stream of a container, the first also for lines of none.
    groups: Vec<Group>,
    wait: Duration,
    most: usize,
}

#[derive(Debug)]
struct Group {
    stream: Option<Stream>,
    grouper: Grouper,
    held: Vec<u8>,
    /// Where what is held begins, its time, and when its last line came.
    first: Option<(u64, Option<Time>, Instant)>,
}

impl Joiner {
    pub fn new(join: &Join, most: usize) -> Self {
        let group = |stream| {
            let grouping = join.lines.as_ref()?;
            Some(Group { stream, grouper: Grouper::new(Arc::clone(grouping)), held: Vec::new(), first: None })
        };
        let streams = [None, Some(Stream::Stdout), Some(Stream::Stderr)];
        Self {
            pieces: join.container.then(|| Pieces::new(most)),
            groups: streams.into_iter().filter_map(group).collect(),
            wait: join.wait,
            most,
        }
    }

    /// Takes a line, and gives what is whole with it.
    pub fn take(
        &mut self,
        line: &[u8],
        offset: u64,
        give: &mut dyn FnMut(Joined<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Self { pieces, groups, most, .. } = self;
        let text = String::from_utf8_lossy(line);
        let piece = pieces.as_mut().zip(container::split(&text));
        let Some((pieces, piece)) = piece else {
            return group(groups, Joined { text: line, offset, time: None, stream: None }, *most, give);
        };
        match pieces.take(piece, offset) {
            Some(Whole { stream, time, text, offset, .. }) => {
                let text: &[u8] = match &text {
                    Cow::Borrowed(text) => text.as_bytes(),
                    Cow::Owned(text) => text.as_bytes(),
                };
                group(groups, Joined { text, offset, time, stream: Some(stream) }, *most, give)
            }
            None => Ok(()),
        }
    }

    /// Where the file has to be read from again to have all that is held.
    pub fn oldest(&self) -> Option<u64> {
        let held = self.groups.iter().filter_map(|group| group.first.map(|(offset, ..)| offset));
        held.chain(self.pieces.as_ref().and_then(Pieces::oldest)).min()
    }

    /// When what is held is a record, although no line has ended it.
    pub fn due(&self) -> Option<Instant> {
        self.groups.iter().filter_map(|group| group.first.map(|(.., since)| since + self.wait)).min()
    }

    /// Gives what nobody waits for any more; all of it when nothing more will come.
    pub fn give_up(&mut self, all: bool, give: &mut dyn FnMut(Joined<'_>) -> io::Result<()>) -> io::Result<()> {
        let Self { pieces, groups, wait, most } = self;
        if let Some(pieces) = pieces.as_mut().filter(|_| all) {
            for stream in [Stream::Stdout, Stream::Stderr] {
                if let Some(Whole { time, text, offset, .. }) = pieces.give_up(stream) {
                    group(groups, Joined { text: text.as_bytes(), offset, time, stream: Some(stream) }, *most, give)?;
                }
            }
        }
        let is_due = |group: &&mut Group| all || group.first.is_some_and(|(.., since)| since.elapsed() >= *wait);
        groups.iter_mut().filter(is_due).try_for_each(|group| group.give(give))
    }
}

fn group(
    groups: &mut [Group],
    line: Joined<'_>,
    most: usize,
    give: &mut dyn FnMut(Joined<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let Some(group) = groups.iter_mut().find(|group| group.stream == line.stream) else { return give(line) };
    match group.grouper.step(line.text) {
        Step::Start => {
            group.give(give)?;
            group.hold(&line);
            Ok(())
        }
        Step::Continue => {
            group.hold(&line);
            if group.held.len() >= most { group.give(give) } else { Ok(()) }
        }
        Step::End => {
            group.hold(&line);
            group.give(give)
        }
        Step::Alone => {
            group.give(give)?;
            give(line)
        }
    }
}

impl Group {
    fn hold(&mut self, line: &Joined<'_>) {
        let (offset, time) = match self.first {
            Some((offset, time, _)) => {
                self.held.push(b'\n');
                (offset, time)
            }
            None => (line.offset, line.time),
        };
        self.held.extend_from_slice(line.text);
        self.first = Some((offset, time, Instant::now()));
    }

    fn give(&mut self, give: &mut dyn FnMut(Joined<'_>) -> io::Result<()>) -> io::Result<()> {
        let Some((offset, time, _)) = self.first.take() else { return Ok(()) };
        let held = std::mem::take(&mut self.held);
        give(Joined { text: &held, offset, time, stream: self.stream })
    }
}
