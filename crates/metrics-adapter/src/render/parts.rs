//! Summaries and histograms of values below zero, for OpenMetrics: which has none.
//!
//! It lets no quantile and no sum be below zero. Prometheus does not mind, but others refuse all that comes with it. So
//! such a family is written as what its samples are to Prometheus anyway: series of their own names, of unknown type.

use std::borrow::Cow;

use exposition::{Encoder, Labels, Point, Sample};

use crate::store::{
    clock::Tick,
    families::Type,
    series::{Series, Value},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Quantiles,
    Buckets,
    Sum,
    Count,
}

pub(super) fn of(kind: Type) -> &'static [Part] {
    match kind {
        Type::Summary => &[Part::Quantiles, Part::Sum, Part::Count],
        Type::Histogram => &[Part::Buckets, Part::Sum, Part::Count],
        Type::Counter | Type::Gauge => &[],
    }
}

impl Part {
    pub(super) fn name(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Quantiles => name.into(),
            Self::Buckets => format!("{name}_bucket").into(),
            Self::Sum => format!("{name}_sum").into(),
            Self::Count => format!("{name}_count").into(),
        }
    }

    /// What it cost, in counters.
    pub(super) fn write(self, series: &Series, now: Tick, encoder: &mut Encoder) -> usize {
        let labels = &series.labels;
        let mut sample = |labels: &Labels, value: f64| {
            encoder.sample(&Sample { labels, point: Point::number(value), created: None, timestamp: None });
        };
        let numbers = match (self, &series.value) {
            (Self::Quantiles, Value::Summary(summary)) => {
                let quantiles = summary.quantiles(now).into_iter();
                quantiles.map(|(quantile, value)| ("quantile", quantile.to_string(), value)).collect()
            }
            (Self::Buckets, Value::Histogram(histogram)) => {
                let buckets = histogram.cumulative().map(|(bound, count)| ("le", bound.to_string(), count as f64));
                let all = ("le", "+Inf".to_owned(), histogram.count() as f64);
                buckets.chain([all]).collect::<Vec<_>>()
            }
            (Self::Sum, Value::Summary(summary)) => return single(&mut sample, labels, summary.sum()),
            (Self::Sum, Value::Histogram(histogram)) => return single(&mut sample, labels, histogram.sum()),
            (Self::Count, Value::Summary(summary)) => return single(&mut sample, labels, summary.count() as f64),
            (Self::Count, Value::Histogram(histogram)) => return single(&mut sample, labels, histogram.count() as f64),
            _ => Vec::new(),
        };
        let cost = 20 + numbers.len();
        for (name, text, value) in numbers {
            let own = labels.pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
            sample(&Labels::new(own.chain([(name.to_owned(), text)])), value);
        }
        cost
    }
}

fn single(sample: &mut impl FnMut(&Labels, f64), labels: &Labels, value: f64) -> usize {
    sample(labels, value);
    1
}
