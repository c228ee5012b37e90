//! What was written and what has arrived, line by line.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard},
};

/// One writer's lines.
#[derive(Debug, Default)]
struct Lines {
    written: u64,
    /// How often each has arrived.
    arrived: Vec<u8>,
    /// All before this one have.
    complete: u64,
    latest: u64,
}

#[derive(Debug, Default)]
struct Books {
    writers: Vec<Lines>,
    /// As an index would count them.
    ids: HashSet<u64>,
    count: Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) written: u64,
    pub(crate) lost: u64,
    /// Arrived again, with whatever id.
    pub(crate) again: u64,
    /// Arrived again with another id: they are twice in the index.
    pub(crate) twice: u64,
    /// Came after a later one of the same writer, the first time.
    pub(crate) reordered: u64,
    pub(crate) torn: u64,
    /// The most lines of one request.
    pub(crate) largest: u64,
}

#[derive(Debug)]
pub(crate) struct Ledger(Mutex<Books>);

impl Ledger {
    pub(crate) fn new(writers: usize) -> Self {
        let writers = (0..writers).map(|_| Lines::default()).collect();
        Self(Mutex::new(Books { writers, ..Books::default() }))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    /// The next number of a writer, which is going to write it.
    pub(crate) fn write(&self, writer: usize) -> u64 {
        let mut books = self.books();
        let lines = &mut books.writers[writer];
        lines.arrived.push(0);
        lines.written += 1;
        lines.written - 1
    }

    /// All lines of a writer before this one have arrived.
    pub(crate) fn complete(&self, writer: usize) -> u64 {
        self.books().writers[writer].complete
    }

    /// A document has arrived. Its id is a hash, so that hours of them have room.
    pub(crate) fn arrive(&self, id: u64, line: Option<(usize, u64)>) {
        let mut books = self.books();
        let Books { writers, ids, count } = &mut *books;
        let known = line.and_then(|(writer, number)| Some((writers.get_mut(writer)?, number)));
        let Some((lines, number)) = known.filter(|(lines, number)| *number < lines.written) else {
            count.torn += 1;
            return;
        };
        let is_new_document = ids.insert(id);
        let arrived = &mut lines.arrived[usize::try_from(number).unwrap()];
        *arrived = arrived.saturating_add(1);
        if *arrived > 1 {
            count.again += 1;
            count.twice += u64::from(is_new_document);
            return;
        }
        count.reordered += u64::from(number < lines.latest);
        lines.latest = lines.latest.max(number);
        while lines.arrived.get(usize::try_from(lines.complete).unwrap()).is_some_and(|arrived| *arrived > 0) {
            lines.complete += 1;
        }
    }

    pub(crate) fn request(&self, lines: u64) {
        let mut books = self.books();
        books.count.largest = books.count.largest.max(lines);
    }

    pub(crate) fn count(&self) -> Count {
        let books = self.books();
        let written = books.writers.iter().map(|lines| lines.written).sum();
        let arrived = |lines: &Lines| lines.arrived.iter().filter(|arrived| **arrived > 0).count() as u64;
        let lost = written - books.writers.iter().map(arrived).sum::<u64>();
        Count { written, lost, ..books.count }
    }

    /// The first of each writer that is missing, for the failure's text.
    pub(crate) fn missing(&self) -> Vec<(usize, u64, u64)> {
        let books = self.books();
        let gaps = books.writers.iter().enumerate().filter(|(_, lines)| lines.complete < lines.written);
        gaps.map(|(writer, lines)| (writer, lines.complete, lines.written)).collect()
    }
}
