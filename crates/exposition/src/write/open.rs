//! OpenMetrics 1.0.
//!
//! It refuses what the text format takes: counters and buckets below zero, a sum beside buckets below zero, exemplars
//! that are too long, units that the name does not end in. What would make it refuse a scrape is left out here, or
//! becomes of unknown type: one odd series must not cost all the others.

use super::{Encoder, Totals};
use crate::{Exemplar, Head, Histogram, Kind, Point, Sample, number};

/// Characters of all names and values of an exemplar.
const LONGEST_EXEMPLAR: usize = 128;

impl Encoder {
    pub(super) fn open_head(&mut self, head: &Head<'_>) {
        let mut kind = head.kind;
        if kind == Kind::Counter {
            match self.family.name.strip_suffix("_total").map(str::len) {
                Some(len) if len > 0 => self.family.name.truncate(len),
                _ if self.totals == Totals::Append => {}
                _ => kind = Kind::Unknown,
            }
        }
        let (name, suffix) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Summary => ("summary", ""),
            Kind::Histogram => ("histogram", ""),
            Kind::GaugeHistogram => ("gaugehistogram", ""),
            Kind::Info => ("info", "_info"),
            Kind::StateSet => ("stateset", ""),
            Kind::Unknown => ("unknown", ""),
        };
        (self.family.kind, self.family.suffix) = (kind, suffix);
        if let Some(help) = head.help {
            self.comment(" HELP ", "", help, true);
        }
        self.comment(" TYPE ", "", name, false);
        let may_have_unit = !matches!(kind, Kind::Info | Kind::StateSet);
        let ends_in = |unit: &&str| self.family.name.strip_suffix(unit).is_some_and(|name| name.ends_with('_'));
        if let Some(unit) = head.unit.filter(|unit| may_have_unit && !unit.is_empty()).filter(ends_in) {
            self.comment(" UNIT ", "", unit, true);
        }
    }

    pub(super) fn open_sample(&mut self, sample: &Sample<'_>) {
        let kind = self.family.kind;
        match sample.point {
            Point::Number { value, exemplar } => {
                let may_be = match kind {
                    Kind::Counter => value >= 0.0,
                    Kind::Info => value == 1.0,
                    Kind::StateSet => value == 0.0 || value == 1.0,
                    _ => true,
                };
                if !may_be {
                    return;
                }
                let exemplar = exemplar.filter(|_| kind == Kind::Counter);
                self.open_line(sample, self.family.suffix, None, Number::Value(value), exemplar);
                if kind == Kind::Counter {
                    self.created(sample);
                }
            }
            Point::Summary { count, sum, quantiles } => {
                for (quantile, value) in quantiles {
                    self.open_line(sample, "", Some(("quantile", *quantile)), Number::Value(*value), None);
                }
                if let Some(sum) = sum.filter(|sum| *sum >= 0.0) {
                    self.open_line(sample, "_sum", None, Number::Value(sum), None);
                }
                if let Some(count) = count {
                    self.open_line(sample, "_count", None, Number::Count(count), None);
                }
                self.created(sample);
            }
            Point::Histogram(histogram) => self.open_histogram(sample, &histogram),
        }
    }

    fn open_histogram(&mut self, sample: &Sample<'_>, histogram: &Histogram<'_>) {
        let Histogram { count, sum, buckets, .. } = *histogram;
        let gauge = self.family.kind == Kind::GaugeHistogram;
        for bucket in buckets {
            let bound = Some(("le", bucket.upper));
            self.open_line(sample, "_bucket", bound, Number::Count(bucket.cumulative), bucket.exemplar.as_deref());
        }
        let last = buckets.last();
        let infinite = last.filter(|bucket| bucket.upper == f64::INFINITY);
        // Those with neither bucket nor count have nothing to say.
        let all = count.or(last.map(|bucket| bucket.cumulative)).unwrap_or(0.0);
        if infinite.is_none() {
            self.open_line(sample, "_bucket", Some(("le", f64::INFINITY)), Number::Count(all), None);
        }
        let below_zero = buckets.first().is_some_and(|bucket| bucket.upper < 0.0);
        let sum = sum.filter(|sum| if gauge { below_zero || *sum >= 0.0 } else { !below_zero && *sum >= 0.0 });
        // Both or none.
        if let Some((sum, _)) = sum.zip(count) {
            self.open_line(sample, if gauge { "_gcount" } else { "_count" }, None, Number::Count(all), None);
            self.open_line(sample, if gauge { "_gsum" } else { "_sum" }, None, Number::Value(sum), None);
        }
        if !gauge {
            self.created(sample);
        }
    }

    fn created(&mut self, sample: &Sample<'_>) {
        let Some(created) = sample.created else { return };
        let (last, mut text) = std::mem::take(&mut self.created);
        if last != Some(created) {
            text.clear();
            number::push_with_point(&mut text, created);
        }
        self.open_line(sample, "_created", None, Number::Written(&text), None);
        self.created = (Some(created), text);
    }

    fn open_line(
        &mut self,
        sample: &Sample<'_>,
        suffix: &str,
        extra: Option<(&str, f64)>,
        value: Number<'_>,
        exemplar: Option<&Exemplar>,
    ) {
        self.opening(suffix, sample.labels.text(), extra);
        match value {
            Number::Value(value) => number::push_with_point(&mut self.out, value),
            Number::Count(count) => number::push_count(&mut self.out, count),
            Number::Written(text) => self.out.extend_from_slice(text),
        }
        if let Some(timestamp) = sample.timestamp {
            self.out.push(b' ');
            number::push_with_point(&mut self.out, timestamp as f64 / 1000.0);
        }
        if let Some(exemplar) = exemplar.filter(|exemplar| is_short(exemplar)) {
            self.out.extend_from_slice(b" # {");
            self.out.extend_from_slice(exemplar.labels.text().as_bytes());
            self.out.extend_from_slice(b"} ");
            number::push_with_point(&mut self.out, exemplar.value);
            if let Some(timestamp) = exemplar.timestamp.filter(|time| time.is_finite()) {
                self.out.push(b' ');
                number::push_with_point(&mut self.out, timestamp);
            }
        }
        self.out.push(b'\n');
    }
}

#[derive(Clone, Copy)]
enum Number<'a> {
    Value(f64),
    Count(f64),
    Written(&'a [u8]),
}

fn is_short(exemplar: &Exemplar) -> bool {
    let lengths = exemplar.labels.pairs().map(|(name, value)| name.chars().count() + value.chars().count());
    lengths.sum::<usize>() <= LONGEST_EXEMPLAR
}
