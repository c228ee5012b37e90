//! statsd_exporter's mapping file, turned into [`Mapping`].
//!
//! What the peer refuses is refused here, with every problem of the file at once. Refused beyond that is what would end
//! the peer's process, or its `/metrics`, at the first line that matches: buckets that do not ascend, quantiles that are
//! none, labels that are Prometheus' own.

mod options;
mod scalar;
#[cfg(test)]
mod tests;

use std::{path::Path, time::Duration};

use common::{Failure, config::Section};
use values::Span;

use crate::map::{Action, Defaults, Entry, Kind, Mapping, Matcher, Ordering, Rule, is_glob};
use options::{ObserverType, Options};
pub(super) use scalar::Bool;
use scalar::Scale;

/// A mapping that was read, and what its author should know.
#[derive(Debug, Default)]
pub struct Loaded {
    pub mapping: Mapping,
    /// One line each: rules that nothing reaches, spellings that are old.
    pub warnings: Vec<String>,
}

/// Some are generated, and have a rule for each of thousands of names.
const LARGEST: u64 = 16 << 20;

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Loaded, Failure> {
    let text = values::read_text(path, LARGEST).map_err(Failure::config)?;
    parse(&path.display().to_string(), &text)
}

/// As [`read`], for text that is already here; `name` is what problems are prefixed with.
pub fn parse(name: &str, text: &str) -> Result<Loaded, Failure> {
    common::config::parse(name, text, section)
}

/// The keys `defaults` and `mappings` of a file, which may have others for somebody else.
pub fn section(root: &mut Section) -> Loaded {
    let mut warnings = Vec::new();
    let (defaults, match_type, ordering) =
        root.section("defaults").map(|mut section| defaults(&mut section)).unwrap_or_default();
    let mut sections = root.sections("mappings");
    let mut entries = Vec::new();
    let mut places = Vec::new();
    for (at, section) in sections.iter_mut().enumerate() {
        if let Some(entry) = entry(section, &defaults, match_type, &mut warnings) {
            entries.push(entry);
            places.push(at);
        }
    }
    let spelled: Vec<_> = entries.iter().map(|entry| entry.rule.spelled.clone()).collect();
    let fallback = Defaults { ttl: defaults.ttl, observer: defaults.options.observer(defaults.observer) };
    let mapping = Mapping::new(fallback, ordering, entries).unwrap_or_else(|problems| {
        for (at, problem) in problems {
            sections[places[at]].problem(format!("match: {problem}"));
        }
        Mapping::default()
    });
    warnings.extend(mapping.unreachable().into_iter().map(|(at, before)| match before {
        Some(before) => format!(
            "mapping {}: match {} is never reached: {} comes first",
            places[at] + 1,
            spelled[at],
            spelled[before]
        ),
        None => format!(
            "mapping {}: match {} is never reached: it is the beginning of a longer one above it",
            places[at] + 1,
            spelled[at]
        ),
    }));
    Loaded { mapping, warnings }
}

