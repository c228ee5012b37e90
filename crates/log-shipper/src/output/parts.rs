//! A body of several parts, each for a place of its own: a file, a tag, a stream.
//!
//! ```text
//! part | part | ... | for each: name, its length, number of records, length of the part | number of parts
//! ```
//!
//! The index is at the end, so that a body of one part, which most are, is never moved.

use std::{collections::HashMap, ops::Range};

/// What goes to one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) records: usize,
}

/// Parts being filled, in the order in which they were begun.
#[derive(Default)]
pub(super) struct Parts {
    parts: Vec<Part>,
    found: HashMap<String, usize>,
    /// The one that was used last: most often it is the next as well.
    last: usize,
    size: usize,
}

impl Parts {
    /// Adds a record to the part of this name; `begin` is for what stands before everything in a new one.
    pub(super) fn add(&mut self, name: &str, begin: impl FnOnce(&mut Vec<u8>), write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.at(name, begin);
        let part = &mut self.parts[at];
        let before = part.bytes.len();
        write(&mut part.bytes);
        part.records += 1;
        self.size += part.bytes.len().saturating_sub(before);
    }

    /// Adds a record as a part of its own, under a name that no other has.
    pub(super) fn add_alone(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let mut part = Part { name: name.to_owned(), records: 1, ..Part::default() };
        write(&mut part.bytes);
        self.size += part.bytes.len();
        self.parts.push(part);
    }

    fn at(&mut self, name: &str, begin: impl FnOnce(&mut Vec<u8>)) -> usize {
        if self.parts.get(self.last).is_none_or(|part| part.name != name) {
            self.last = self.found.get(name).copied().unwrap_or_else(|| {
                let mut part = Part { name: name.to_owned(), ..Part::default() };
                begin(&mut part.bytes);
                self.size += part.bytes.len();
                self.found.insert(name.to_owned(), self.parts.len());
                self.parts.push(part);
                self.parts.len() - 1
            });
        }
        self.last
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// All of them; the next record begins anew.
    pub(super) fn take(&mut self) -> Vec<Part> {
        std::mem::take(self).parts
    }
}

/// One body of many parts.
pub(super) fn join(parts: Vec<Part>) -> Vec<u8> {
    let mut index = Vec::new();
    let count = parts.len() as u64;
    for Part { name, bytes, records } in &parts {
        index.extend_from_slice(name.as_bytes());
        for number in [name.len(), *records, bytes.len()] {
            index.extend_from_slice(&(number as u64).to_le_bytes());
        }
    }
    let mut parts = parts.into_iter().map(|part| part.bytes);
    let mut body = parts.next().unwrap_or_default();
    let rest: Vec<_> = parts.collect();
    body.reserve_exact(rest.iter().map(Vec::len).sum::<usize>() + index.len() + 8);
    rest.iter().for_each(|part| body.extend_from_slice(part));
    body.extend_from_slice(&index);
    body.extend_from_slice(&count.to_le_bytes());
    body
}

/// A part, and where in the body it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) range: Range<usize>,
    pub(super) records: usize,
}

/// The parts of a body. None where it was not made by [`join`].
pub(super) fn split(body: &[u8]) -> Vec<Place<'_>> {
    read(body).unwrap_or_default()
}

fn read(body: &[u8]) -> Option<Vec<Place<'_>>> {
    let (mut rest, count) = number(body)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let (length, records, name);
        (rest, length) = number(rest)?;
        (rest, records) = number(rest)?;
        (rest, name) = number(rest)?;
        let from = rest.len().checked_sub(name)?;
        // Where it is will be known when the whole index is read.
        found.push(Place { name: std::str::from_utf8(&rest[from..]).ok()?, range: 0..length, records });
        rest = &rest[..from];
    }
    let mut end = rest.len();
    for place in &mut found {
        let from = end.checked_sub(place.range.end)?;
        place.range = from..std::mem::replace(&mut end, from);
    }
    found.reverse();
    (end == 0).then_some(found)
}

/// A body of only some of the parts of another.
pub(super) fn keep(body: &[u8], places: &[Place<'_>], is_kept: impl Fn(usize) -> bool) -> Vec<u8> {
    let kept = places.iter().enumerate().filter(|(at, _)| is_kept(*at));
    let part = |(_, Place { name, range, records }): (usize, &Place<'_>)| Part {
        name: (*name).to_owned(),
        bytes: body[range.clone()].to_vec(),
        records: *records,
    };
    join(kept.map(part).collect())
}

/// The number at the end, and what is before it.
fn number(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (rest, number) = bytes.split_last_chunk()?;
    Some((rest, usize::try_from(u64::from_le_bytes(*number)).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn parts_are_filled_in_turn_and_keep_their_order() {
        let mut parts = Parts::default();
        for (name, text) in [("b", "1"), ("a", "2"), ("b", "3"), ("b", "4"), ("a", "5")] {
            parts.add(name, |part| part.push(b'^'), |part| part.extend_from_slice(text.as_bytes()));
        }
        assert_eq!(parts.size(), 7);
        let body = join(parts.take());
        let places = split(&body);
        let own: Vec<_> = places.iter().map(|place| (place.name, &body[place.range.clone()], place.records)).collect();
        assert_eq!(own, [("b", b"^134".as_slice(), 3), ("a", b"^25".as_slice(), 2)]);
        let second = keep(&body, &places, |at| at == 1);
        let left = split(&second);
        assert_eq!((left.len(), left[0].name, &second[left[0].range.clone()]), (1, "a", b"^25".as_slice()));
        assert_eq!((parts.size(), parts.take().len()), (0, 0));
    }

    proptest! {
        #[test]
        fn what_is_joined_is_split(parts in vec((".{0,9}", vec(any::<u8>(), 0..40)), 0..6)) {
            let part = |(name, bytes): &(String, Vec<u8>)| Part { name: name.clone(), bytes: bytes.clone(), records: 1 };
            let body = join(parts.iter().map(part).collect());
            let own = |place: Place<'_>| (place.name.to_owned(), body[place.range].to_vec());
            let back: Vec<_> = split(&body).into_iter().map(own).collect();
            prop_assert_eq!(back, parts);
        }

        #[test]
        fn anything_else_is_nothing(bytes in vec(any::<u8>(), 0..60)) {
            split(&bytes);
        }
    }
}
