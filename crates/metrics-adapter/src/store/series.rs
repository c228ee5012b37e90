//! One series: whose it is, its labels, its value.

use exposition::Labels;

use super::{clock::Tick, distinct::Distinct, histogram::Histogram, summary::Summary};

#[derive(Debug)]
pub struct Series {
    pub family: u32,
    /// Its place among the series of its family.
    pub place: u32,
    pub seen: Tick,
    pub created: Tick,
    /// In ticks; 0 is for ever.
    pub ttl: u32,
    pub labels: Labels,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    Counter(f64),
    Gauge(f64),
    Summary(Box<Summary>),
    Histogram(Box<Histogram>),
    Distinct(Box<Distinct>),
}

impl Value {
    pub fn footprint(&self) -> usize {
        match self {
            Self::Counter(_) | Self::Gauge(_) => 0,
            Self::Summary(summary) => summary.footprint(),
            Self::Histogram(histogram) => histogram.footprint(),
            Self::Distinct(distinct) => distinct.footprint(),
        }
    }
}

/// What it takes beside its labels and value, with its places in the tables and the allocator's head.
const OVERHEAD: usize = size_of::<Series>() + 32;

impl Series {
    pub fn footprint(&self) -> usize {
        OVERHEAD + self.labels.text().len() + self.value.footprint()
    }

    pub fn is_over(&self, now: Tick) -> bool {
        self.ttl > 0 && now.since(self.seen) > self.ttl
    }
}

/// Things in numbered places, which are used again.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub fn get(&self, at: u32) -> Option<&T> {
        self.places.get(at as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.places.get_mut(at as usize)?.as_mut()
    }

    pub fn add(&mut self, thing: T) -> u32 {
        if let Some(at) = self.free.pop() {
            self.places[at as usize] = Some(thing);
            return at;
        }
        self.places.push(Some(thing));
        (self.places.len() - 1) as u32
    }

    pub fn remove(&mut self, at: u32) -> Option<T> {
        let thing = self.places.get_mut(at as usize)?.take()?;
        self.free.push(at);
        Some(thing)
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places.iter().enumerate().filter_map(|(at, thing)| Some((at as u32, thing.as_ref()?)))
    }
}
