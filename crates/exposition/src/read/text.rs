//! The text format 0.0.4, with quoted names: read as Prometheus' own library does, which is generous with blanks.

use std::{borrow::Cow, collections::HashMap};

use super::{
    Unreadable,
    scan::{Escapes, Line, help, is_repeated},
};
use crate::{Bucket, Family, Kind, Labels, Series, Value, number};

pub fn read_text(body: &str) -> Result<Vec<Family>, Unreadable> {
    let mut reader = Reader::default();
    let mut lines = body.split('\n').enumerate().peekable();
    while let Some((nth, line)) = lines.next() {
        let is_last = lines.peek().is_none();
        if is_last && line.trim_matches([' ', '\t']).is_empty() {
            break;
        }
        reader.line(line).map_err(|problem| Unreadable::at(nth + 1, problem))?;
        if is_last {
            return Err(Unreadable::at(nth + 1, "the body ends in the middle of a line"));
        }
    }
    reader.families.retain(|family| !family.series.is_empty());
    Ok(reader.families)
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

#[derive(Default)]
struct Reader {
    families: Vec<Family>,
    by_name: HashMap<String, usize>,
    /// Those whose type was given, or that have samples, so that it is known.
    typed: Vec<bool>,
    /// Summaries and histograms have several lines: their series by family and labels.
    groups: HashMap<(usize, Vec<(String, String)>), usize>,
}

/// What a line says of a summary or histogram.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Itself,
    Count,
    Sum,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut line = Line { rest: line };
        line.skip_blanks();
        match line.peek() {
            None => Ok(()),
            Some('#') => self.comment(&mut line),
            Some(_) => self.sample(&mut line),
        }
    }

    fn comment(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        line.take('#');
        line.skip_blanks();
        let keyword = line.word();
        if !matches!(keyword, "HELP" | "TYPE") {
            return Ok(());
        }
        line.skip_blanks();
        let name = line.metric_name(Escapes::Strict)?;
        if line.rest.is_empty() {
            return Ok(());
        }
        let name = name.filter(|_| line.rest.starts_with([' ', '\t'])).ok_or("invalid metric name in comment")?;
        let (at, _) = self.family(&name);
        line.skip_blanks();
        if line.rest.is_empty() {
            return Ok(());
        }
        let family = &mut self.families[at];
        if keyword == "HELP" {
            if family.help.is_some() {
                return Err(format!("second HELP line for metric name \"{}\"", family.name));
            }
            family.help = Some(help(line.rest, Escapes::Strict)?);
            return Ok(());
        }
        if self.typed[at] {
            return Err(format!(
                "second TYPE line for metric name \"{}\", or TYPE reported after samples",
                family.name
            ));
        }
        family.kind = match line.rest.to_ascii_lowercase().as_str() {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "summary" => Kind::Summary,
            "untyped" => Kind::Unknown,
            "histogram" => Kind::Histogram,
            "gaugehistogram" | "gauge_histogram" => Kind::GaugeHistogram,
            _ => return Err(format!("unknown metric type \"{}\"", line.rest)),
        };
        self.typed[at] = true;
        Ok(())
    }

    /// The family that a name belongs to, which may be one that has it with a suffix.
    fn family(&mut self, name: &str) -> (usize, Part) {
        if let Some(&at) = self.by_name.get(name) {
            return (at, Part::Itself);
        }
        for (suffix, part) in [("_count", Part::Count), ("_sum", Part::Sum), ("_bucket", Part::Itself)] {
            let base = name.strip_suffix(suffix).filter(|base| !base.is_empty());
            if let Some(&at) = base.and_then(|base| self.by_name.get(base)) {
                match self.families[at].kind {
                    Kind::Histogram | Kind::GaugeHistogram => return (at, part),
                    Kind::Summary if suffix != "_bucket" => return (at, part),
                    _ => {}
                }
            }
        }
        let at = self.families.len();
        self.families.push(Family { name: name.to_owned(), ..Family::default() });
        self.typed.push(false);
        self.by_name.insert(name.to_owned(), at);
        (at, Part::Itself)
    }

    fn sample(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        let outside = if line.rest.starts_with('{') { None } else { line.metric_name(Escapes::Strict)? };
        if outside.is_none() && !line.rest.starts_with('{') {
            return Err("invalid metric name".to_owned());
        }
        let after_name = line.rest;
        line.skip_blanks();
        let (inside, pairs) = if line.take('{') {
            labels(line, outside.as_deref())?
        } else {
            if after_name.len() == line.rest.len() && !line.rest.is_empty() {
                return Err("invalid metric name".to_owned());
            }
            (None, Vec::new())
        };
        let name = outside.or(inside).ok_or("invalid metric name")?;
        if is_repeated(&pairs) {
            return Err(format!("duplicate label names for metric \"{name}\""));
        }
        let (at, part) = self.family(&name);
        self.typed[at] = true;
        let (pairs, bound) = self.bound(at, pairs)?;
        line.skip_blanks();
        let word = line.word();
        let value = number::parse(word).ok_or_else(|| format!("expected float as value, got \"{word}\""))?;
        let timestamp = timestamp(line)?;
        self.record(at, part, pairs, bound, value, timestamp)
    }

    /// Takes the label out that says which quantile or bucket this is.
    fn bound<'a>(&self, at: usize, mut pairs: Pairs<'a>) -> Result<(Pairs<'a>, Option<f64>), String> {
        let special = match self.families[at].kind {
            Kind::Summary => "quantile",
            Kind::Histogram | Kind::GaugeHistogram => "le",
            _ => return Ok((pairs, None)),
        };
        let Some(place) = pairs.iter().position(|(name, _)| name == special) else { return Ok((pairs, None)) };
        let (_, value) = pairs.remove(place);
        let bound = number::parse(&value);
        let bound = bound.ok_or_else(|| format!("expected float as value for '{special}' label, got \"{value}\""))?;
        Ok((pairs, Some(bound).filter(|bound| !bound.is_nan())))
    }

    fn record(
        &mut self,
        at: usize,
        part: Part,
        pairs: Pairs<'_>,
        bound: Option<f64>,
        value: f64,
        timestamp: Option<i64>,
    ) -> Result<(), String> {
        let family = &mut self.families[at];
        let empty = match family.kind {
            Kind::Summary => Value::Summary { count: None, sum: None, quantiles: Vec::new() },
            Kind::Histogram | Kind::GaugeHistogram => {
                Value::Histogram { count: None, sum: None, buckets: Vec::new(), native: None }
            }
            _ => {
                let value = Value::Number { value, exemplar: None };
                family.series.push(Series { labels: Labels::new(pairs), value, created: None, timestamp });
                return Ok(());
            }
        };
        let mut key: Vec<_> = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        key.sort();
        let place = *self.groups.entry((at, key)).or_insert_with(|| {
            family.series.push(Series { labels: Labels::new(pairs), value: empty, created: None, timestamp: None });
            family.series.len() - 1
        });
        let series = &mut family.series[place];
        // The last one wins.
        series.timestamp = timestamp.or(series.timestamp);
        match &mut series.value {
            Value::Summary { count, sum, quantiles } => match part {
                Part::Count => *count = Some((value as u64) as f64),
                Part::Sum => *sum = Some(value),
                Part::Itself => quantiles.extend(bound.map(|bound| (bound, value))),
            },
            Value::Histogram { count, sum, buckets, .. } => match part {
                Part::Count if value < 0.0 => return Err(format!("negative count for histogram \"{}\"", family.name)),
                Part::Count => *count = Some(value),
                Part::Sum => *sum = Some(value),
                Part::Itself => {
                    if bound.is_some() && value < 0.0 {
                        return Err(format!("negative bucket population for histogram \"{}\"", family.name));
                    }
                    buckets.extend(bound.map(|upper| Bucket { upper, cumulative: value, exemplar: None }));
                }
            },
            Value::Number { .. } => {}
        }
        Ok(())
    }
}

