//! How observations are kept: `summary_options`, `histogram_options`, and where those were written once.

use std::{str::FromStr, time::Duration};

use common::config::Section;
use values::Span;

use super::scalar::{Count, Float};
use crate::map::{Histogram, Native, Observer, Quantile, Summary};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ObserverType {
    /// Nothing was said: a summary, which may have options of either kind.
    #[default]
    Unsaid,
    Summary,
    Histogram,
}

impl FromStr for ObserverType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "summary" | "" => Ok(Self::Summary),
            "histogram" => Ok(Self::Histogram),
            _ => Err("expected summary or histogram"),
        }
    }
}

/// Both kinds, because a default may be for either.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    summary: Summary,
    histogram: Histogram,
}

impl Options {
    pub(super) fn observer(&self, of: ObserverType) -> Observer {
        match of {
            ObserverType::Histogram => Observer::Histogram(self.histogram.clone()),
            ObserverType::Summary | ObserverType::Unsaid => Observer::Summary(self.summary.clone()),
        }
    }

    pub(super) fn of_defaults(section: &mut Section) -> Self {
        let (quantiles, buckets) = (quantiles(section), buckets(section));
        let mut summary = SummaryOptions::of(section);
        // An old spelling counts when the new one says nothing, and then all of the new one is nothing.
        if summary.quantiles.is_empty() && !quantiles.is_empty() {
            summary = SummaryOptions { quantiles, ..SummaryOptions::default() };
        }
        let mut histogram = HistogramOptions::of(section);
        if histogram.buckets.is_empty() && !buckets.is_empty() {
            histogram = HistogramOptions { buckets, ..HistogramOptions::default() };
        }
        Self { summary: summary.over(&Summary::default()), histogram: histogram.over(&Histogram::default()) }
    }

    pub(super) fn of_rule(
        section: &mut Section,
        of: ObserverType,
        defaults: &Self,
        spelled: &str,
        warnings: &mut Vec<String>,
    ) -> Self {
        let (has_summary, has_histogram) = (section.has("summary_options"), section.has("histogram_options"));
        if of == ObserverType::Histogram && has_summary {
            section.problem("summary_options: the observer is a histogram");
        }
        if of == ObserverType::Summary && has_histogram {
            section.problem("histogram_options: the observer is a summary");
        }
        let (has_quantiles, has_buckets) = (section.has("quantiles"), section.has("buckets"));
        let (quantiles, buckets) = (quantiles(section), buckets(section));
        let mut summary = SummaryOptions::of(section);
        let mut histogram = HistogramOptions::of(section);
        for (old, also, place) in [
            (has_quantiles, summary.has_quantiles, "summary_options.quantiles"),
            (has_buckets, histogram.has_buckets, "histogram_options.buckets"),
        ] {
            let old_place = place.rsplit('.').next().unwrap_or(place);
            if old && also {
                section.problem(format!("{old_place}: given here and as {place}"));
            } else if old {
                warnings.push(format!("match {spelled}: {old_place} is an old spelling of {place}"));
            }
        }
        if !quantiles.is_empty() {
            summary.quantiles = quantiles;
        }
        if !buckets.is_empty() {
            histogram.buckets = buckets;
        }
        Self { summary: summary.over(&defaults.summary), histogram: histogram.over(&defaults.histogram) }
    }
}

/// As it was written; what is zero or empty was not said.
#[derive(Default)]
struct SummaryOptions {
    has_quantiles: bool,
    quantiles: Vec<Quantile>,
    max_age: Duration,
    age_buckets: u32,
    buffer: u32,
}

impl SummaryOptions {
    fn of(section: &mut Section) -> Self {
        let Some(mut section) = section.section("summary_options") else { return Self::default() };
        Self {
            has_quantiles: section.has("quantiles"),
            quantiles: quantiles(&mut section),
            max_age: section.parsed("max_age").map_or(Duration::ZERO, |Span(age)| age),
            age_buckets: section.parsed("age_buckets").map_or(0, |Count(count)| count),
            buffer: section.parsed("buf_cap").map_or(0, |Count(count)| count),
        }
    }

    fn over(self, other: &Summary) -> Summary {
        let said = |number: u32, other: u32| if number == 0 { other } else { number };
        Summary {
            quantiles: if self.quantiles.is_empty() { other.quantiles.clone() } else { self.quantiles },
            max_age: if self.max_age.is_zero() { other.max_age } else { self.max_age },
            age_buckets: said(self.age_buckets, other.age_buckets),
            buffer: said(self.buffer, other.buffer),
        }
    }
}

/// As it was written; what is zero or empty was not said.
#[derive(Default)]
struct HistogramOptions {
    has_buckets: bool,
    buckets: Vec<f64>,
    factor: Option<f64>,
    most_buckets: u32,
}

impl HistogramOptions {
    fn of(section: &mut Section) -> Self {
        let Some(mut section) = section.section("histogram_options") else { return Self::default() };
        Self {
            has_buckets: section.has("buckets"),
            buckets: buckets(&mut section),
            factor: section.parsed("native_histogram_bucket_factor").map(|Float(factor)| factor).filter(|f| *f != 0.0),
            most_buckets: section.parsed("native_histogram_max_buckets").map_or(0, |Count(count)| count),
        }
    }

    fn over(self, other: &Histogram) -> Histogram {
        let standard = Native { factor: 1.1, most_buckets: 256 };
        let inherited = other.native.unwrap_or(standard);
        let most_buckets = if self.most_buckets == 0 { inherited.most_buckets } else { self.most_buckets };
        let factor = self.factor.or(other.native.map(|native| native.factor));
        Histogram {
            buckets: if self.buckets.is_empty() { other.buckets.clone() } else { self.buckets },
            // Buckets that do not grow are none: that is how native histograms are switched off.
            native: factor.filter(|factor| *factor > 1.0).map(|factor| Native { factor, most_buckets }),
        }
    }
}

fn quantiles(section: &mut Section) -> Vec<Quantile> {
    let quantile = |mut section: Section| {
        let quantile = section.parsed("quantile").map_or(0.0, |Part(part)| part);
        let error = section.parsed("error").map_or(0.0, |Part(part)| part);
        Quantile { quantile, error }
    };
    let found: Vec<_> = section.sections("quantiles").into_iter().map(quantile).collect();
    for (nth, one) in found.iter().enumerate() {
        if found[..nth].iter().any(|other| other.quantile == one.quantile) {
            section.problem(format!("quantiles: {} is there twice", one.quantile));
        }
    }
    found
}

fn buckets(section: &mut Section) -> Vec<f64> {
    let mut buckets: Vec<f64> = section.list("buckets").into_iter().map(|Float(bound)| bound).collect();
    if let Some(pair) = buckets.windows(2).find(|pair| pair[0] >= pair[1]) {
        section.problem(format!("buckets: {} comes after {}, expected them to ascend", pair[1], pair[0]));
    }
    if buckets.first() == Some(&f64::NEG_INFINITY) {
        section.problem("buckets: expected bounds that are not below all numbers");
    }
    // The last one is always there, and need not be said.
    buckets.pop_if(|bound| *bound == f64::INFINITY);
    buckets
}

/// A part of a whole.
struct Part(f64);

impl FromStr for Part {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected a number from 0 to 1";
        let Float(number) = text.parse().map_err(|_| expected)?;
        if (0.0..=1.0).contains(&number) { Ok(Self(number)) } else { Err(expected) }
    }
}
