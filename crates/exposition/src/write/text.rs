//! The text format 0.0.4, and 1.0.0, which differs in what names it may quote.

use super::Encoder;
use crate::{Head, Histogram, Kind, Point, Sample, number};

impl Encoder {
    pub(super) fn text_head(&mut self, head: &Head<'_>) {
        let kind = match head.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info | Kind::StateSet => "gauge",
            Kind::Summary => "summary",
            // The format has no histogram that shrinks.
            Kind::Histogram | Kind::GaugeHistogram => "histogram",
            Kind::Unknown => "untyped",
        };
        self.family.suffix = if head.kind == Kind::Info { "_info" } else { "" };
        if let Some(help) = head.help {
            self.comment(" HELP ", self.family.suffix, help, false);
        }
        self.comment(" TYPE ", self.family.suffix, kind, false);
    }

    pub(super) fn text_sample(&mut self, sample: &Sample<'_>) {
        match sample.point {
            Point::Number { value, .. } => self.text_line(sample, self.family.suffix, None, value),
            Point::Summary { count, sum, quantiles } => {
                for (quantile, value) in quantiles {
                    self.text_line(sample, "", Some(("quantile", *quantile)), *value);
                }
                self.text_line(sample, "_sum", None, sum.unwrap_or(0.0));
                self.text_line(sample, "_count", None, count.unwrap_or(0.0));
            }
            Point::Histogram(Histogram { count, sum, buckets, .. }) => {
                for bucket in buckets {
                    self.text_line(sample, "_bucket", Some(("le", bucket.upper)), bucket.cumulative);
                }
                let last = buckets.last();
                let count = count.or(last.map(|bucket| bucket.cumulative)).unwrap_or(0.0);
                if buckets.iter().all(|bucket| bucket.upper != f64::INFINITY) {
                    self.text_line(sample, "_bucket", Some(("le", f64::INFINITY)), count);
                }
                self.text_line(sample, "_sum", None, sum.unwrap_or(0.0));
                self.text_line(sample, "_count", None, count);
            }
        }
    }

    fn text_line(&mut self, sample: &Sample<'_>, suffix: &str, extra: Option<(&str, f64)>, value: f64) {
        self.opening(suffix, sample.labels.text(), extra);
        number::push(&mut self.out, value);
        if let Some(timestamp) = sample.timestamp {
            self.out.push(b' ');
            self.out.extend_from_slice(itoa::Buffer::new().format(timestamp).as_bytes());
        }
        self.out.push(b'\n');
    }
}
