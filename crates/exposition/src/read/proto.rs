//! Protobuf: families of `io.prometheus.client`, each with its length in front.

use prost::Message;

use super::Unreadable;
use crate::{
    Bucket, Exemplar, Family, Kind, Labels, NativeBuckets, Series, Value,
    proto::{self, LabelPair, Metric, MetricFamily, MetricType, Timestamp},
};

/// A native histogram has at most a few hundred buckets; a damaged one may claim four billion.
const MOST_BUCKETS: usize = 100_000;

pub fn read_protobuf(mut body: &[u8]) -> Result<Vec<Family>, Unreadable> {
    let mut families = Vec::new();
    while !body.is_empty() {
        let nth = families.len() + 1;
        let message = MetricFamily::decode_length_delimited(&mut body)
            .map_err(|error| Unreadable::at(nth, format!("family {nth}: {error}")))?;
        families.push(family(message).map_err(|problem| Unreadable::at(nth, format!("family {nth}: {problem}")))?);
    }
    Ok(families)
}

fn family(message: MetricFamily) -> Result<Family, String> {
    let name = message.name.filter(|name| !name.is_empty()).ok_or("expected a name")?;
    let kind = match message.kind.unwrap_or_default() {
        kind if kind == MetricType::Counter as i32 => Kind::Counter,
        kind if kind == MetricType::Gauge as i32 => Kind::Gauge,
        kind if kind == MetricType::Summary as i32 => Kind::Summary,
        kind if kind == MetricType::Untyped as i32 => Kind::Unknown,
        kind if kind == MetricType::Histogram as i32 => Kind::Histogram,
        kind if kind == MetricType::GaugeHistogram as i32 => Kind::GaugeHistogram,
        other => return Err(format!("{name}: type {other} is not known")),
    };
    let series = message.metric.into_iter().map(|metric| series(kind, metric));
    let series = series.collect::<Result<_, _>>().map_err(|problem| format!("{name}: {problem}"))?;
    Ok(Family { name, help: message.help, unit: message.unit.filter(|unit| !unit.is_empty()), kind, series })
}

fn series(kind: Kind, metric: Metric) -> Result<Series, String> {
    let mut created = None;
    let number = |value: Option<f64>, exemplar| Value::Number { value: value.unwrap_or_default(), exemplar };
    let value = match kind {
        Kind::Counter => {
            let counter = metric.counter.ok_or("expected a counter")?;
            created = counter.created;
            number(counter.value, counter.exemplar.map(exemplar))
        }
        Kind::Summary => {
            let summary = metric.summary.ok_or("expected a summary")?;
            created = summary.created;
            let pair = |one: proto::Quantile| (one.quantile.unwrap_or_default(), one.value.unwrap_or_default());
            Value::Summary {
                count: summary.count.map(|count| count as f64),
                sum: summary.sum,
                quantiles: summary.quantile.into_iter().map(pair).collect(),
            }
        }
        Kind::Histogram | Kind::GaugeHistogram => {
            let mut histogram = metric.histogram.ok_or("expected a histogram")?;
            created = histogram.created.take();
            histogram_of(histogram)?
        }
        Kind::Unknown => number(metric.untyped.ok_or("expected an untyped value")?.value, None),
        Kind::Gauge | Kind::Info | Kind::StateSet => number(metric.gauge.ok_or("expected a gauge")?.value, None),
    };
    Ok(Series {
        labels: labels(metric.label),
        value,
        created: created.map(|created| created.seconds()),
        timestamp: metric.timestamp_ms,
    })
}

fn labels(pairs: Vec<LabelPair>) -> Labels {
    Labels::new(pairs.into_iter().map(|pair| (pair.name.unwrap_or_default(), pair.value.unwrap_or_default())))
}

fn exemplar(message: proto::Exemplar) -> Exemplar {
    Exemplar {
        labels: labels(message.label),
        value: message.value.unwrap_or_default(),
        timestamp: message.timestamp.as_ref().map(Timestamp::seconds),
    }
}

/// The whole one, unless there is one that is not.
fn joined(whole: Option<u64>, float: Option<f64>) -> Option<f64> {
    float.filter(|float| *float != 0.0).or(whole.map(|count| count as f64)).or(float)
}

fn histogram_of(message: proto::Histogram) -> Result<Value, String> {
    let bucket = |bucket: proto::Bucket| Bucket {
        upper: bucket.upper.unwrap_or_default(),
        cumulative: joined(bucket.cumulative, bucket.cumulative_float).unwrap_or_default(),
        exemplar: bucket.exemplar.map(|message| Box::new(exemplar(message))),
    };
    let native = match message.schema {
        None => None,
        Some(schema) => Some(NativeBuckets {
            schema,
            zero_threshold: message.zero_threshold.unwrap_or_default(),
            zero_count: joined(message.zero_count, message.zero_count_float).unwrap_or_default(),
            positive: side(&message.positive_span, &message.positive_delta, &message.positive_count)?,
            negative: side(&message.negative_span, &message.negative_delta, &message.negative_count)?,
        }),
    };
    Ok(Value::Histogram {
        count: joined(message.count, message.count_float),
        sum: message.sum,
        buckets: message.bucket.into_iter().map(bucket).collect(),
        native,
    })
}

fn side(spans: &[proto::Span], deltas: &[i64], counts: &[f64]) -> Result<Vec<(i32, f64)>, String> {
    let mut buckets = Vec::new();
    let (mut place, mut whole) = (0_i32, 0_i64);
    for span in spans {
        place = place.wrapping_add(span.offset.unwrap_or_default());
        for _ in 0..span.length.unwrap_or_default() {
            let nth = buckets.len();
            let count = match (counts.get(nth), deltas.get(nth)) {
                (Some(count), _) => *count,
                (None, Some(delta)) => {
                    whole = whole.wrapping_add(*delta);
                    whole as f64
                }
                (None, None) => return Err("fewer buckets than its spans have".to_owned()),
            };
            if nth >= MOST_BUCKETS {
                return Err(format!("more than {MOST_BUCKETS} buckets"));
            }
            buckets.push((place, count));
            place = place.wrapping_add(1);
        }
    }
    Ok(buckets)
}
