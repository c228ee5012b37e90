//! Lines of statsd in all their dialects: what they say, and what is wrong with them.
//!
//! ```text
//!  shape.rs    name, value, rest: all that a line which was seen before needs
//!  parse.rs    everything else, once for each new name and rest; tags.rs, number.rs
//!  datadog.rs  events and service checks, which are no metrics
//! ```

pub mod datadog;
pub mod number;
pub mod parse;
pub mod shape;
pub mod tags;

/// What a sample is a sample of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Counter,
    Gauge,
    /// Timers, histograms and distributions.
    Observer,
    Set,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Counter, Self::Gauge, Self::Observer, Self::Set];

    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Observer => "observer",
            Self::Set => "set",
        }
    }
}

/// Which dialects are understood. What is off is part of the name or an error, as it would be for somebody who has never
/// heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Styles {
    /// `foo:1|c|#key:value`
    pub dogstatsd: bool,
    /// `foo,key=value:1|c`
    pub influxdb: bool,
    /// `foo#key=value:1|c`
    pub librato: bool,
    /// `foo[key=value]bar:1|c`
    pub signalfx: bool,
    /// `foo;key=value:1|c`
    pub graphite: bool,
    /// `foo:1:2:3|c`: several values for counters and gauges too, not only for timers.
    pub packed: bool,
}

impl Default for Styles {
    fn default() -> Self {
        Self { dogstatsd: true, influxdb: true, librato: true, signalfx: true, graphite: true, packed: true }
    }
}

/// Why a line or a sample of it is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    Line,
    MixedTags,
    NoBar,
    PackedType,
    Component,
    Value,
    NotFinite,
    Rate,
    Container,
    Type,
}

impl Wrong {
    pub const ALL: [Self; 10] = [
        Self::Line,
        Self::MixedTags,
        Self::NoBar,
        Self::PackedType,
        Self::Component,
        Self::Value,
        Self::NotFinite,
        Self::Rate,
        Self::Container,
        Self::Type,
    ];

    /// The label under which it is counted.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Line => "malformed_line",
            Self::MixedTags => "mixed_tagging_styles",
            Self::NoBar => "not_enough_parts_after_colon",
            Self::PackedType => "invalid_extended_aggregate_type",
            Self::Component => "malformed_component",
            Self::Value => "malformed_value",
            Self::NotFinite => "not_finite",
            Self::Rate => "invalid_sample_factor",
            Self::Container => "malformed_container_id",
            Self::Type => "illegal_event",
        }
    }

    /// The same for people.
    pub fn explained(self) -> &'static str {
        match self {
            Self::Line => "expected UTF-8 text of the form name:value|type",
            Self::MixedTags => "tags in the name and after |# cannot be used together",
            Self::NoBar => "expected |type after the value",
            Self::PackedType => "several values in one sample are for the types ms, h and d",
            Self::Component => "expected value|type and at most four more parts, none of them empty",
            Self::Value => "the value is not a number",
            Self::NotFinite => "the value is infinite or not a number, and would stay so for ever",
            Self::Rate => "expected @RATE, greater than 0 and at most 1, #TAGS, c:CONTAINER or TTIMESTAMP",
            Self::Container => "expected c:CONTAINER",
            Self::Type => "expected the type c, g, ms, h, d or s",
        }
    }
}
