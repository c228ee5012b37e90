//! What a line says, in full: done once for each new name and rest, and for lines that are wrong.

use std::borrow::Cow;

use super::{
    Kind, Styles, Wrong,
    number::{self, Bad},
    tags::{self, Labels},
};

/// A line that was taken apart.
#[derive(Debug, Default)]
pub struct Parsed<'l> {
    /// As it was sent, without its tags.
    pub name: Cow<'l, str>,
    pub labels: Labels<'l>,
    pub samples: Vec<Sample<'l>>,
    pub wrong: Vec<Wrong>,
    /// How many samples the line seemed to have, good or bad.
    pub seen: u32,
    /// How many of them had tags.
    pub tagged: u32,
    /// Tags that are none.
    pub tag_errors: u32,
}

/// One value of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'l> {
    pub kind: Kind,
    pub value: f64,
    /// Gauges with a sign are moved, not set.
    pub relative: bool,
    /// How values of these lines become what is counted.
    pub rule: Rule,
    /// The text of the value: what is in a set need not be a number.
    pub text: &'l str,
}

/// What the type and the sampling rate of a line do to its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// A timer sends milliseconds, and seconds are exposed.
    pub divide: f64,
    /// How many observations one stands for.
    pub weight: u32,
}

impl Rule {
    const PLAIN: Self = Self { divide: 1.0, weight: 1 };

    /// Of several rates all count for a counter, and the last one for observations, as everywhere.
    fn new(kind: &str, rates: f64, last: f64) -> Self {
        let weight = (1.0 / last) as u32;
        match kind {
            "c" => Self { divide: rates, weight: 1 },
            "ms" => Self { divide: 1000.0, weight },
            "h" | "d" => Self { divide: 1.0, weight },
            _ => Self::PLAIN,
        }
    }
}

/// Takes a line apart.
pub fn parse<'l>(line: &'l [u8], styles: &Styles) -> Parsed<'l> {
    let mut parsed = Parsed::default();
    if let Err(wrong) = parsed.read(line, styles) {
        parsed.wrong.push(wrong);
    }
    parsed
}

impl<'l> Parsed<'l> {
    fn read(&mut self, line: &'l [u8], styles: &Styles) -> Result<(), Wrong> {
        let line = std::str::from_utf8(line).map_err(|_| Wrong::Line)?;
        let (name, rest) = line.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or(Wrong::Line)?;
        (self.name, self.tag_errors) = tags::take(name, styles, &mut self.labels);
        let has_tags = rest.contains("|#");
        if has_tags && !self.labels.0.is_empty() {
            return Err(Wrong::MixedTags);
        }
        let (values, parts) = rest.split_once('|').ok_or(Wrong::NoBar)?;
        let kind = parts.split('|').next().unwrap_or_default();
        if values.contains(':') && kind != "s" {
            let packable = matches!(kind, "ms" | "h" | "d") || (styles.packed && matches!(kind, "c" | "g"));
            if !packable {
                return Err(Wrong::PackedType);
            }
            for value in values.split(':') {
                self.sample(value, parts, styles);
            }
        } else if has_tags || has_datadog_parts(parts) || kind == "s" {
            self.sample(values, parts, styles);
        } else {
            for sample in rest.split(':') {
                match sample.split_once('|') {
                    Some((value, parts)) => self.sample(value, parts, styles),
                    None => {
                        self.seen += 1;
                        self.wrong.push(Wrong::Component);
                    }
                }
            }
        }
        Ok(())
    }

    fn sample(&mut self, value: &'l str, parts: &'l str, styles: &Styles) {
        self.seen += 1;
        match self.understood(value, parts, styles) {
            Ok(sample) => self.samples.push(sample),
            Err(wrong) => self.wrong.push(wrong),
        }
    }

