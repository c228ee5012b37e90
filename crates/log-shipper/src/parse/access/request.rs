//! The request between its quotes: `GET /path HTTP/1.1`, or whatever a stranger sent.
//!
//! A quote does not end it for certain: the expressions take the first reading that makes sense of the whole line, and
//! so does this. Requests that are what they should be are read at the first attempt.

use crate::parse::scan;

pub(super) struct Request<'a> {
    pub(super) line: &'a str,
    pub(super) bytes: &'a [u8],
    /// After the opening quote.
    pub(super) from: usize,
    /// Whether the path has no spaces, and the protocol has to be there.
    pub(super) words: bool,
}

impl<'a> Request<'a> {
    /// The method and the path, and what `tail` makes of what is after `" `. The path is empty where there is none.
    pub(super) fn split<T>(&self, tail: impl Fn(usize) -> Option<T>) -> Option<((&'a str, &'a str), T)> {
        let end = self.word_end(self.from);
        if end == self.from {
            return None;
        }
        let path_from = end + self.spaces(end);
        if path_from > end {
            let method = self.line.get(self.from..end)?;
            let found = if self.words { self.words(path_from, &tail) } else { self.path(path_from, &tail) };
            // With spaces to spare, the path can be the nothing between two of them.
            let spare = || (path_from > end + 1).then(|| self.closed_word(path_from, &tail)).flatten();
            if let Some((path, tail)) = found.or_else(|| spare().map(|tail| ("", tail))) {
                return Some(((method, path), tail));
            }
        }
        // The method is all there is. Its word has the closing quote then.
        let tail = self.closed_word(self.from + 1, &tail)?;
        Some(((self.line.get(self.from..end - 1)?, ""), tail))
    }

    /// A path up to a quote, with or without a protocol after it.
    fn path<T>(&self, from: usize, tail: &impl Fn(usize) -> Option<T>) -> Option<(&'a str, T)> {
        let quote = scan::find(self.bytes, from, b'"')?;
        let inside = &self.bytes[from..quote];
        if let Some(last) = inside.iter().rposition(|byte| *byte == b' ') {
            let spaces = inside[..=last].iter().rev().take_while(|byte| **byte == b' ').count();
            // Only the last word can have the quote in it.
            let word = from + last + 1;
            if let Some(tail) = self.closed_word(word, tail) {
                return Some((self.line.get(from..word - spaces)?, tail));
            }
        }
        let tail = self.after_quote(quote, tail)?;
        Some((self.line.get(from..quote)?, tail))
    }

    /// A path that is one word, and a protocol.
    fn words<T>(&self, from: usize, tail: &impl Fn(usize) -> Option<T>) -> Option<(&'a str, T)> {
        let end = scan::find(self.bytes, from, b' ')?;
        let tail = self.closed_word(end + self.spaces(end), tail)?;
        Some((self.line.get(from..end)?, tail))
    }

    /// A word that ends with the closing quote.
    fn closed_word<T>(&self, from: usize, tail: &impl Fn(usize) -> Option<T>) -> Option<T> {
        let end = self.word_end(from);
        if end <= from {
            return None;
        }
        self.after_quote(end - 1, tail)
    }

    fn after_quote<T>(&self, quote: usize, tail: &impl Fn(usize) -> Option<T>) -> Option<T> {
        if !self.bytes[quote..].starts_with(b"\" ") {
            return None;
        }
        tail(quote + 2)
    }

    fn spaces(&self, from: usize) -> usize {
        self.bytes[from..].iter().take_while(|byte| **byte == b' ').count()
    }

    fn word_end(&self, from: usize) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        rest.iter().position(|byte| is_space(*byte)).map_or(self.bytes.len(), |length| from + length)
    }
}

/// What `\s` means to the expressions.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}
