//! OpenMetrics 1.0: lines as strict as the standard is. What the lines of a family mean together is in `check`.

use std::{borrow::Cow, collections::HashSet};

use super::{
    Unreadable,
    check::{self, Building},
    scan::{Escapes, Line, help, is_repeated},
};
use crate::{Exemplar, Family, Kind, Labels, number};

/// Characters of all names and values of an exemplar.
const LONGEST_EXEMPLAR: usize = 128;

pub fn read_openmetrics(body: &str) -> Result<Vec<Family>, Unreadable> {
    let mut reader = Reader::default();
    let mut lines = body.split('\n').enumerate();
    for (nth, line) in lines.by_ref() {
        let at = |problem| Unreadable::at(nth + 1, problem);
        if line == "# EOF" {
            reader.close().map_err(at)?;
            return match lines.next() {
                None => Ok(reader.families),
                Some((_, "")) if lines.next().is_none() => Ok(reader.families),
                Some((nth, _)) => Err(Unreadable::at(nth + 1, "text after # EOF")),
            };
        }
        reader.line(line).map_err(at)?;
    }
    Err(Unreadable::at(body.split('\n').count(), "expected # EOF at the end"))
}

/// A line with a value.
pub(super) struct Sample<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) value: f64,
    /// In seconds.
    pub(super) timestamp: Option<f64>,
    pub(super) exemplar: Option<Exemplar>,
}

#[derive(Default)]
struct Reader {
    families: Vec<Family>,
    /// What samples of complete families may be called: no other family may have them.
    taken: HashSet<String>,
    open: Option<Building>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix('#') {
            return self.comment(comment);
        }
        let sample = sample(line)?;
        let fits = self.open.as_ref().is_some_and(|open| open.has(&sample.name));
        if !fits {
            self.close()?;
            self.open = Some(Building::new(sample.name.clone().into_owned()));
        }
        match &mut self.open {
            Some(open) => open.add(&sample),
            None => Ok(()),
        }
    }

    /// After its `#`.
    fn comment(&mut self, text: &str) -> Result<(), String> {
        let expected = "expected # HELP, # TYPE, # UNIT or # EOF";
        let (keyword, rest) = text.strip_prefix(' ').and_then(|text| text.split_once(' ')).ok_or(expected)?;
        let mut line = Line { rest };
        let name = line.metric_name(Escapes::Strict)?.ok_or("invalid metric name in comment")?;
        if !line.take(' ') {
            return Err(format!("{keyword} of {name}: expected a space and a text"));
        }
        if self.open.as_ref().is_none_or(|open| open.name() != name) {
            self.close()?;
            self.open = Some(Building::new(name.clone().into_owned()));
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let text = line.rest;
        match keyword {
            "HELP" => open.set_help(help(text, Escapes::Lenient)?),
            "UNIT" => open.set_unit(text),
            "TYPE" => open.set_kind(match text {
                "counter" => Kind::Counter,
                "gauge" => Kind::Gauge,
                "summary" => Kind::Summary,
                "histogram" => Kind::Histogram,
                "gaugehistogram" => Kind::GaugeHistogram,
                "info" => Kind::Info,
                "stateset" => Kind::StateSet,
                "unknown" => Kind::Unknown,
                _ => return Err(format!("unknown metric type \"{text}\"")),
            }),
            _ => Err(expected.to_owned()),
        }
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let family = open.finish()?;
        let name = open_name(&family);
        for name in check::names(name, family.kind) {
            if !self.taken.insert(name.clone()) {
                return Err(format!("{name}: belongs to another family already"));
            }
        }
        self.families.push(family);
        Ok(())
    }
}

/// As it is called in this format.
fn open_name(family: &Family) -> &str {
    match family.kind {
        Kind::Counter => family.name.strip_suffix("_total").unwrap_or(&family.name),
        _ => &family.name,
    }
}

fn sample(line: &str) -> Result<Sample<'_>, String> {
    let mut line = Line { rest: line };
    let mut name = if line.rest.starts_with('{') { None } else { line.metric_name(Escapes::Strict)? };
    if name.is_none() && !line.rest.starts_with('{') {
        return Err("invalid metric name".to_owned());
    }
    let pairs = if line.take('{') { labels(&mut line, &mut name)? } else { Vec::new() };
    let name = name.ok_or("invalid metric name")?;
    let mut line = value_and_rest(line.rest)?;
    let value = parsed(&mut line, "value")?;
    let timestamp = if line.rest.is_empty() || line.rest.starts_with(" # ") {
        None
    } else {
        Some(time(&mut value_and_rest(line.rest)?, &mut line)?)
    };
    let exemplar = if line.rest.is_empty() { None } else { Some(exemplar(&mut line)?) };
    Ok(Sample { name, labels: pairs, value, timestamp, exemplar })
}

/// After exactly one space.
fn value_and_rest(rest: &str) -> Result<Line<'_>, String> {
    let rest = rest.strip_prefix(' ').ok_or("expected one space before a number")?;
    Ok(Line { rest })
}

fn parsed(line: &mut Line<'_>, what: &str) -> Result<f64, String> {
    let end = line.rest.find(' ').unwrap_or(line.rest.len());
    let (word, rest) = line.rest.split_at(end);
    line.rest = rest;
    number::parse(word).ok_or_else(|| format!("expected a number as {what}, found \"{word}\""))
}

/// Reads a time from `from`, and leaves the rest in `line`.
fn time<'a>(from: &mut Line<'a>, line: &mut Line<'a>) -> Result<f64, String> {
    let time = parsed(from, "timestamp")?;
    line.rest = from.rest;
    if time.is_finite() { Ok(time) } else { Err("a timestamp that is no time".to_owned()) }
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// After the `{`. A name without a value is the metric's own, if it comes first and there is none before the brace.
fn labels<'a>(line: &mut Line<'a>, metric: &mut Option<Cow<'a, str>>) -> Result<Pairs<'a>, String> {
    let mut pairs = Pairs::new();
    if line.take('}') {
        return Ok(pairs);
    }
    loop {
        let name = line.label_name(Escapes::Strict)?.ok_or("invalid label name")?;
        if line.take('=') {
            let value = line.quoted(Escapes::Lenient, "label value")?;
            pairs.push((name, value));
        } else if metric.is_none() && pairs.is_empty() {
            *metric = Some(name);
        } else {
            return Err(format!("label {name}: expected = and a value"));
        }
        if line.take('}') {
            break;
        }
        if !line.take(',') {
            return Err("expected , or } after a label".to_owned());
        }
    }
    if is_repeated(&pairs) { Err("a label is given twice".to_owned()) } else { Ok(pairs) }
}

/// ` # {labels} value timestamp`.
fn exemplar(line: &mut Line<'_>) -> Result<Exemplar, String> {
    let rest = line.rest.strip_prefix(" # {").ok_or("expected nothing more, or an exemplar")?;
    line.rest = rest;
    let pairs = labels(line, &mut Some(Cow::Borrowed("")))?;
    let length: usize = pairs.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if length > LONGEST_EXEMPLAR {
        return Err(format!("an exemplar of {length} characters, expected at most {LONGEST_EXEMPLAR}"));
    }
    let mut number = value_and_rest(line.rest)?;
    let value = parsed(&mut number, "value of an exemplar")?;
    line.rest = number.rest;
    let timestamp = if line.rest.is_empty() { None } else { Some(time(&mut value_and_rest(line.rest)?, line)?) };
    if !line.rest.is_empty() {
        return Err(format!("expected nothing after an exemplar, found \"{}\"", line.rest));
    }
    Ok(Exemplar { labels: Labels::new(pairs), value, timestamp })
}
