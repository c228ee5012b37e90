//! `[PARSER]` and `[MULTILINE_PARSER]`: how lines are taken apart, and which belong together.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use super::{
    classic::{Document, Variables},
    units::seconds,
};
use crate::{
    dialect::section::{Entry, Findings, Section},
    parse::{
        Format, TimeField, json, logfmt, ltsv,
        multiline::{Grouping, Rule, Rules},
        time,
        types::Types,
    },
};

const STOCK: &str = include_str!("stock.conf");

/// What the names of parsers stand for.
#[derive(Default)]
pub(super) struct Parsers {
    lines: BTreeMap<String, Parser>,
    groups: BTreeMap<String, Multiline>,
}

#[derive(Clone)]
pub(super) struct Parser {
    pub(super) format: Format,
    /// For files in which a record has several lines: the expression matches across them.
    expression: Option<String>,
    time: Option<TimeField>,
    types: Types,
    skip_empty: bool,
}

#[derive(Clone)]
pub(super) struct Multiline {
    pub(super) rules: Rules,
    pub(super) wait: Option<Duration>,
    pub(super) parser: Option<String>,
    pub(super) key_content: Option<String>,
}

impl Parser {
    /// As it is, for the text of a record that has several lines.
    pub(super) fn across_lines(&self) -> Format {
        let Some(expression) = &self.expression else { return self.format.clone() };
        let bare = expression.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).unwrap_or(expression);
        let across = Format::expression(&format!("/{bare}/m"), self.time.clone(), self.types.clone(), self.skip_empty);
        across.unwrap_or_else(|_| self.format.clone())
    }

    /// What tells that a line begins a record.
    pub(super) fn begins(&self) -> Result<Grouping, String> {
        match &self.expression {
            Some(expression) => Grouping::start(expression),
            None => Err("expected a parser with Format regex".into()),
        }
    }
}

impl Parsers {
    /// The stock parsers.
    pub(super) fn stock() -> Self {
        let findings = Findings::default();
        let mut document = Document::new(Path::new("/"), Variables::default(), &findings);
        document.read_text("stock.conf", STOCK);
        let mut parsers = Self::default();
        std::mem::take(&mut document.sections).into_iter().for_each(|section| parsers.take(section));
        parsers
    }

    pub(super) fn get(&self, name: &str) -> Option<&Parser> {
        self.lines.get(name)
    }

    pub(super) fn multiline(&self, name: &str) -> Option<&Multiline> {
        self.groups.get(name)
    }

