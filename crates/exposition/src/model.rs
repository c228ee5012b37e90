//! What is handed to an [`Encoder`](crate::Encoder): borrowed, one family and one series at a time.

use crate::Labels;

/// What a family is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    Counter,
    Gauge,
    Summary,
    Histogram,
    /// A histogram that may also shrink.
    GaugeHistogram,
    /// A series that is always 1 and says something by its labels. Its samples have the suffix `_info`.
    Info,
    /// One series for each state, 1 or 0.
    StateSet,
    #[default]
    Unknown,
}

/// What comes before the series of a family.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// As the text format names it: a counter that is called `requests_total` has its suffix here.
    pub name: &'a str,
    pub help: Option<&'a str>,
    pub unit: Option<&'a str>,
    pub kind: Kind,
}

/// One series of the family that was begun last.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub labels: &'a Labels,
    pub point: Point<'a>,
    /// When it began to count, in seconds since the epoch.
    pub created: Option<f64>,
    /// When it had this value, in milliseconds since the epoch. None is now.
    pub timestamp: Option<i64>,
}

/// The value. Its shape has to fit the [`Kind`] of the family; what does not fit is left out.
#[derive(Clone, Copy, Debug)]
pub enum Point<'a> {
    /// Of counters, gauges, infos, states and what is unknown.
    Number {
        value: f64,
        exemplar: Option<&'a Exemplar>,
    },
    Summary {
        count: Option<f64>,
        sum: Option<f64>,
        /// Quantile and value, ascending.
        quantiles: &'a [(f64, f64)],
    },
    Histogram(Histogram<'a>),
}

impl Point<'_> {
    pub const fn number(value: f64) -> Self {
        Self::Number { value, exemplar: None }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Histogram<'a> {
    pub count: Option<f64>,
    pub sum: Option<f64>,
    /// Ascending. One that is infinite may be left out: it is the count.
    pub buckets: &'a [Bucket],
    /// Only protobuf can carry it.
    pub native: Option<Native<'a>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    pub upper: f64,
    /// How many observations were not above `upper`.
    pub cumulative: f64,
    pub exemplar: Option<Box<Exemplar>>,
}

/// Buckets that grow by 2^2^-schema and are there when something is in them.
#[derive(Clone, Copy, Debug)]
pub struct Native<'a> {
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    /// Place and how many are in it (not cumulative), ascending by place.
    pub positive: &'a [(i32, f64)],
    pub negative: &'a [(i32, f64)],
}

/// One observation that stands for others: where to look further.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub value: f64,
    /// In seconds since the epoch.
    pub timestamp: Option<f64>,
}
