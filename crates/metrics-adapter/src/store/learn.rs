//! What a line means that was not seen before: parsed, mapped, relabelled, checked, and given its series.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::Duration,
};

use exposition::Labels;
use hashbrown::DefaultHashBuilder;

use super::{
    Group, Store,
    clock::Tick,
    counts::Refused,
    distinct::Distinct,
    exemplars,
    families::Type,
    histogram::{self, Histogram},
    keys::Meaning,
    limits::REPLACED,
    series::{Series, Value},
    summary::{self, Summary},
};
use crate::{
    line::{
        Kind, Wrong,
        datadog::may_be_message,
        parse::{Parsed, Sample, parse},
        shape::Shape,
    },
    map::{self, Action, Mapping, Match, Observer, escape},
    relabel::{self, Relabeling},
};

/// Keys there may be beside those of series.
const KEYS_OF_NOBODY: usize = 4096;
/// ... and for each series.
const KEYS_OF_SERIES: usize = 4;

/// What a sample becomes, before there is a series for it.
#[derive(Debug)]
pub struct Metric<'r> {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// Where a rule says something.
    pub help: Option<&'r str>,
    pub shape: Type,
    pub observer: &'r Observer,
    pub ttl: Duration,
    pub scale: f64,
    /// How the rule is spelled that applied, if one did.
    pub rule: Option<&'r str>,
}

/// What a rule makes of a sample; nothing where it drops it.
pub fn metric<'r>(
    parsed: &Parsed<'_>,
    kind: Kind,
    mapping: &'r Mapping,
) -> Result<Option<Metric<'r>>, (Refused, Option<&'r str>)> {
    let defaults = mapping.defaults();
    let mut labels: BTreeMap<String, String> =
        parsed.labels.0.iter().map(|(name, value)| (name.clone().into_owned(), (*value).to_owned())).collect();
    let asked = match kind {
        Kind::Counter => map::Kind::Counter,
        Kind::Gauge | Kind::Set => map::Kind::Gauge,
        Kind::Observer => map::Kind::Observer,
    };
    let Some(found) = mapping.find(&parsed.name, asked) else {
        return Ok(Some(Metric {
            name: escape(&parsed.name).into_owned(),
            labels,
            help: None,
            shape: shape(kind, &defaults.observer),
            observer: &defaults.observer,
            ttl: defaults.ttl,
            scale: 1.0,
            rule: None,
        }));
    };
    let Match { rule, name, labels: added } = found;
    if rule.action == Action::Drop {
        return Ok(None);
    }
    if name.is_empty() {
        return Err((Refused::EmptyName, Some(&rule.spelled)));
    }
    for (label, value) in added {
        if !(rule.honor_labels && labels.contains_key(label)) {
            labels.insert(label.to_owned(), value);
        }
    }
    Ok(Some(Metric {
        name: escape(&name).into_owned(),
        labels,
        help: rule.help.as_deref().filter(|help| !help.is_empty()),
        shape: shape(kind, &rule.observer),
        observer: &rule.observer,
        ttl: rule.ttl,
        scale: rule.scale.unwrap_or(1.0),
        rule: Some(&rule.spelled),
    }))
}

/// False where the metric is not to be kept.
pub fn relabelled(metric: &mut Metric<'_>, relabeling: &Relabeling) -> bool {
    if relabeling.is_empty() {
        return true;
    }
    let mut labels: Vec<_> = std::mem::take(&mut metric.labels).into_iter().collect();
    labels.push((relabel::NAME.into(), std::mem::take(&mut metric.name)));
    let is_kept = relabeling.apply(&mut labels);
    metric.labels = labels.into_iter().collect();
    metric.name = metric.labels.remove(relabel::NAME).map_or_else(String::new, |name| escape(&name).into_owned());
    is_kept
}

fn shape(kind: Kind, observer: &Observer) -> Type {
    match (kind, observer) {
        (Kind::Counter, _) => Type::Counter,
        (Kind::Gauge | Kind::Set, _) => Type::Gauge,
        (Kind::Observer, Observer::Summary(_)) => Type::Summary,
        (Kind::Observer, Observer::Histogram(_)) => Type::Histogram,
    }
}

/// Labels that Prometheus keeps for itself.
pub fn has_reserved_label(labels: &BTreeMap<String, String>, shape: Type) -> bool {
    let is_reserved = |label: &String| {
        label.starts_with("__")
            || (shape == Type::Histogram && label == "le")
            || (shape == Type::Summary && label == "quantile")
    };
    labels.keys().any(is_reserved)
}

pub(super) fn identity(hasher: &DefaultHashBuilder, family: u32, labels: &Labels) -> u64 {
    let mut state = hasher.build_hasher();
    state.write_u32(family);
    state.write(labels.text().as_bytes());
    state.finish()
}

/// Options of summaries and histograms, each kept once however many series have them.
#[derive(Debug, Default)]
pub(super) struct Specs {
    summaries: Vec<Arc<summary::Spec>>,
    histograms: Vec<Arc<histogram::Spec>>,
}