    pub(super) fn names(&self) -> String {
        self.lines.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Reads a section, and knows the parser by its name from then on.
    pub(super) fn take(&mut self, mut section: Section) {
        let Some(name) = section.text("name") else {
            section.problem("Name: required");
            return section.forget();
        };
        if section.kind == "multiline_parser" {
            self.groups.extend(multiline(&mut section).map(|parser| (name, parser)));
        } else {
            self.lines.extend(parser(&mut section).map(|parser| (name, parser)));
        }
    }
}

fn parser(section: &mut Section) -> Option<Parser> {
    let time = time_field(section);
    let types = section.read("types", Types::parse).unwrap_or_default();
    let skip_empty = section.switch("skip_empty_values").unwrap_or(true);
    let bare_keys = !section.switch("logfmt_no_bare_keys").unwrap_or(false);
    let expression = section.entry("regex");
    decoders(section);
    section.no_effect(&["time_strict"]);
    section.refused_unless("time_system_timezone", false, "times without a zone are UTC here, or Time_Offset");
    let kind = section.entry("format");
    let format = match kind.as_ref().map(|kind| kind.value.to_ascii_lowercase()).as_deref() {
        Some("json") => Format::Json(json::Options { time: time.clone() }),
        Some("logfmt") => Format::Logfmt(logfmt::Options { time: time.clone(), types: types.clone(), bare_keys }),
        Some("ltsv") => Format::Ltsv(ltsv::Options { time: time.clone(), types: types.clone() }),
        Some("regex") => {
            let Some(expression) = &expression else {
                section.problem("Regex: required for Format regex");
                return None;
            };
            let format = Format::expression(&expression.value, time.clone(), types.clone(), skip_empty);
            format.map_err(|problem| section.say(expression, problem)).ok()?
        }
        Some(_) => {
            section.wrong(kind.as_ref()?, "expected regex, json, logfmt or ltsv");
            return None;
        }
        None => {
            section.problem("Format: required, one of regex, json, logfmt or ltsv");
            return None;
        }
    };
    Some(Parser { format, expression: expression.map(|entry| entry.value), time, types, skip_empty })
}

fn time_field(section: &mut Section) -> Option<TimeField> {
    let key = section.text("time_key");
    let format = section.read("time_format", time::Format::new);
    let offset = section.read("time_offset", time::offset).unwrap_or(0);
    let keep = section.switch("time_keep").unwrap_or(false);
    // A key without a format is a field like all others, as it is there.
    Some(TimeField { name: key.unwrap_or_else(|| "time".into()), format: format?.with_offset(offset), keep })
}

/// Escapes are undone by the parser of JSON; what is JSON inside a text stays text.
fn decoders(section: &mut Section) {
    for key in ["decode_field", "decode_field_as"] {
        for entry in section.all(key) {
            let decoder = entry.value.split_whitespace().next().unwrap_or_default();
            if !matches!(decoder, "escaped" | "escaped_utf8") {
                section.wrong(&entry, "fields are not decoded a second time here: expected escaped or escaped_utf8");
            }
        }
    }
}

fn multiline(section: &mut Section) -> Option<Multiline> {
    section.refused_unless("negate", false, "only for Type equal and endswith, which are not supported: write rules");
    if let Some(kind) = section.entry("type").filter(|kind| !kind.value.eq_ignore_ascii_case("regex")) {
        section.wrong(&kind, "expected regex");
    }
    let entries = section.all("rule");
    let rules: Vec<_> = entries.iter().filter_map(|entry| rule(section, entry)).collect();
    let wait = section.read("flush_timeout", seconds_or_millis);
    let parser = section.text("parser");
    let key_content = section.text("key_content");
    section.refused(&["match_string", "key_group", "key_pattern"], "only rules are supported");
    section.no_effect(&["buffer_limit"]);
    let rules = Rules::new(&rules).map_err(|problem| section.problem(problem)).ok()?;
    Some(Multiline { rules, wait, parser, key_content })
}

/// `"start_state" "/^x/" "cont"`: three texts in quotes.
fn rule(section: &Section, entry: &Entry) -> Option<Rule> {
    let mut words = Vec::new();
    let mut rest = entry.value.trim();
    while let Some(inside) = rest.strip_prefix('"') {
        let Some(end) = closing(inside) else { break };
        words.push(inside[..end].replace("\\\"", "\""));
        rest = inside[end + 1..].trim_start();
    }
    let [from, pattern, to] = <[String; 3]>::try_from(words)
        .map_err(|_| section.wrong(entry, "expected \"STATE\" \"/EXPRESSION/\" \"NEXT STATE\""))
        .ok()?;
    let from = from.split(',').map(|state| state.trim().to_owned()).collect();
    Some(Rule { from, pattern, to })
}

fn closing(text: &str) -> Option<usize> {
    text.match_indices('"').map(|(at, _)| at).find(|at| !text[..*at].ends_with('\\'))
}

/// A bare number is milliseconds here, unlike everywhere else.
fn seconds_or_millis(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(millis) => Ok(Duration::from_millis(millis)),
        Err(_) => seconds(text),
    }
}

/// The rules that have a name of their own, or those of a language.
pub(super) fn grouping(parsers: &Parsers, name: &str) -> Option<Rules> {
    parsers.multiline(name).map(|parser| parser.rules.clone()).or_else(|| Rules::builtin(name))
}

pub(super) fn shared(rules: Rules) -> Arc<Grouping> {
    Arc::new(Grouping::Rules(rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_stock_parsers_are_there() {
        let findings = Findings::default();
        let mut document = Document::new(Path::new("/"), Variables::default(), &findings);
        document.read_text("stock.conf", STOCK);
        let mut parsers = Parsers::default();
        std::mem::take(&mut document.sections).into_iter().for_each(|section| parsers.take(section));
        assert_eq!(findings.conclude(), Ok(()));
        for name in [
            "apache",
            "apache2",
            "apache_error",
            "nginx",
            "json",
            "logfmt",
            "docker",
            "docker-daemon",
            "syslog-rfc5424",
            "syslog-rfc3164",
            "syslog-rfc3164-local",
            "mongodb",
            "envoy",
            "istio-envoy-proxy",
            "cri",
            "kube-custom",
            "k8s-nginx-ingress",
            "kmsg-netfilter-log",
        ] {
            assert!(parsers.get(name).is_some(), "{name}");
        }
        for name in ["apache", "apache2", "nginx"] {
            assert!(matches!(parsers.get(name).unwrap().format, Format::Access(_)), "{name} by a scanner");
        }
    }
}
