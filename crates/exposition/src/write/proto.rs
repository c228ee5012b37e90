//! Protobuf: families of `io.prometheus.client`, each with its length in front.
//!
//! The message of one series is filled again for the next, so that a hundred thousand of them cost the allocations of
//! one.

use prost::Message;

use super::Encoder;
use crate::{
    Exemplar, Head, Histogram, Kind, Labels, Native, Point, Sample,
    number::whole,
    proto::{self, LabelPair, Metric, MetricFamily, MetricType, Timestamp},
};

/// Field 4 of a family, with a length.
const METRIC: u8 = 4 << 3 | 2;

#[derive(Debug, Default)]
pub(super) struct Series {
    metric: Metric,
}

impl Encoder {
    pub(super) fn proto_head(&mut self, head: &Head<'_>) {
        let kind = match head.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge | Kind::Info | Kind::StateSet => MetricType::Gauge,
            Kind::Summary => MetricType::Summary,
            Kind::Histogram => MetricType::Histogram,
            Kind::GaugeHistogram => MetricType::GaugeHistogram,
            Kind::Unknown => MetricType::Untyped,
        };
        if head.kind == Kind::Info {
            self.family.name.push_str("_info");
        }
        let family = MetricFamily {
            name: Some(self.family.name.clone()),
            help: head.help.map(str::to_owned),
            kind: Some(kind as i32),
            metric: Vec::new(),
            unit: head.unit.map(str::to_owned),
        };
        self.open = Some(self.out.len());
        family.encode_raw(&mut self.out);
    }

    /// Puts the length in front of the family that begins there.
    pub(super) fn proto_close(&mut self, start: usize) {
        let length = self.out.len() - start;
        let mut prefix = Vec::with_capacity(10);
        // A buffer that grows takes it.
        let _ = prost::encode_length_delimiter(length, &mut prefix);
        self.out.splice(start..start, prefix);
    }

    pub(super) fn proto_sample(&mut self, sample: &Sample<'_>) {
        let metric = &mut self.series.metric;
        fill_labels(&mut metric.label, sample.labels);
        metric.timestamp_ms = sample.timestamp;
        let created = sample.created.and_then(Timestamp::of);
        match (self.family.kind, sample.point) {
            (Kind::Counter, Point::Number { value, exemplar }) => {
                let exemplar = exemplar.map(exemplar_of);
                clear(metric).counter = Some(proto::Counter { value: Some(value), exemplar, created });
            }
            (Kind::Unknown, Point::Number { value, .. }) => {
                clear(metric).untyped = Some(proto::Number { value: Some(value) });
            }
            (Kind::Gauge | Kind::Info | Kind::StateSet, Point::Number { value, .. }) => {
                clear(metric).gauge = Some(proto::Number { value: Some(value) });
            }
            (Kind::Summary, Point::Summary { count, sum, quantiles }) => {
                let mut summary = metric.summary.take().unwrap_or_default();
                summary.count = count.map(|count| count as u64);
                summary.sum = sum;
                summary.created = created;
                summary.quantile.clear();
                let quantile =
                    |&(quantile, value): &(f64, f64)| proto::Quantile { quantile: Some(quantile), value: Some(value) };
                summary.quantile.extend(quantiles.iter().map(quantile));
                clear(metric).summary = Some(summary);
            }
            (Kind::Histogram | Kind::GaugeHistogram, Point::Histogram(histogram)) => {
                let mut message = metric.histogram.take().unwrap_or_default();
                fill_histogram(&mut message, &histogram);
                message.created = created;
                clear(metric).histogram = Some(message);
            }
            // What does not fit its family would be refused with all the others.
            _ => return,
        }
        self.out.push(METRIC);
        // A buffer that grows takes it.
        let _ = metric.encode_length_delimited(&mut self.out);
    }
}