fn shared<T: PartialEq>(known: &mut Vec<Arc<T>>, spec: T) -> Arc<T> {
    if let Some(same) = known.iter().find(|one| ***one == spec) {
        return Arc::clone(same);
    }
    // Those that nobody has any more are from before a reload.
    known.retain(|one| Arc::strong_count(one) > 1);
    let spec = Arc::new(spec);
    known.push(Arc::clone(&spec));
    spec
}

impl Store {
    /// `key` is what the line will be known by, if it is one of those that can be.
    pub(super) fn learn(&mut self, group: Group, line: &[u8], key: Option<(Shape<'_>, &[u8])>, now: Tick) {
        let mut parsed = parse(line, &self.rules.styles);
        let before = parsed.labels.0.len();
        let exemplar = exemplars::take(&mut parsed.labels, &self.rules.exemplars);
        let has_exemplar = parsed.labels.0.len() < before;
        self.counts.samples += u64::from(parsed.seen);
        self.counts.tagged += u64::from(parsed.tagged);
        self.counts.tag_errors += u64::from(parsed.tag_errors);
        parsed.wrong.iter().for_each(|wrong| self.counts.wrong(*wrong));
        let mapping = Arc::clone(&self.rules.mapping);
        for sample in &parsed.samples {
            let meaning = self.place(group, &parsed, sample, &mapping, now);
            let weight = u64::from(sample.rule.weight);
            match meaning {
                Ok(meaning) => {
                    self.count(&meaning, sample.value, sample.text.as_bytes(), now);
                    if let Some((labels, at)) = exemplar.as_ref().zip(meaning.series) {
                        self.note(at, labels.clone(), sample.value * meaning.scale);
                    }
                    let rates_only = parsed.wrong.iter().all(|wrong| *wrong == Wrong::Rate);
                    if let Some((shape, rest)) = key
                        && parsed.seen == 1
                        && rates_only
                        && shape.value == sample.text.as_bytes()
                        && !may_be_message(shape.name)
                        && !has_exemplar
                    {
                        self.remember(group, &shape, rest, meaning);
                    }
                }
                Err(Unplaced { refused, mapped, name }) => {
                    match mapped {
                        Some(true) => self.counts.mapped += weight,
                        Some(false) => self.counts.unmapped += weight,
                        None => {}
                    }
                    self.counts.refused(refused, weight);
                    if refused == Refused::Conflict {
                        self.counts.conflict(sample.kind, &name, weight);
                    }
                }
            }
        }
    }

    fn note(&mut self, at: u32, labels: Labels, value: f64) {
        let bucket = match self.series.get(at).map(|series| &series.value) {
            Some(Value::Counter(_)) => 0,
            Some(Value::Histogram(histogram)) => histogram.bucket(value),
            _ => return,
        };
        self.bytes += self.exemplars.note(at, bucket, labels, value);
    }

    /// A series has few keys, of different rates or orders of tags. Whoever sends ever other ones, or names that a rule
    /// drops, gets no memory for it.
    fn remember(&mut self, group: Group, shape: &Shape<'_>, rest: &[u8], meaning: Meaning) {
        if self.keys.len() > KEYS_OF_NOBODY + KEYS_OF_SERIES * self.series.len() {
            self.keys.clear();
        }
        self.keys.remember(group, shape, rest, meaning);
    }

    fn place(
        &mut self,
        group: Group,
        parsed: &Parsed<'_>,
        sample: &Sample<'_>,
        mapping: &Mapping,
        now: Tick,
    ) -> Result<Meaning, Unplaced> {
        let mut meaning = Meaning {
            series: None,
            kind: sample.kind,
            rule: sample.rule,
            scale: 1.0,
            mapped: true,
            tagged: parsed.tagged > 0,
            wrong_rates: parsed.wrong.iter().filter(|wrong| **wrong == Wrong::Rate).count() as u8,
            tag_errors: parsed.tag_errors.min(u32::from(u16::MAX)) as u16,
        };
        // A name that is empty was not mapped, as the peer counts.
        let unnamed = |(refused, _)| Unplaced { refused, mapped: None, name: String::new() };
        let Some(mut metric) = metric(parsed, sample.kind, mapping).map_err(unnamed)? else { return Ok(meaning) };
        meaning.mapped = metric.rule.is_some();
        meaning.scale = metric.scale;
        let is_kept = self.rules.of_group(group).is_none_or(|rules| relabelled(&mut metric, rules))
            && relabelled(&mut metric, &self.rules.output);
        let checked = match is_kept {
            true => self.checked(&metric, sample.value * metric.scale),
            false => Err(Refused::Relabelled),
        };
        let series = checked.and_then(|()| self.series_of(&mut metric, sample.kind, now));
        match series {
            Ok(series) => {
                meaning.series = Some(series);
                Ok(meaning)
            }
            Err(refused) => Err(Unplaced { refused, mapped: Some(meaning.mapped), name: metric.name }),
        }
    }

    fn checked(&self, metric: &Metric<'_>, value: f64) -> Result<(), Refused> {
        if metric.name.is_empty() {
            return Err(Refused::EmptyName);
        }
        if metric.shape == Type::Counter && value < 0.0 {
            return Err(Refused::NegativeCounter);
        }
        if !value.is_finite() {
            return Err(Refused::Overflow);
        }
        if has_reserved_label(&metric.labels, metric.shape) {
            return Err(Refused::ReservedLabel);
        }
        if self.reserved.has(&metric.name, metric.shape) {
            return Err(Refused::ReservedName);
        }
        match self.families.conflicts(&metric.name, metric.shape) {
            true => Err(Refused::Conflict),
            false => Ok(()),
        }
    }

    fn series_of(&mut self, metric: &mut Metric<'_>, kind: Kind, now: Tick) -> Result<u32, Refused> {
        let family = self.families.find(&metric.name);
        if let Some(family) = family {
            self.limit_values(family, metric);
        }
        let labels = Labels::new(&metric.labels);
        if let Some(known) = family.and_then(|family| self.known(family, &labels)) {
            let is_set = matches!(self.series.get(known).map(|one| &one.value), Some(Value::Distinct(_)));
            return if is_set == (kind == Kind::Set) { Ok(known) } else { Err(Refused::Conflict) };
        }
        self.has_room(family)?;
        let family = family.unwrap_or_else(|| self.add_family(metric));
        let value = self.value(metric, kind);
        let ttl = Tick::span(metric.ttl);
        let Some(place) = self.families.get_mut(family) else { return Err(Refused::Series) };
        let series = Series { family, place: place.series.len() as u32, seen: now, created: now, ttl, labels, value };
        self.bytes += series.footprint();
        self.mortal += usize::from(ttl > 0);
        let hash = identity(&self.hasher, family, &series.labels);
        let at = self.series.add(series);
        place.series.push(at);
        place.born += 1;
        if self.limits.label_values.is_some() {
            let values = metric.labels.iter();
            values.for_each(|(label, value)| place.note(label, value));
        }
        let Self { identities, hasher, series, .. } = self;
        identities
            .insert_unique(hash, at, |at| series.get(*at).map_or(0, |one| identity(hasher, one.family, &one.labels)));
        Ok(at)
    }

    fn known(&self, family: u32, labels: &Labels) -> Option<u32> {
        let is = |at: &u32| self.series.get(*at).is_some_and(|one| one.family == family && one.labels == *labels);
        self.identities.find(identity(&self.hasher, family, labels), is).copied()
    }

    fn add_family(&mut self, metric: &Metric<'_>) -> u32 {
        let at = self.families.add(&metric.name, metric.shape, metric.help.unwrap_or(self.rules.help));
        self.bytes += self.families.get(at).map_or(0, super::families::Family::footprint);
        at
    }

    fn value(&mut self, metric: &Metric<'_>, kind: Kind) -> Value {
        match (kind, metric.observer) {
            (Kind::Counter, _) => Value::Counter(0.0),
            (Kind::Gauge, _) => Value::Gauge(0.0),
            (Kind::Set, _) => Value::Distinct(Box::<Distinct>::default()),
            (Kind::Observer, Observer::Summary(model)) => {
                let spec = shared(&mut self.specs.summaries, summary::Spec::new(model));
                Value::Summary(Box::new(Summary::new(spec)))
            }
            (Kind::Observer, Observer::Histogram(model)) => {
                let spec = shared(&mut self.specs.histograms, histogram::Spec::new(model));
                Value::Histogram(Box::new(Histogram::new(spec)))
            }
        }
    }

    fn has_room(&self, family: Option<u32>) -> Result<(), Refused> {
        let limits = &self.limits;
        if limits.series.is_some_and(|most| self.series.len() >= most) {
            return Err(Refused::Series);
        }
        let of_name = family.and_then(|family| self.families.get(family)).map_or(0, |family| family.series.len());
        if limits.series_per_name.is_some_and(|most| of_name >= most) {
            return Err(Refused::SeriesOfName);
        }
        match self.footprint() >= limits.memory {
            true => Err(Refused::Memory),
            false => Ok(()),
        }
    }

    /// Replaces values of labels that have too many different ones.
    fn limit_values(&mut self, family: u32, metric: &mut Metric<'_>) {
        let Some((most, family)) = self.limits.label_values.zip(self.families.get(family)) else { return };
        for (label, value) in &mut metric.labels {
            let known = family.values.as_ref().and_then(|values| values.get(label.as_str()));
            if known.is_some_and(|known| known.len() >= most && !known.contains(value.as_str())) {
                self.counts.replaced(&metric.name, label);
                REPLACED.clone_into(value);
            }
        }
    }
}

/// A sample that has no series.
struct Unplaced {
    refused: Refused,
    /// Whether a rule applied, where that is counted at all.
    mapped: Option<bool>,
    name: String,
}
