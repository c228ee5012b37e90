//! The entries of one stream while they wait to be sent: a time, a line, and what goes beside it.
//!
//! ```text
//! time i64 | length of the line u32 | length of the rest u32 | line | for each beside it: name 0 value 0
//! ```

use std::ops::Range;

const HEAD: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) time: i64,
    /// UTF-8, as is all that is beside it.
    pub(super) line: &'a [u8],
    pairs: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Names and values.
    pub(super) fn metadata(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
        // After the last separator there is nothing, which is no name.
        let mut texts = self.pairs.split(|byte| *byte == 0);
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }
}

/// Adds one. `line` and `beside` write what they are to add; the latter calls for each name and value.
pub(super) fn add(
    time: i64,
    line: impl FnOnce(&mut Vec<u8>),
    beside: impl FnOnce(&mut dyn FnMut(&str, &str)),
    body: &mut Vec<u8>,
) {
    let from = body.len();
    body.extend_from_slice(&time.to_le_bytes());
    body.extend_from_slice(&[0; HEAD - 8]);
    line(body);
    let middle = body.len();
    beside(&mut |name, value| {
        for text in [name, value] {
            // What separates them is in neither.
            body.extend(text.bytes().filter(|byte| *byte != 0));
            body.push(0);
        }
    });
    let lengths = [middle - from - HEAD, body.len() - middle];
    for (at, length) in lengths.into_iter().enumerate() {
        let place = from + 8 + 4 * at;
        body[place..place + 4].copy_from_slice(&(length as u32).to_le_bytes());
    }
}

/// All of them, in their order.
pub(super) fn iter(body: &[u8]) -> impl Iterator<Item = Entry<'_>> + Clone {
    ranges(body).filter_map(|range| {
        let (head, rest) = body[range].split_at_checked(HEAD)?;
        let length = u32::from_le_bytes(head[8..12].try_into().ok()?) as usize;
        let (line, pairs) = rest.split_at_checked(length)?;
        Some(Entry { time: time(head), line, pairs })
    })
}

fn ranges(body: &[u8]) -> impl Iterator<Item = Range<usize>> + Clone {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = body.get(at..at + HEAD)?;
        let length = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let from = at;
        at = at.checked_add(HEAD + length(8) + length(12)).filter(|end| *end <= body.len())?;
        Some(from..at)
    })
}

fn time(head: &[u8]) -> i64 {
    head.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

/// The last time that was given out in a stream: what it was, and what it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    said: i64,
    given: i64,
}

/// Puts the entries in the order of their times, and gives those of one moment times of their own, a nanosecond apart:
/// Loki takes a line for a duplicate that is the same at the same time, and drops it.
pub(super) fn order(body: &mut Vec<u8>, last: &mut Option<Last>) {
    let times = |body: &[u8]| ranges(body).map(|range| time(&body[range])).collect::<Vec<_>>();
    if !times(body).is_sorted() {
        let mut ranges: Vec<_> = ranges(body).collect();
        ranges.sort_by_key(|range| time(&body[range.clone()]));
        *body = ranges.into_iter().flat_map(|range| &body[range]).copied().collect();
    }
    let starts: Vec<usize> = ranges(body).map(|range| range.start).collect();
    // What is older than what has been sent keeps its time, among others of its kind.
    let mut late = None;
    for start in starts {
        let said = time(&body[start..]);
        let before = if last.is_some_and(|last| said < last.said) { &mut late } else { &mut *last };
        let given = match before {
            Some(before) if said <= before.given => before.given + 1,
            _ => said,
        };
        *before = Some(Last { said, given });
        body[start..start + 8].copy_from_slice(&given.to_le_bytes());
    }
}

/// Where the second half begins, and how many entries are before and after that. None where there is but one.
pub(super) fn middle(body: &[u8]) -> Option<(usize, [usize; 2])> {
    let count = ranges(body).count();
    let middle = ranges(body).nth(count / 2).filter(|_| count > 1)?.start;
    Some((middle, [count / 2, count - count / 2]))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn body(entries: &[(i64, &str)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (time, line) in entries {
            add(*time, |out| out.extend_from_slice(line.as_bytes()), |_| {}, &mut body);
        }
        body
    }

    fn read(body: &[u8]) -> Vec<(i64, &str)> {
        iter(body).map(|entry| (entry.time, std::str::from_utf8(entry.line).unwrap())).collect()
    }

    #[test]
    fn entries_read_back() {
        let mut out = body(&[(1, "one")]);
        let beside = |put: &mut dyn FnMut(&str, &str)| {
            put("a", "x\0y");
            put("b", "");
        };
        add(-2, |out| out.extend_from_slice(b"two\n"), beside, &mut out);
        let entries: Vec<_> = iter(&out).collect();
        assert_eq!((entries[0].time, entries[0].line, entries[0].metadata().count()), (1, b"one".as_slice(), 0));
        assert_eq!((entries[1].time, entries[1].line), (-2, b"two\n".as_slice()));
        assert_eq!(entries[1].metadata().collect::<Vec<_>>(), [(b"a".as_slice(), b"xy".as_slice()), (b"b", b"")]);
        let (middle, counts) = super::middle(&out).unwrap();
        assert_eq!((iter(&out[..middle]).count(), iter(&out[middle..]).count(), counts), (1, 1, [1, 1]));
        assert!(super::middle(&out[..middle]).is_none() && super::middle(b"").is_none());
    }

    #[test]
    fn order_is_that_of_the_times_and_no_two_are_the_same() {
        let mut last = None;
        let mut out = body(&[(5, "a"), (3, "b"), (5, "a"), (5, "c"), (6, "d"), (9, "e")]);
        order(&mut out, &mut last);
        assert_eq!(read(&out), [(3, "b"), (5, "a"), (6, "a"), (7, "c"), (8, "d"), (9, "e")]);
        // The next batch goes on where this one ended, and what is late keeps its time.
        let mut out = body(&[(9, "e"), (4, "late"), (9, "f"), (4, "late")]);
        order(&mut out, &mut last);
        assert_eq!(read(&out), [(4, "late"), (5, "late"), (10, "e"), (11, "f")]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_by_ordering(entries in vec((0..20_i64, "[a-c]{0,2}"), 0..30)) {
            let entries: Vec<_> = entries.iter().map(|(time, line)| (*time, line.as_str())).collect();
            let mut out = body(&entries);
            order(&mut out, &mut None);
            let ordered = read(&out);
            prop_assert!(ordered.is_sorted_by(|one, next| one.0 < next.0));
            let sorted = |entries: &[(i64, &str)]| {
                let mut lines: Vec<_> = entries.iter().map(|(_, line)| (*line).to_owned()).collect();
                lines.sort();
                lines
            };
            prop_assert_eq!(sorted(&ordered), sorted(&entries));
        }

        #[test]
        fn anything_is_read_without_harm(bytes in vec(any::<u8>(), 0..80)) {
            iter(&bytes).count();
            middle(&bytes);
            order(&mut bytes.clone(), &mut None);
        }
    }
}
