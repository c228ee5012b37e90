//! Families that were read, or that somebody keeps: everything owned.

use crate::{Bucket, Encoder, Exemplar, Head, Histogram, Kind, Labels, Native, Point, Sample};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    /// As the text format names it: a counter that is called `requests_total` has its suffix here.
    pub name: String,
    pub help: Option<String>,
    pub unit: Option<String>,
    pub kind: Kind,
    pub series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub value: Value,
    /// In seconds since the epoch.
    pub created: Option<f64>,
    /// In milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number { value: f64, exemplar: Option<Exemplar> },
    Summary { count: Option<f64>, sum: Option<f64>, quantiles: Vec<(f64, f64)> },
    Histogram { count: Option<f64>, sum: Option<f64>, buckets: Vec<Bucket>, native: Option<NativeBuckets> },
}

/// What [`Native`] borrows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeBuckets {
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub positive: Vec<(i32, f64)>,
    pub negative: Vec<(i32, f64)>,
}

impl Family {
    pub fn head(&self) -> Head<'_> {
        Head { name: &self.name, help: self.help.as_deref(), unit: self.unit.as_deref(), kind: self.kind }
    }

    pub fn write_to(&self, encoder: &mut Encoder) {
        encoder.family(&self.head());
        for series in &self.series {
            encoder.sample(&series.sample());
        }
    }
}

impl Series {
    pub fn sample(&self) -> Sample<'_> {
        let Self { labels, value, created, timestamp } = self;
        Sample { labels, point: value.point(), created: *created, timestamp: *timestamp }
    }
}

impl Value {
    pub fn point(&self) -> Point<'_> {
        match self {
            Self::Number { value, exemplar } => Point::Number { value: *value, exemplar: exemplar.as_ref() },
            Self::Summary { count, sum, quantiles } => Point::Summary { count: *count, sum: *sum, quantiles },
            Self::Histogram { count, sum, buckets, native } => {
                let native = native.as_ref().map(NativeBuckets::borrowed);
                Point::Histogram(Histogram { count: *count, sum: *sum, buckets, native })
            }
        }
    }
}

impl NativeBuckets {
    fn borrowed(&self) -> Native<'_> {
        Native {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            positive: &self.positive,
            negative: &self.negative,
        }
    }
}