/// What rules take over where they say nothing.
#[derive(Debug, Default)]
struct Inherited {
    observer: ObserverType,
    ttl: Duration,
    options: Options,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MatchType {
    #[default]
    Glob,
    Regex,
}

fn defaults(section: &mut Section) -> (Inherited, MatchType, Ordering) {
    let Bool(unordered) = section.parsed("glob_disable_ordering").unwrap_or_default();
    let inherited = Inherited {
        observer: observer_type(section).unwrap_or_default(),
        ttl: ttl(section),
        options: Options::of_defaults(section),
    };
    let ordering = if unordered { Ordering::MostSpecific } else { Ordering::FirstWins };
    (inherited, section.parsed("match_type").unwrap_or_default(), ordering)
}

fn ttl(section: &mut Section) -> Duration {
    section.parsed("ttl").map_or(Duration::ZERO, |Span(ttl)| ttl)
}

/// `timer_type` is what it was called once.
fn observer_type(section: &mut Section) -> Option<ObserverType> {
    let old = section.parsed("timer_type");
    section.parsed("observer_type").or(old)
}

fn entry(
    section: &mut Section,
    defaults: &Inherited,
    match_type: MatchType,
    warnings: &mut Vec<String>,
) -> Option<Entry> {
    let spelled: String = section.parsed("match").unwrap_or_default();
    let match_type = section.parsed("match_type").unwrap_or(match_type);
    if match_type == MatchType::Glob && !is_glob(&spelled) {
        section.problem(format!("match: \"{spelled}\": expected a glob such as web.*.requests, or match_type: regex"));
    }
    if !section.has("name") {
        section.problem("name: required");
    }
    let name = section.parsed("name").map(|Name(name)| name);
    let kind = section.parsed("match_metric_type").map(|MetricType(kind)| kind);
    let observer = observer_type(section).unwrap_or(defaults.observer);
    let own = Options::of_rule(section, observer, &defaults.options, &spelled, warnings);
    let labels = section.each("labels", label);
    let bound = match own.observer(observer) {
        crate::map::Observer::Summary(_) => "quantile",
        crate::map::Observer::Histogram(_) => "le",
    };
    if kind == Some(Kind::Observer) && labels.iter().any(|(name, _)| name == bound) {
        section.problem(format!("labels: {bound} is what the observer itself uses"));
    }
    let own_ttl = ttl(section);
    let rule = Rule {
        kind,
        action: section.parsed("action").map(|ActionName(action)| action).unwrap_or_default(),
        name: name.unwrap_or_default(),
        labels,
        honor_labels: section.parsed("honor_labels").is_some_and(|Bool(honor)| honor),
        help: section.parsed::<String>("help").filter(|help| !help.is_empty()),
        ttl: if own_ttl.is_zero() { defaults.ttl } else { own_ttl },
        scale: section.parsed("scale").map(|Scale(scale)| scale),
        observer: own.observer(observer),
        spelled: spelled.clone(),
    };
    let matcher = match match_type {
        MatchType::Glob if is_glob(&spelled) => Matcher::Glob(spelled),
        MatchType::Glob => return None,
        MatchType::Regex => Matcher::Regex(spelled),
    };
    Some(Entry { matcher, rule })
}

/// A label of a rule. One letter is not enough for the peer, and two underscores are Prometheus' own.
fn label(name: &str, value: &str) -> Result<(String, String), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = name.bytes().next().is_some_and(|byte| plain(byte) && !byte.is_ascii_digit());
    if !first || name.len() < 2 || !name.bytes().all(plain) {
        return Err(format!(
            "\"{name}\" is no name of a label: expected two or more of a-z A-Z 0-9 _, and no digit first"
        ));
    }
    if name.starts_with("__") {
        return Err(format!("\"{name}\": names that begin with __ are Prometheus' own"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Letters, digits, `_` and captures; no digit first.
struct Name(String);

impl std::str::FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected letters, digits, _ and captures such as ${1}, and no digit first";
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            let is_first = rest.len() == text.len();
            if char == '$' {
                let reference = rest[1..].strip_prefix('{').unwrap_or(&rest[1..]);
                let after = reference.trim_start_matches(|char: char| char.is_ascii_digit());
                if after.len() == reference.len() {
                    return Err(expected);
                }
                rest = after.strip_prefix('}').unwrap_or(after);
            } else if char.is_ascii_alphabetic() || char == '_' || (char.is_ascii_digit() && !is_first) {
                rest = &rest[1..];
            } else {
                return Err(expected);
            }
        }
        if text.is_empty() { Err(expected) } else { Ok(Self(text.to_owned())) }
    }
}

impl std::str::FromStr for MatchType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "glob" | "" => Ok(Self::Glob),
            "regex" => Ok(Self::Regex),
            _ => Err("expected glob or regex"),
        }
    }
}

struct MetricType(Kind);

impl std::str::FromStr for MetricType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "counter" => Ok(Self(Kind::Counter)),
            "gauge" => Ok(Self(Kind::Gauge)),
            "observer" | "timer" => Ok(Self(Kind::Observer)),
            _ => Err("expected counter, gauge or observer"),
        }
    }
}

struct ActionName(Action);

impl std::str::FromStr for ActionName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "map" | "" => Ok(Self(Action::Map)),
            "drop" => Ok(Self(Action::Drop)),
            _ => Err("expected map or drop"),
        }
    }
}