/// Without a value.
fn clear(metric: &mut Metric) -> &mut Metric {
    (metric.counter, metric.gauge, metric.untyped) = (None, None, None);
    (metric.summary, metric.histogram) = (None, None);
    metric
}

fn fill_labels(pairs: &mut Vec<LabelPair>, labels: &Labels) {
    let mut filled = 0;
    for (name, value) in labels.pairs() {
        if filled == pairs.len() {
            pairs.push(LabelPair::default());
        }
        let pair = &mut pairs[filled];
        for (text, slot) in [(name, &mut pair.name), (value, &mut pair.value)] {
            let slot = slot.get_or_insert_default();
            slot.clear();
            slot.push_str(&text);
        }
        filled += 1;
    }
    pairs.truncate(filled);
}

fn exemplar_of(exemplar: &Exemplar) -> proto::Exemplar {
    let mut label = Vec::new();
    fill_labels(&mut label, &exemplar.labels);
    let timestamp = exemplar.timestamp.and_then(Timestamp::of);
    proto::Exemplar { label, value: Some(exemplar.value), timestamp }
}

/// A count that is whole goes to one field, one that is not to another.
fn split(count: f64) -> (Option<u64>, Option<f64>) {
    match whole(count) {
        Some(count) => (Some(count), None),
        None => (None, Some(count)),
    }
}

fn fill_histogram(message: &mut proto::Histogram, histogram: &Histogram<'_>) {
    (message.count, message.count_float) = histogram.count.map_or((None, None), split);
    message.sum = histogram.sum;
    message.bucket.clear();
    message.bucket.extend(histogram.buckets.iter().map(|bucket| {
        let (cumulative, cumulative_float) = split(bucket.cumulative);
        let exemplar = bucket.exemplar.as_deref().map(exemplar_of);
        proto::Bucket { cumulative, upper: Some(bucket.upper), exemplar, cumulative_float }
    }));
    (message.schema, message.zero_threshold) = (None, None);
    (message.zero_count, message.zero_count_float) = (None, None);
    let is_whole = |native: &Native<'_>| {
        let counts = native.positive.iter().chain(native.negative).map(|(_, count)| *count);
        counts.chain([native.zero_count]).all(|count| split(count).0.is_some())
    };
    let whole = histogram.native.as_ref().is_none_or(is_whole);
    let (positive, negative): (&[_], &[_]) = histogram.native.map_or((&[], &[]), |n| (n.positive, n.negative));
    fill_side(positive, whole, &mut message.positive_span, &mut message.positive_delta, &mut message.positive_count);
    fill_side(negative, whole, &mut message.negative_span, &mut message.negative_delta, &mut message.negative_count);
    if let Some(native) = histogram.native {
        message.schema = Some(native.schema);
        message.zero_threshold = Some(native.zero_threshold);
        (message.zero_count, message.zero_count_float) =
            if whole { split(native.zero_count) } else { (None, Some(native.zero_count)) };
        // A histogram without a bucket at all is known to be native by an empty span.
        if positive.is_empty() && negative.is_empty() && native.zero_threshold == 0.0 {
            message.positive_span.push(proto::Span { offset: Some(0), length: Some(0) });
        }
    }
}

fn fill_side(
    buckets: &[(i32, f64)],
    whole: bool,
    spans: &mut Vec<proto::Span>,
    deltas: &mut Vec<i64>,
    counts: &mut Vec<f64>,
) {
    spans.clear();
    deltas.clear();
    counts.clear();
    let (mut next, mut before) = (0, 0);
    for &(place, count) in buckets {
        match spans.last_mut() {
            Some(span) if place == next => span.length = span.length.map(|length| length + 1),
            _ => spans.push(proto::Span { offset: Some(place.wrapping_sub(next)), length: Some(1) }),
        }
        next = place.wrapping_add(1);
        if whole {
            deltas.push((count as i64).wrapping_sub(before));
            before = count as i64;
        } else {
            counts.push(count);
        }
    }
}
