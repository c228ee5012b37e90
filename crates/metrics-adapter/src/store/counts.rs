//! What happened to lines: plain numbers under the store's lock, because there are several for each line.

use std::collections::BTreeMap;

use crate::line::{Kind, Wrong, datadog::Message};

/// Why a sample that was understood is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    NegativeCounter,
    EmptyName,
    ReservedLabel,
    ReservedName,
    /// The sum with what was there before is no number any more.
    Overflow,
    /// By relabelling.
    Relabelled,
    /// The name is taken by another type.
    Conflict,
    Series,
    SeriesOfName,
    Memory,
}

impl Refused {
    pub const ALL: [Self; 10] = [
        Self::NegativeCounter,
        Self::EmptyName,
        Self::ReservedLabel,
        Self::ReservedName,
        Self::Overflow,
        Self::Relabelled,
        Self::Conflict,
        Self::Series,
        Self::SeriesOfName,
        Self::Memory,
    ];

    /// The label under which it is counted.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NegativeCounter => "illegal_negative_counter",
            Self::EmptyName => "empty_metric_name",
            Self::ReservedLabel => "reserved_label",
            Self::ReservedName => "reserved_name",
            Self::Overflow => "overflow",
            Self::Relabelled => "relabelled",
            Self::Conflict => "conflict",
            Self::Series => "series_limit",
            Self::SeriesOfName => "series_per_name_limit",
            Self::Memory => "memory_limit",
        }
    }

    /// The same for people.
    pub fn explained(self) -> &'static str {
        match self {
            Self::NegativeCounter => "a counter cannot be moved down",
            Self::EmptyName => "the rule gives it an empty name",
            Self::ReservedLabel => {
                "labels that begin with __, le of a histogram and quantile of a summary belong to Prometheus"
            }
            Self::ReservedName => "the name is one of this process's own metrics",
            Self::Overflow => "the value would become infinite and stay so",
            Self::Relabelled => "relabelling drops it",
            Self::Conflict => "the name belongs to a metric of another type",
            Self::Series => "there are as many series as there may be",
            Self::SeriesOfName => "there are as many series of this name as there may be",
            Self::Memory => "series take as much memory as they may",
        }
    }

    /// Whether it is the guard that refuses, and not something wrong with the sample.
    pub fn is_limit(self) -> bool {
        matches!(self, Self::Series | Self::SeriesOfName | Self::Memory)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub lines: u64,
    pub samples: u64,
    /// Samples with tags.
    pub tagged: u64,
    pub tag_errors: u64,
    pub wrong: [u64; Wrong::ALL.len()],
    pub refused: [u64; Refused::ALL.len()],
    pub events: [u64; Kind::ALL.len()],
    pub mapped: u64,
    pub unmapped: u64,
    /// Because a rule says so.
    pub dropped: u64,
    pub messages: [u64; Message::ALL.len()],
    pub conflicts: BTreeMap<(Kind, Box<str>), u64>,
    /// Label values that were replaced because there were too many.
    pub replaced: BTreeMap<(Box<str>, Box<str>), u64>,
    pub expired: u64,
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (*self as usize).cmp(&(*other as usize))
    }
}

/// Names come from outside: after so many, all others are counted as one.
const MOST_NAMES: usize = 200;
const OTHERS: &str = "...";

impl Counts {
    pub fn wrong(&mut self, wrong: Wrong) {
        self.wrong[wrong as usize] += 1;
    }

    pub fn refused(&mut self, refused: Refused, times: u64) {
        self.refused[refused as usize] += times;
    }

    pub fn message(&mut self, message: Message) {
        self.messages[message as usize] += 1;
    }

    pub fn conflict(&mut self, kind: Kind, name: &str, times: u64) {
        let known = self.conflicts.len() < MOST_NAMES || self.conflicts.contains_key(&(kind, name.into()));
        let name = if known { name } else { OTHERS };
        *self.conflicts.entry((kind, name.into())).or_default() += times;
    }

    pub fn replaced(&mut self, name: &str, label: &str) {
        let known = self.replaced.len() < MOST_NAMES || self.replaced.contains_key(&(name.into(), label.into()));
        let (name, label) = if known { (name, label) } else { (OTHERS, OTHERS) };
        *self.replaced.entry((name.into(), label.into())).or_default() += 1;
    }
}