    fn understood(&mut self, text: &'l str, parts: &'l str, styles: &Styles) -> Result<Sample<'l>, Wrong> {
        let mut parts = parts.split('|');
        let kind = parts.next().unwrap_or_default();
        let parts: Vec<&str> = parts.collect();
        if parts.iter().filter(|part| !is_extension(part)).count() > 4 {
            return Err(Wrong::Component);
        }
        let value = match number::float(text.as_bytes()) {
            Ok(value) => value,
            Err(_) if kind == "s" => 0.0,
            Err(Bad::NotANumber) => return Err(Wrong::Value),
            Err(Bad::NotFinite) => return Err(Wrong::NotFinite),
        };
        if parts.iter().any(|part| part.is_empty()) {
            return Err(Wrong::Component);
        }
        let (mut rates, mut last) = (1.0, 1.0);
        for part in parts {
            match part.as_bytes()[0] {
                // A rate that nobody can read is an error, and the value still counts.
                b'@' => match number::rate(&part.as_bytes()[1..]) {
                    Some(rate) => (rates, last) = (rates * rate, rate),
                    None => self.wrong.push(Wrong::Rate),
                },
                b'#' if styles.dogstatsd => self.tag_errors += self.labels.dogstatsd(&part[1..]),
                b'#' => {}
                _ if is_extension(part) => {}
                b'c' => {
                    let id = part.strip_prefix("c:").filter(|id| !id.is_empty()).ok_or(Wrong::Container)?;
                    self.labels.set("container_id".into(), id);
                }
                _ => return Err(Wrong::Rate),
            }
        }
        self.tagged += u32::from(!self.labels.0.is_empty());
        let (kind, rule) = match kind {
            "c" => (Kind::Counter, Rule::new(kind, rates, last)),
            "g" => (Kind::Gauge, Rule::PLAIN),
            "ms" | "h" | "d" => (Kind::Observer, Rule::new(kind, rates, last)),
            "s" => (Kind::Set, Rule::PLAIN),
            _ => return Err(Wrong::Type),
        };
        let relative = kind == Kind::Gauge && text.starts_with(['+', '-']);
        let value = value / rule.divide;
        if !value.is_finite() {
            return Err(Wrong::NotFinite);
        }
        Ok(Sample { kind, value, relative, rule, text })
    }
}

/// What later versions of DogStatsD have added: time, external data, cardinality. Nothing of it is exposed.
fn is_extension(part: &str) -> bool {
    part.starts_with('T') || part.starts_with("e:") || part.starts_with("card:")
}

/// Whether colons in the parts belong to them, and do not begin one more sample as in `1|c:2|g`.
fn has_datadog_parts(parts: &str) -> bool {
    let mut parts = parts.split('|');
    let kind_is_alone = parts.next().is_some_and(|kind| !kind.contains(':'));
    let mut found = false;
    for part in parts {
        let is_named = is_extension(part) || part.starts_with("c:");
        if !is_named && part.contains(':') {
            return false;
        }
        found |= is_named && part.contains(':');
    }
    kind_is_alone && found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let parsed = parse(line.as_bytes(), &Styles::default());
        let labels: String = parsed.labels.0.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        let samples = parsed.samples.iter().map(|sample| {
            let relative = if sample.relative { "~" } else { "" };
            let (kind, text) = (sample.kind.name(), if sample.kind == Kind::Set { sample.text } else { "" });
            format!("{kind} {relative}{}*{}{text};", sample.value, sample.rule.weight)
        });
        let samples: String = samples.collect();
        let wrong: String = parsed.wrong.iter().map(|wrong| format!(" {}", wrong.reason())).collect();
        let errors = if parsed.tag_errors > 0 { format!(" {} bad tags", parsed.tag_errors) } else { String::new() };
        format!("{}{labels}: {samples}{wrong}{errors}", parsed.name)
    }

    #[test]
    fn understands_every_dialect() {
        for (line, means) in [
            ("foo:2|c", "foo: counter 2*1;"),
            ("foo:-3|g", "foo: gauge ~-3*1;"),
            ("foo:200|ms|@0.1", "foo: observer 0.2*10;"),
            ("foo:3|c|@0.1", "foo: counter 30*1;"),
            ("foo:3|g|@0.1", "foo: gauge 3*1;"),
            ("foo:3|c|@0.5|@0.5", "foo: counter 12*1;"),
            ("foo:3|h|@0.5|@0.1", "foo: observer 3*10;"),
            ("foo:1|c:5|g|@0.1:2|ms", "foo: counter 1*1;gauge 5*1;observer 0.002*1;"),
            ("foo:1|c|#a:b,#c:d", "foo a=b c=d: counter 1*1;"),
            ("foo:1:2|h|#a:b", "foo a=b: observer 1*1;observer 2*1;"),
            ("foo:1:2|c", "foo: counter 1*1;counter 2*1;"),
            ("foo:1|c|@0.1|#a:b|c:x|T16|e:it-false,pu-1|card:low", "foo a=b container_id=x: counter 10*1;"),
            ("foo:1|c|c:abc", "foo container_id=abc: counter 1*1;"),
            ("users:alice:x|s", "users: set 0*1alice:x;"),
            ("foo:1|c|@2", "foo: counter 1*1; invalid_sample_factor"),
            ("foo:NaN|c", "foo:  not_finite"),
            ("foo:1|c:NaN|g", "foo: counter 1*1; not_finite"),
            ("foo:1|c:x", "foo: counter 1*1; malformed_component"),
            ("foo:1|c|#a", "foo: counter 1*1; 1 bad tags"),
            ("foo:1|t", "foo:  illegal_event"),
            ("foo", ":  malformed_line"),
            ("foo:1", "foo:  not_enough_parts_after_colon"),
        ] {
            assert_eq!(shown(line), means, "{line}");
        }
    }
}
