//! A family of OpenMetrics: which samples it may have, in which order, with which values.

use std::collections::HashSet;

use super::open::Sample;
use crate::{Bucket, Family, Kind, Labels, Series, Value, number};

/// What samples of a family may be called, its own name included.
pub(super) fn names(name: &str, kind: Kind) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    all.extend(suffixes(kind).iter().filter(|suffix| !suffix.is_empty()).map(|suffix| format!("{name}{suffix}")));
    all
}

fn suffixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Counter => &["_total", "_created"],
        Kind::Summary => &["", "_count", "_sum", "_created"],
        Kind::Histogram => &["_bucket", "_count", "_sum", "_created"],
        Kind::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        Kind::Info => &["_info"],
        Kind::Gauge | Kind::StateSet | Kind::Unknown => &[""],
    }
}

/// A family whose lines are being read.
pub(super) struct Building {
    /// Its name has no `_total` before it is finished.
    family: Family,
    is_typed: bool,
    /// Labels of groups that are complete, and those of the group that is being read.
    groups: HashSet<Labels>,
    group: Option<Group>,
}

/// The samples of one set of labels, one after the other.
struct Group {
    labels: Labels,
    /// The last one of them.
    timestamp: Option<f64>,
    /// Those with this timestamp: suffix, and the label that is special.
    seen: HashSet<(&'static str, String)>,
}

impl Building {
    pub(super) fn new(name: String) -> Self {
        let family = Family { name, ..Family::default() };
        Self { family, is_typed: false, groups: HashSet::new(), group: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.family.name
    }

    pub(super) fn has(&self, sample: &str) -> bool {
        self.suffix(sample).is_some()
    }

    fn suffix(&self, sample: &str) -> Option<&'static str> {
        let rest = sample.strip_prefix(self.family.name.as_str())?;
        suffixes(self.family.kind).iter().copied().find(|suffix| *suffix == rest)
    }

    fn may_be_described(&self, what: &str, again: bool) -> Result<(), String> {
        let name = self.name();
        if again {
            Err(format!("{name}: a second {what}"))
        } else if self.group.is_some() {
            Err(format!("{name}: {what} after samples"))
        } else {
            Ok(())
        }
    }

    pub(super) fn set_help(&mut self, help: String) -> Result<(), String> {
        self.may_be_described("HELP", self.family.help.is_some())?;
        self.family.help = Some(help);
        Ok(())
    }

    pub(super) fn set_unit(&mut self, unit: &str) -> Result<(), String> {
        self.may_be_described("UNIT", self.family.unit.is_some())?;
        self.family.unit = Some(unit.to_owned());
        Ok(())
    }

    pub(super) fn set_kind(&mut self, kind: Kind) -> Result<(), String> {
        self.may_be_described("TYPE", self.is_typed)?;
        self.is_typed = true;
        self.family.kind = kind;
        Ok(())
    }

    pub(super) fn add(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        let suffix = self.suffix(&sample.name).unwrap_or_default();
        let special = match (self.family.kind, suffix) {
            (Kind::Histogram | Kind::GaugeHistogram, "_bucket") => Some("le"),
            (Kind::Summary, "") => Some("quantile"),
            (Kind::StateSet, _) => Some(self.family.name.as_str()),
            _ => None,
        };
        let mut pairs: Vec<_> = sample.labels.iter().collect();
        let found = special.and_then(|special| pairs.iter().position(|(name, _)| name == special));
        if let (Some(special), None) = (special, found) {
            return Err(format!("{}: expected a label {special}", sample.name));
        }
        let text = found.map(|at| pairs[at].1.to_string()).unwrap_or_default();
        let bound = if matches!(special, Some("le" | "quantile")) && self.family.kind != Kind::StateSet {
            let bound = number::parse(&text).filter(|bound| is_bound(*bound, &text, self.family.kind));
            Some(bound.ok_or_else(|| format!("{}: \"{text}\" is no bound", sample.name))?)
        } else {
            None
        };
        value_fits(sample, self.family.kind, suffix)?;
        let labels = Labels::new(pairs.iter().map(|(name, value)| (name, value)));
        // A state's own label tells series of a group apart, and stays.
        if let Some(at) = found {
            pairs.remove(at);
        }
        let key = Labels::new(pairs.iter().map(|(name, value)| (name, value)));
        let labels = if self.family.kind == Kind::StateSet { labels } else { key.clone() };
        // However it is spelled: 0.5 and .5 are the same quantile.
        let special = bound.map_or(text, |bound| (bound + 0.0).to_string());
        let is_new = self.enter(key, suffix, special, sample)?;
        self.record(labels, suffix, bound, is_new, sample);
        Ok(())
    }

    /// Whether the sample begins a series: with other labels, or at another time.
    fn enter(
        &mut self,
        labels: Labels,
        suffix: &'static str,
        special: String,
        sample: &Sample<'_>,
    ) -> Result<bool, String> {
        let name = &sample.name;
        if let Some(group) = self.group.as_mut().filter(|group| group.labels == labels) {
            let later = match (group.timestamp, sample.timestamp) {
                (None, None) => false,
                (Some(before), Some(now)) if now >= before => now > before,
                (Some(_), Some(_)) => return Err(format!("{name}: its timestamps go back")),
                _ => return Err(format!("{name}: with a timestamp and without one")),
            };
            if later {
                group.seen.clear();
            }
            let again = !group.seen.insert((suffix, special));
            if again && sample.timestamp.is_none() {
                return Err(format!("{name}: the same series again"));
            }
            group.timestamp = sample.timestamp;
            return Ok(later || again);
        }
        if !self.groups.insert(labels.clone()) {
            return Err(format!("{name}: its series are not side by side"));
        }
        let seen = HashSet::from([(suffix, special)]);
        self.group = Some(Group { labels, timestamp: sample.timestamp, seen });
        Ok(true)
    }

