//! Lines that were seen before: their name and rest, as bytes, and what they mean.
//!
//! A known line costs one hash, one comparison and one addition. Cleaning, mapping, sorting and checking are done when a
//! name and rest are seen for the first time, and all of it is forgotten when the mapping changes.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Group;
use crate::line::{Kind, parse::Rule, shape::Shape};

/// What lines with one key mean.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// Where the value goes; nothing where a rule drops it.
    pub series: Option<u32>,
    pub kind: Kind,
    pub rule: Rule,
    pub scale: f64,
    pub mapped: bool,
    pub tagged: bool,
    pub wrong_rates: u8,
    pub tag_errors: u16,
}

#[derive(Debug)]
struct Entry {
    key: Box<[u8]>,
    /// Where the name ends and the rest begins.
    name: u32,
    group: Group,
    meaning: Meaning,
}

#[derive(Debug, Default)]
pub struct Keys {
    /// Places in `entries`.
    table: HashTable<u32>,
    entries: Vec<Entry>,
    hasher: DefaultHashBuilder,
    bytes: usize,
}

/// What a key takes beside its bytes, in the list, the table, and the allocator's head.
const OVERHEAD: usize = size_of::<Entry>() + 24;

impl Entry {
    fn is(&self, group: Group, name: &[u8], rest: &[u8]) -> bool {
        self.group == group
            && self.name as usize == name.len()
            && self.key.len() == name.len() + rest.len()
            && self.key.starts_with(name)
            && self.key.ends_with(rest)
    }

    fn hash(&self, hasher: &DefaultHashBuilder) -> u64 {
        let (name, rest) = self.key.split_at(self.name as usize);
        hash(hasher, self.group, name, rest)
    }
}

fn hash(hasher: &DefaultHashBuilder, group: Group, name: &[u8], rest: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    state.write_u16(group);
    state.write(name);
    state.write(rest);
    state.finish()
}

impl Keys {
    pub fn find(&self, group: Group, name: &[u8], rest: &[u8]) -> Option<Meaning> {
        let hash = hash(&self.hasher, group, name, rest);
        let at = self.table.find(hash, |&at| self.entries[at as usize].is(group, name, rest))?;
        Some(self.entries[*at as usize].meaning)
    }

    pub fn remember(&mut self, group: Group, shape: &Shape<'_>, rest: &[u8], meaning: Meaning) {
        let (Ok(at), Ok(name)) = (u32::try_from(self.entries.len()), u32::try_from(shape.name.len())) else { return };
        let key: Box<[u8]> = [shape.name, rest].concat().into();
        self.bytes += key.len() + OVERHEAD;
        self.entries.push(Entry { key, name, group, meaning });
        let Self { table, entries, hasher, .. } = self;
        table.insert_unique(hash(hasher, group, shape.name, rest), at, |&at| entries[at as usize].hash(hasher));
    }

    /// Forgets the keys of series that are gone.
    pub fn retain(&mut self, mut lives: impl FnMut(u32) -> bool) {
        self.entries.retain(|entry| entry.meaning.series.is_none_or(&mut lives));
        self.entries.shrink_to(2 * self.entries.len());
        self.bytes = self.entries.iter().map(|entry| entry.key.len() + OVERHEAD).sum();
        let Self { table, entries, hasher, .. } = self;
        let place = |at: &u32| entries[*at as usize].hash(hasher);
        let mut fresh = HashTable::with_capacity(entries.len());
        for at in 0..entries.len() as u32 {
            fresh.insert_unique(place(&at), at, place);
        }
        *table = fresh;
    }

    pub fn clear(&mut self) {
        *self = Self { hasher: self.hasher.clone(), ..Self::default() };
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn footprint(&self) -> usize {
        self.bytes
    }
}