/// After the `{`: a name without a value is the metric's own, if it has none before the brace.
fn labels<'a>(line: &mut Line<'a>, outside: Option<&str>) -> Result<(Option<Cow<'a, str>>, Pairs<'a>), String> {
    let (mut inside, mut pairs) = (None, Pairs::new());
    loop {
        line.skip_blanks();
        if line.take('}') {
            return Ok((inside, pairs));
        }
        let metric = outside.or(inside.as_deref()).unwrap_or_default().to_owned();
        let name = line.label_name(Escapes::Strict)?;
        let name = name.ok_or_else(|| format!("invalid label name for metric \"{metric}\""))?;
        line.skip_blanks();
        if line.take('=') {
            if name == "__name__" {
                return Err("label name \"__name__\" is reserved".to_owned());
            }
            line.skip_blanks();
            let value = line.quoted(Escapes::Strict, "label value")?;
            line.skip_blanks();
            if !line.rest.starts_with([',', '}']) {
                return Err(format!("unexpected end of label value \"{value}\""));
            }
            pairs.push((name, value));
        } else if outside.is_some() {
            let found = line.peek().map_or("the end of the line".to_owned(), |char| format!("{char:?}"));
            return Err(format!("expected '=' after label name, found {found}"));
        } else if inside.is_some() {
            return Err(format!("multiple metric names for metric \"{metric}\""));
        } else if line.rest.starts_with([',', '}']) {
            inside = Some(name);
        } else {
            return Err(format!("unexpected end of metric name \"{name}\""));
        }
        line.take(',');
    }
}

fn timestamp(line: &mut Line<'_>) -> Result<Option<i64>, String> {
    if line.rest.is_empty() {
        return Ok(None);
    }
    line.skip_blanks();
    let word = line.word();
    let timestamp = word.parse().map_err(|_| format!("expected integer as timestamp, got \"{word}\""))?;
    if !line.rest.is_empty() {
        return Err(format!("spurious string after timestamp: \"{}\"", line.rest));
    }
    Ok(Some(timestamp))
}
