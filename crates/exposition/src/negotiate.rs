//! Which format a reader gets, by what its `Accept` prefers and we offer, and whether it is compressed.

use crate::Escaping;

/// How metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    #[default]
    Text,
    OpenMetrics,
    /// Families of `io.prometheus.client`, each with its length in front.
    Protobuf,
}

/// A format, in the version and with the escaping that a reader asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Format {
    pub shape: Shape,
    pub escaping: Escaping,
    version: Version,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Version {
    /// What each format has when nothing is asked for.
    #[default]
    Usual,
    /// Of OpenMetrics: 0.0.1. It is what it was called before it was 1.0.0.
    Draft,
    /// Of text: 1.0.0. Names may be quoted.
    Quoting,
}

impl Format {
    pub const TEXT: Self = Self { shape: Shape::Text, escaping: Escaping::Underscores, version: Version::Usual };

    pub fn new(shape: Shape, escaping: Escaping) -> Self {
        Self { shape, escaping, version: Version::default() }
    }

    /// The `Content-Type`.
    pub fn content_type(self) -> String {
        let kind = match (self.shape, self.version) {
            (Shape::Text, Version::Quoting) => "text/plain; version=1.0.0; charset=utf-8",
            (Shape::Text, _) => "text/plain; version=0.0.4; charset=utf-8",
            (Shape::OpenMetrics, Version::Draft) => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            (Shape::OpenMetrics, _) => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            (Shape::Protobuf, _) => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        format!("{kind}; escaping={}", self.escaping.name())
    }
}

/// What may be negotiated beside text, which always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub openmetrics: OpenMetrics,
    pub protobuf: bool,
}

/// When somebody gets OpenMetrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenMetrics {
    /// When it is what a reader prefers.
    #[default]
    Preferred,
    /// When a reader takes nothing else that we have. It writes the bounds of buckets differently, and knows no counter
    /// without `_total`: for a Prometheus that had text until now, it would make other series of the same metrics.
    Alone,
    Never,
}

impl Default for Offer {
    fn default() -> Self {
        Self { openmetrics: OpenMetrics::default(), protobuf: true }
    }
}

/// The format for a reader with this `Accept`. Who accepts nothing that we have gets text, as everywhere.
pub fn negotiate(accept: &str, offer: Offer) -> Format {
    let mut ranges: Vec<_> = elements(accept).collect();
    // Stable: among equals the first named is preferred.
    ranges.sort_by(|one, other| other.quality.total_cmp(&one.quality));
    let mut formats = ranges.iter().filter(|range| range.quality > 0.0).filter_map(|range| range.format(offer));
    let Some(first) = formats.next() else { return Format::TEXT };
    if offer.openmetrics == OpenMetrics::Preferred || first.shape != Shape::OpenMetrics {
        return first;
    }
    formats.find(|other| other.shape != Shape::OpenMetrics).unwrap_or(first)
}

/// What bodies are compressed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Coding {
    #[default]
    Plain,
    Gzip,
    Zstd,
}

impl Coding {
    /// The `Content-Encoding`, if there is one.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// The coding for a reader with this `Accept-Encoding`: the one it prefers; among equals zstd, which costs least.
pub fn coding(accept_encoding: &str) -> Coding {
    let mut best = (0.0, Coding::Plain);
    let rank = |coding: Coding| coding as u8;
    for element in elements(accept_encoding) {
        let coding = match element.name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Coding::Gzip,
            "zstd" => Coding::Zstd,
            "identity" => Coding::Plain,
            // Anything at all is no wish for compression.
            _ => continue,
        };
        let better = element.quality > best.0 || element.quality == best.0 && rank(coding) > rank(best.1);
        if element.quality > 0.0 && better {
            best = (element.quality, coding);
        }
    }
    best.1
}

struct Element<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f64,
}

/// `name;parameter=value;q=0.5, name...`
fn elements(header: &str) -> impl Iterator<Item = Element<'_>> {
    let trimmed = header.split(',').map(str::trim).filter(|element| !element.is_empty());
    trimmed.map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let pair = |part: &str| -> Option<(usize, usize)> { part.find('=').map(|at| (at, at + 1)) };
        let parameters: Vec<_> = parts
            .filter_map(|part| {
                pair(part).map(|(end, start)| (part[..end].trim(), part[start..].trim().trim_matches('"')))
            })
            .collect();
        let quality = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let quality = quality.map_or(1.0, |(_, value)| value.parse().unwrap_or(0.0));
        Element { name, parameters, quality }
    })
}

impl Element<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    fn format(&self, offer: Offer) -> Option<Format> {
        let escaping = self.parameter("escaping").and_then(Escaping::named).unwrap_or_default();
        let version = self.parameter("version");
        let format = |shape, version| Some(Format { shape, escaping, version });
        match self.name.to_ascii_lowercase().as_str() {
            "application/vnd.google.protobuf" if offer.protobuf => {
                let right = self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && self.parameter("encoding") == Some("delimited");
                if right { format(Shape::Protobuf, Version::Usual) } else { None }
            }
            "application/openmetrics-text" if offer.openmetrics != OpenMetrics::Never => match version {
                None | Some("1.0.0") => format(Shape::OpenMetrics, Version::Usual),
                Some("0.0.1") => format(Shape::OpenMetrics, Version::Draft),
                Some(_) => None,
            },
            "text/plain" => match version {
                None | Some("0.0.4") => format(Shape::Text, Version::Usual),
                Some("1.0.0") => format(Shape::Text, Version::Quoting),
                Some(_) => None,
            },
            "*/*" | "text/*" => format(Shape::Text, Version::Usual),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "negotiate_tests.rs"]
mod tests;
