//! A rule and its parts: plain data, and what is used where nothing is said.

use std::time::Duration;

/// What a line is about, before anything is known of how it will be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Counter,
    Gauge,
    /// Timers, histograms and distributions.
    Observer,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Counter, Self::Gauge, Self::Observer];

    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Observer => "observer",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    #[default]
    Map,
    Drop,
}

/// What observations become.
#[derive(Clone, Debug, PartialEq)]
pub enum Observer {
    Summary(Summary),
    Histogram(Histogram),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub quantiles: Vec<Quantile>,
    pub max_age: Duration,
    /// Into how many steps `max_age` is divided.
    pub age_buckets: u32,
    /// Accepted for the peer's sake; what we keep needs no buffer.
    pub buffer: u32,
}

/// How long an observation counts towards quantiles when nothing is said.
pub const MAX_AGE: Duration = Duration::from_secs(600);
const AGE_BUCKETS: u32 = 5;
const BUFFER: u32 = 500;

impl Default for Summary {
    fn default() -> Self {
        Self { quantiles: default_quantiles(), max_age: MAX_AGE, age_buckets: AGE_BUCKETS, buffer: BUFFER }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// 0 to 1.
    pub quantile: f64,
    /// How far the answer's rank may be off, as a part of 1.
    pub error: f64,
}

pub fn default_quantiles() -> Vec<Quantile> {
    let pairs = [(0.5, 0.05), (0.9, 0.01), (0.99, 0.001)];
    pairs.into_iter().map(|(quantile, error)| Quantile { quantile, error }).collect()
}

#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds, ascending, without the infinite one.
    pub buckets: Vec<f64>,
    /// Kept beside the buckets, and seen by those who ask for protobuf.
    pub native: Option<Native>,
}

/// A histogram whose buckets grow by a factor and exist when something is in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Native {
    pub factor: f64,
    pub most_buckets: u32,
}

pub fn default_buckets() -> Vec<f64> {
    vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: default_buckets(), native: Some(Native { factor: 1.1, most_buckets: 256 }) }
    }
}

/// What is done with the names that a rule matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// How the rule recognises names, as it is spelled: for logs and explanations.
    pub spelled: String,
    /// Only for lines of this kind.
    pub kind: Option<Kind>,
    pub action: Action,
    /// May contain `$1`, `${1}`.
    pub name: String,
    /// Values may contain `$1`, `${1}`.
    pub labels: Vec<(String, String)>,
    /// Labels of the line stay where the rule has one of the same name.
    pub honor_labels: bool,
    pub help: Option<String>,
    /// Zero is for ever.
    pub ttl: Duration,
    /// What values are multiplied with.
    pub scale: Option<f64>,
    pub observer: Observer,
}

/// What holds for names that no rule matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    pub ttl: Duration,
    pub observer: Observer,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { ttl: Duration::ZERO, observer: Observer::Summary(Summary::default()) }
    }
}
