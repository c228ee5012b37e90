//! Series and their values: what lines add up to.
//!
//! ```text
//!  line ──> keys.rs: seen before? ── yes ──> series.rs: add, set, observe
//!                        │ no
//!                        └──> learn.rs: parse, map, relabel, check, find or make the series; remember the key
//! ```

pub mod clock;
pub mod counts;
pub mod distinct;
pub mod exemplars;
pub mod families;
pub mod histogram;
pub mod keys;
pub mod learn;
pub mod limits;
pub mod series;
pub mod sketch;
pub mod summary;

use std::{collections::BTreeSet, hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{
    line::{
        Kind, Styles,
        datadog::Message,
        number,
        shape::{Shape, without_timestamp},
    },
    map::Mapping,
    relabel::{self, Relabeling},
};
use clock::Tick;
use counts::{Counts, Refused};
use exemplars::Exemplars;
use families::{Families, Type};
use keys::{Keys, Meaning};
use limits::Limits;
use series::{Series, Slab, Value};

/// What lines are read and kept by. It changes at a reload.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Said of metrics for which no rule says more.
    pub help: &'static str,
    pub styles: Styles,
    pub mapping: Arc<Mapping>,
    /// Tags that are exemplars and no labels.
    pub exemplars: Vec<String>,
    /// On the metrics that lines have become, by the place of their listener. A place without rules has none.
    pub inputs: Arc<[Relabeling]>,
    /// On all that is exposed, whoever sent it.
    pub output: Arc<Relabeling>,
}

/// The place of a listener among all.
pub type Input = u16;

/// Listeners whose lines mean the same: 0 for all that have no rules of their own.
pub type Group = u16;

impl Default for Rules {
    fn default() -> Self {
        Self {
            help: "Sent by statsd.",
            styles: Styles::default(),
            mapping: Arc::default(),
            exemplars: Vec::new(),
            inputs: Arc::default(),
            output: Arc::default(),
        }
    }
}

impl Rules {
    fn group(&self, input: Input) -> Group {
        let has_rules = self.inputs.get(usize::from(input)).is_some_and(|rules| !rules.is_empty());
        if has_rules { input + 1 } else { 0 }
    }

    fn of_group(&self, group: Group) -> Option<&Relabeling> {
        self.inputs.get(usize::from(group.checked_sub(1)?))
    }
}

#[derive(Debug)]
pub struct Store {
    rules: Rules,
    limits: Limits,
    reserved: Reserved,
    keys: Keys,
    series: Slab<Series>,
    /// Places of series, by family and labels.
    identities: HashTable<u32>,
    hasher: DefaultHashBuilder,
    families: Families,
    specs: learn::Specs,
    exemplars: Exemplars,
    bytes: usize,
    /// Series that will end when nothing comes for them.
    mortal: usize,
    /// Answers that are being written: meanwhile nothing is taken away.
    readers: usize,
    counts: Counts,
    buffer: Vec<u8>,
}

impl Store {
    pub fn new(rules: Rules, limits: Limits, reserved: Reserved) -> Self {
        Self {
            rules,
            limits,
            reserved,
            keys: Keys::default(),
            series: Slab::default(),
            identities: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            families: Families::default(),
            specs: learn::Specs::default(),
            exemplars: Exemplars::default(),
            bytes: 0,
            mortal: 0,
            readers: 0,
            counts: Counts::default(),
            buffer: Vec::new(),
        }
    }