    fn record(&mut self, labels: Labels, suffix: &str, bound: Option<f64>, is_new: bool, sample: &Sample<'_>) {
        let is_number = !matches!(self.family.kind, Kind::Summary | Kind::Histogram | Kind::GaugeHistogram);
        let is_created = suffix == "_created";
        if is_new || is_number && !is_created && suffix != "_total" {
            let value = match self.family.kind {
                Kind::Summary => Value::Summary { count: None, sum: None, quantiles: Vec::new() },
                Kind::Histogram | Kind::GaugeHistogram => {
                    Value::Histogram { count: None, sum: None, buckets: Vec::new(), native: None }
                }
                _ => Value::Number { value: f64::NAN, exemplar: None },
            };
            let timestamp = sample.timestamp.map(|seconds| (seconds * 1000.0).round() as i64);
            self.family.series.push(Series { labels, value, created: None, timestamp });
        }
        let Some(series) = self.family.series.last_mut() else { return };
        if is_created {
            series.created = Some(sample.value);
            return;
        }
        match &mut series.value {
            Value::Number { value, exemplar } => (*value, *exemplar) = (sample.value, sample.exemplar.clone()),
            Value::Summary { count, sum, quantiles } => match suffix {
                "_count" => *count = Some(sample.value),
                "_sum" => *sum = Some(sample.value),
                _ => quantiles.extend(bound.map(|bound| (bound, sample.value))),
            },
            Value::Histogram { count, sum, buckets, .. } => match suffix {
                "_count" | "_gcount" => *count = Some(sample.value),
                "_sum" | "_gsum" => *sum = Some(sample.value),
                _ => buckets.extend(bound.map(|upper| {
                    let exemplar = sample.exemplar.clone().map(Box::new);
                    Bucket { upper, cumulative: sample.value, exemplar }
                })),
            },
        }
    }

    /// What can only be said when all lines are there.
    pub(super) fn finish(self) -> Result<Family, String> {
        let mut family = self.family;
        let name = &family.name;
        if let Some(unit) = family.unit.take_if(|unit| unit.is_empty()).or_else(|| family.unit.clone())
            && !unit.is_empty()
        {
            if matches!(family.kind, Kind::Info | Kind::StateSet) {
                return Err(format!("{name}: an info or stateset has no unit"));
            }
            if !name.strip_suffix(&unit).is_some_and(|name| name.ends_with('_')) {
                return Err(format!("{name}: expected a name that ends in the unit {unit}"));
            }
        }
        for series in &family.series {
            if let Value::Histogram { count, sum, buckets, .. } = &series.value {
                histogram(family.kind, *count, *sum, buckets).map_err(|problem| format!("{name}: {problem}"))?;
            }
        }
        if family.kind == Kind::Counter {
            // A beginning without a value says nothing.
            family.series.retain(|series| !matches!(series.value, Value::Number { value, .. } if value.is_nan()));
            family.name.push_str("_total");
        }
        Ok(family)
    }
}

fn is_bound(bound: f64, text: &str, kind: Kind) -> bool {
    match kind {
        Kind::Summary => (0.0..=1.0).contains(&bound),
        _ => !bound.is_nan() && (bound != f64::INFINITY || text == "+Inf"),
    }
}

fn value_fits(sample: &Sample<'_>, kind: Kind, suffix: &str) -> Result<(), String> {
    let Sample { name, value, .. } = sample;
    let counts = match (kind, suffix) {
        (_, "_created") | (Kind::Gauge | Kind::Unknown, _) => false,
        // Whether it may be below zero, its buckets say.
        (Kind::GaugeHistogram, "_gsum") => value.is_nan(),
        _ => true,
    };
    let is_quantile = kind == Kind::Summary && suffix.is_empty();
    if counts && (*value < 0.0 || value.is_nan() && !is_quantile) {
        return Err(format!("{name}: a value of {value}, expected one that is not below zero"));
    }
    let fits = match kind {
        Kind::Info => *value == 1.0,
        Kind::StateSet => *value == 0.0 || *value == 1.0,
        _ => true,
    };
    if !fits {
        return Err(format!("{name}: a value of {value}, expected 1{}", if kind == Kind::Info { "" } else { " or 0" }));
    }
    if sample.exemplar.is_some() && !matches!(suffix, "_total" | "_bucket") {
        return Err(format!("{name}: an exemplar, which only counters and buckets have"));
    }
    Ok(())
}

fn histogram(kind: Kind, count: Option<f64>, sum: Option<f64>, buckets: &[Bucket]) -> Result<(), &'static str> {
    let last = buckets.last().filter(|bucket| bucket.upper == f64::INFINITY);
    let last = last.ok_or("expected buckets, the last with le=\"+Inf\"")?;
    let pairs = || buckets.iter().zip(buckets.iter().skip(1));
    if pairs().any(|(one, next)| one.upper >= next.upper) {
        return Err("its buckets do not ascend");
    }
    if pairs().any(|(one, next)| one.cumulative > next.cumulative) {
        return Err("a bucket has less than the one before it");
    }
    if count.is_some_and(|count| count != last.cumulative) {
        return Err("its count is not that of the last bucket");
    }
    let below_zero = buckets.first().is_some_and(|bucket| bucket.upper < 0.0);
    let gauge = kind == Kind::GaugeHistogram;
    if count.is_some() != sum.is_some() {
        return Err("expected a count and a sum, or neither");
    }
    match sum {
        Some(_) if below_zero && !gauge => Err("a sum beside buckets below zero"),
        Some(sum) if sum < 0.0 && !below_zero => Err("a sum below zero without a bucket below zero"),
        _ => Ok(()),
    }
}
