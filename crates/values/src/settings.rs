//! Somebody who can be asked for settings by name. Libraries read what they need through it, and every sidecar spells it
//! the same; whose file it is, and how it is written, they need not know.

use std::{fmt::Display, str::FromStr};

pub trait Settings {
    /// The value of a key, if it is there. One that cannot be read is reported, and counts as not there.
    fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T>;

    /// Reports something that only the reader can know.
    fn problem(&self, problem: impl Display);
}
