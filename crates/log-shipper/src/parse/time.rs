//! Times as lines spell them: a format is compiled once, and then read at a few nanoseconds an item.

mod civil;
mod read;
mod spec;
mod write;

pub use self::{
    spec::offset,
    write::{Pattern, Writer},
};

use self::{read::Parts, spec::Item};
use crate::record::Time;

/// How the times of an input are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    items: Vec<Item>,
    /// Seconds east of Greenwich, for times that do not say.
    offset: i32,
    has_year: bool,
}

impl Format {
    /// As strptime has it, with `%L` and `%N` for fractions of a second; or `rfc3339`, `unixtime`, `float`. A
    /// problem is said with what was expected instead.
    pub fn new(spec: &str) -> Result<Self, String> {
        let items = spec::compile(spec)?;
        let has_year = items.iter().any(Item::knows_the_year);
        Ok(Self { items, offset: 0, has_year })
    }

    /// Where the clock is that times without a zone were read from, in seconds east of Greenwich.
    pub fn with_offset(self, seconds: i32) -> Self {
        Self { offset: seconds, ..self }
    }

    /// Whether `now` makes a difference to [`Format::parse`].
    pub fn needs_now(&self) -> bool {
        !self.has_year
    }

    /// What comes after the time is not looked at. Where the year is not said it is the latest in which the time is
    /// not more than a week ahead of `now`; where there is no date at all it is that day or the one before.
    pub fn parse(&self, text: &str, now: Time) -> Option<Time> {
        let parts = Parts::read(&self.items, text.as_bytes(), self.offset)?;
        if self.has_year { parts.time() } else { parts.time_near(now) }
    }
}

/// Reads `2026-11-21T05:13:16.154+02:00`. Without a zone it is UTC.
pub fn rfc3339(text: &str) -> Option<Time> {
    Parts::read(spec::RFC_3339, text.as_bytes(), 0)?.time()
}

#[cfg(test)]
mod tests;
