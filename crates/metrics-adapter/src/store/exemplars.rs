//! Exemplars: one of those that were counted, by which the others are understood. Tags such as a trace's id are no labels,
//! because each would make a series of its own; the last one that was seen stands beside the number instead.

use exposition::{Exemplar, Labels};
use hashbrown::HashMap;

use crate::line::tags;

/// For each series that has some: the place of a bucket (0 where there are none), and its exemplar.
#[derive(Debug, Default)]
pub struct Exemplars(HashMap<u32, Vec<(usize, Exemplar)>>);

impl Exemplars {
    /// How much more memory that takes, in bytes.
    pub fn note(&mut self, series: u32, bucket: usize, labels: Labels, value: f64) -> usize {
        let known = self.0.entry(series).or_default();
        let exemplar = Exemplar { labels, value, timestamp: None };
        match known.binary_search_by_key(&bucket, |(at, _)| *at) {
            Ok(at) => {
                known[at].1 = exemplar;
                0
            }
            Err(at) => {
                known.insert(at, (bucket, exemplar));
                EACH
            }
        }
    }

    pub fn of(&self, series: u32) -> &[(usize, Exemplar)] {
        if self.0.is_empty() {
            return &[];
        }
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }

    /// How much less memory that takes, in bytes.
    pub fn forget(&mut self, series: u32) -> usize {
        self.0.remove(&series).map_or(0, |known| known.len() * EACH)
    }
}

/// What one takes: names and values have at most 128 characters.
const EACH: usize = size_of::<(usize, Exemplar)>() + 160;

/// What the two formats that know exemplars allow.
const LONGEST: usize = 128;

/// Takes the tags that belong to exemplars out of a line's labels. Nothing if there are none, or if they are too long.
pub fn take(labels: &mut tags::Labels<'_>, names: &[String]) -> Option<Labels> {
    let is_one = |name: &str| names.iter().any(|known| known == name);
    if names.is_empty() || !labels.0.iter().any(|(name, _)| is_one(name)) {
        return None;
    }
    let (mut found, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut labels.0).into_iter().partition(|(name, _)| is_one(name));
    labels.0 = rest;
    found.sort();
    let length: usize = found.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    (length <= LONGEST).then(|| Labels::new(found))
}