    /// Takes a line, without its end.
    pub fn take(&mut self, input: Input, line: &[u8], now: Tick) {
        let group = self.rules.group(input);
        self.counts.lines += 1;
        if line.is_empty() {
            return;
        }
        let Some(shape) = Shape::of(line) else { return self.strange(group, line, None, now) };
        if let Some(meaning) = self.keys.find(group, shape.name, shape.rest)
            && self.apply(&meaning, shape.value, now)
        {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        match without_timestamp(shape.rest, &mut buffer) {
            Some(rest) => {
                let known = self.keys.find(group, shape.name, rest);
                if !known.is_some_and(|meaning| self.apply(&meaning, shape.value, now)) {
                    self.strange(group, line, Some((shape, rest)), now);
                }
            }
            None => self.strange(group, line, Some((shape, shape.rest)), now),
        }
        self.buffer = buffer;
    }

    /// A line that was not seen before, or is wrong.
    fn strange(&mut self, group: Group, line: &[u8], key: Option<(Shape<'_>, &[u8])>, now: Tick) {
        match Message::of(line) {
            Some(message) => self.counts.message(message),
            None => self.learn(group, line, key, now),
        }
    }

    /// Counts a value whose line is known. False if the value is none.
    fn apply(&mut self, meaning: &Meaning, text: &[u8], now: Tick) -> bool {
        let number = match meaning.kind {
            Kind::Set => 0.0,
            _ => match number::float(text) {
                Ok(value) => value / meaning.rule.divide,
                Err(_) => return false,
            },
        };
        if !number.is_finite() {
            return false;
        }
        self.counts.samples += 1;
        self.counts.tagged += u64::from(meaning.tagged);
        self.counts.tag_errors += u64::from(meaning.tag_errors);
        if meaning.wrong_rates > 0 {
            self.counts.wrong[crate::line::Wrong::Rate as usize] += u64::from(meaning.wrong_rates);
        }
        self.count(meaning, number, text, now);
        true
    }

    /// Counts a sample: what it is for, and its value.
    fn count(&mut self, meaning: &Meaning, number: f64, text: &[u8], now: Tick) {
        let weight = u64::from(meaning.rule.weight);
        let Some(at) = meaning.series else {
            self.counts.dropped += weight;
            return;
        };
        match meaning.mapped {
            true => self.counts.mapped += weight,
            false => self.counts.unmapped += weight,
        }
        let is_relative = meaning.kind == Kind::Gauge && matches!(text.first(), Some(b'+' | b'-'));
        match self.change(at, meaning, number * meaning.scale, is_relative, text, now) {
            Ok(()) => self.counts.events[meaning.kind as usize] += weight,
            Err(refused) => self.counts.refused(refused, weight),
        }
    }

    fn change(
        &mut self,
        at: u32,
        meaning: &Meaning,
        number: f64,
        is_relative: bool,
        text: &[u8],
        now: Tick,
    ) -> Result<(), Refused> {
        let Some(series) = self.series.get_mut(at) else { return Err(Refused::Series) };
        series.seen = now;
        if number < 0.0
            && meaning.kind == Kind::Observer
            && let Some(family) = self.families.get_mut(series.family)
        {
            family.below_zero = true;
        }
        match &mut series.value {
            Value::Counter(total) => {
                if number < 0.0 {
                    return Err(Refused::NegativeCounter);
                }
                *total = finite(*total + number)?;
            }
            Value::Gauge(value) if is_relative => *value = finite(*value + number)?,
            Value::Gauge(value) => *value = finite(number)?,
            Value::Summary(summary) => {
                finite(summary.sum() + number * f64::from(meaning.rule.weight))?;
                let before = summary.footprint();
                summary.observe(number, meaning.rule.weight, now);
                self.bytes = (self.bytes + summary.footprint()).saturating_sub(before);
            }
            Value::Histogram(histogram) => {
                finite(histogram.sum() + number * f64::from(meaning.rule.weight))?;
                let before = histogram.footprint();
                histogram.observe(number, meaning.rule.weight);
                self.bytes = (self.bytes + histogram.footprint()).saturating_sub(before);
            }
            Value::Distinct(distinct) => {
                let before = distinct.footprint();
                distinct.add(self.hasher.hash_one(text), now);
                self.bytes = (self.bytes + distinct.footprint()).saturating_sub(before);
            }
        }
        Ok(())
    }

    /// Lines are read by other rules from now on. Series that exist stay.
    pub fn set_rules(&mut self, rules: Rules, limits: Limits) {
        self.rules = rules;
        self.limits = limits;
        self.forget_lines();
    }

    /// As if no line had ever been seen. Series stay.
    pub fn forget_lines(&mut self) {
        self.keys.clear();
    }

    /// Ends series that nothing came for, and frees names that have none any more. The number of those that ended.
    pub fn expire(&mut self, now: Tick) -> usize {
        if self.mortal == 0 || self.readers > 0 {
            return 0;
        }
        let over: Vec<u32> = self.series.iter().filter(|(_, one)| one.is_over(now)).map(|(at, _)| at).collect();
        if over.is_empty() {
            return 0;
        }
        over.iter().for_each(|at| self.end(*at));
        let Self { keys, series, .. } = self;
        keys.retain(|at| series.get(at).is_some());
        self.counts.expired += over.len() as u64;
        over.len()
    }

    fn end(&mut self, at: u32) {
        let Some(series) = self.series.get(at) else { return };
        let hash = learn::identity(&self.hasher, series.family, &series.labels);
        if let Ok(entry) = self.identities.find_entry(hash, |known| *known == at) {
            entry.remove();
        }
        let Some(series) = self.series.remove(at) else { return };
        self.bytes = self.bytes.saturating_sub(self.exemplars.forget(at));
        self.bytes = self.bytes.saturating_sub(series.footprint());
        self.mortal -= usize::from(series.ttl > 0);
        let Some(family) = self.families.get_mut(series.family) else { return };
        family.series.swap_remove(series.place as usize);
        if let Some(moved) = family.series.get(series.place as usize)
            && let Some(moved) = self.series.get_mut(*moved)
        {
            moved.place = series.place;
        }
        if family.series.is_empty()
            && let Some(family) = self.families.remove(series.family)
        {
            self.bytes = self.bytes.saturating_sub(family.footprint());
        }
    }

    /// While somebody reads, series come but do not go: a reader may let others in between two steps.
    pub fn begin_reading(&mut self, now: Tick) -> Vec<u32> {
        self.expire(now);
        self.readers += 1;
        self.families.in_order().collect()
    }

    pub fn end_reading(&mut self) {
        self.readers = self.readers.saturating_sub(1);
    }

    /// Whether a family here could have samples of such a name, in some format.
    pub fn has_like(&self, name: &str) -> bool {
        let base = relabel::base(name);
        let variants = relabel::SUFFIXES.iter().map(|suffix| format!("{base}{suffix}"));
        variants.chain([base.to_owned()]).any(|name| self.families.find(&name).is_some())
    }

    pub fn families(&self) -> &Families {
        &self.families
    }

    pub fn series(&self, at: u32) -> Option<&Series> {
        self.series.get(at)
    }

    /// Those of a series: for each bucket that has one, or the only one of a counter at 0.
    pub fn exemplars(&self, at: u32) -> &[(usize, exposition::Exemplar)] {
        self.exemplars.of(at)
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Series there are, keys of lines, and what all of it takes.
    pub fn size(&self) -> Size {
        Size {
            series: self.series.len(),
            families: self.families.len(),
            keys: self.keys.len(),
            bytes: self.footprint(),
            mortal: self.mortal,
        }
    }

    fn footprint(&self) -> usize {
        self.bytes + self.keys.footprint()
    }
}

/// Names of this process's own metrics.
#[derive(Clone, Debug, Default)]
pub struct Reserved {
    names: BTreeSet<String>,
    prefixes: Vec<&'static str>,
}

impl Reserved {
    pub fn new(names: impl Iterator<Item = String>, prefixes: Vec<&'static str>) -> Self {
        // OpenMetrics calls a counter by its name without `_total`.
        let both = |name: String| [name.strip_suffix("_total").unwrap_or(&name).to_owned(), name];
        Self { names: names.flat_map(both).collect(), prefixes }
    }

    /// Whether it is one, or one of its samples would be.
    fn has(&self, name: &str, kind: Type) -> bool {
        let samples = kind.suffixes().iter().map(|suffix| format!("{name}{suffix}"));
        self.prefixes.iter().any(|prefix| name.starts_with(prefix))
            || self.names.contains(name)
            || samples.into_iter().any(|sample| self.names.contains(&sample))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub series: usize,
    pub families: usize,
    pub keys: usize,
    pub bytes: usize,
    pub mortal: usize,
}

fn finite(value: f64) -> Result<f64, Refused> {
    if value.is_finite() { Ok(value) } else { Err(Refused::Overflow) }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
