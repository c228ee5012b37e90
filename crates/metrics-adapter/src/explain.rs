//! `metrics-adapter explain LINE`: how a line is parsed and mapped, and why.

use std::{ffi::OsString, fmt::Write, path::PathBuf};

use common::{Defaults, Exit, Failure, Usage, args::typed};

use crate::{
    dialect::mapping,
    line::{
        Kind, Styles,
        datadog::Message,
        parse::{Parsed, Sample, parse},
    },
    map::Mapping,
    store::learn::{has_reserved_label, metric},
};

pub const WORD: &str = "explain";

/// Say how lines are read and mapped, and why
#[derive(clap::Parser)]
#[command(name = "explain")]
struct Explain {
    /// The mapping file
    #[arg(long, visible_alias = "statsd.mapping-config", value_name = "FILE")]
    mapping: Option<PathBuf>,

    /// Lines, as an app sends them
    #[arg(required = true, value_name = "LINE", allow_hyphen_values = true)]
    lines: Vec<String>,
}

/// The answer, as something that is printed instead of starting.
pub fn answer(argv: &[OsString], defaults: Defaults) -> Usage {
    let asked: Explain = match typed(&argv[1..], defaults) {
        Ok(asked) => asked,
        Err(usage) => return usage,
    };
    let loaded = asked.mapping.as_deref().map(mapping::read).transpose();
    match loaded {
        Ok(loaded) => {
            let mapping = loaded.unwrap_or_default().mapping;
            let lines = asked.lines.iter().map(|line| explained(line, &mapping, &Styles::default()));
            Usage::Asked(lines.collect::<Vec<_>>().join("\n"))
        }
        Err(Failure { problems, exit: Exit::Config, .. }) => Usage::Wrong(problems),
        Err(failure) => Usage::Wrong(vec![failure.to_string()]),
    }
}

/// What becomes of one line.
pub fn explained(line: &str, mapping: &Mapping, styles: &Styles) -> String {
    let mut text = format!("{line}\n");
    // Writing to a String cannot fail.
    let _ = write_explanation(&mut text, line, mapping, styles);
    text
}

fn write_explanation(text: &mut String, line: &str, mapping: &Mapping, styles: &Styles) -> std::fmt::Result {
    if let Some(message) = Message::of(line.as_bytes()) {
        return writeln!(text, "  a message of DogStatsD ({}): counted, and no metric", message.name());
    }
    let parsed = parse(line.as_bytes(), styles);
    if !parsed.name.is_empty() {
        writeln!(text, "  name: {}", parsed.name)?;
    }
    for (label, value) in &parsed.labels.0 {
        writeln!(text, "  tag: {label}=\"{value}\"")?;
    }
    if parsed.tag_errors > 0 {
        writeln!(text, "  {} tags are none: expected a key and a value", parsed.tag_errors)?;
    }
    for wrong in &parsed.wrong {
        writeln!(text, "  wrong ({}): {}", wrong.reason(), wrong.explained())?;
    }
    parsed.samples.iter().try_for_each(|sample| write_sample(text, &parsed, sample, mapping))
}

fn write_sample(text: &mut String, parsed: &Parsed<'_>, sample: &Sample<'_>, mapping: &Mapping) -> std::fmt::Result {
    match sample.kind {
        Kind::Set => writeln!(text, "  set: member {}", sample.text)?,
        kind => {
            let verb = if sample.relative { "moves by" } else { "value" };
            writeln!(text, "  {}: {verb} {}", kind.name(), sample.value)?;
        }
    }
    if sample.rule.weight > 1 {
        writeln!(text, "    sampled: counts {} times", sample.rule.weight)?;
    }
    let metric = match metric(parsed, sample.kind, mapping) {
        Ok(Some(metric)) => metric,
        Ok(None) => return writeln!(text, "    dropped by a rule"),
        Err((refused, rule)) => {
            return writeln!(text, "    refused by rule {}: {}", rule.unwrap_or_default(), refused.explained());
        }
    };
    match metric.rule {
        Some(rule) => writeln!(text, "    rule: {rule}")?,
        None => writeln!(text, "    no rule matches: the name is cleaned, and the defaults hold")?,
    }
    if metric.scale != 1.0 {
        writeln!(text, "    scaled by {}", metric.scale)?;
    }
    if !metric.ttl.is_zero() {
        writeln!(text, "    ends {} s after the last line", metric.ttl.as_secs_f64())?;
    }
    if has_reserved_label(&metric.labels, metric.shape) {
        writeln!(text, "    refused: {}", crate::store::counts::Refused::ReservedLabel.explained())?;
    }
    let labels = exposition::Labels::new(&metric.labels);
    let (shape, name) = (metric.shape.name(), metric.name);
    match labels.is_empty() {
        true => writeln!(text, "    {shape}: {name}"),
        false => writeln!(text, "    {shape}: {name}{{{}}}", labels.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_becomes_of_a_line() {
        let loaded = mapping::parse("m", "mappings:\n- match: app.*.hits\n  name: hits_total\n  labels: {who: $1}\n");
        let mapping = loaded.unwrap().mapping;
        let styles = Styles::default();
        let said = explained("app.me.hits:1|c|@0.1|#a:b,c", &mapping, &styles);
        for part in [
            "name: app.me.hits",
            "tag: a=\"b\"",
            "1 tags are none",
            "value 10",
            "app.*.hits",
            "hits_total{a=\"b\",who=\"me\"}",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(explained("foo:x|c", &mapping, &styles).contains("malformed_value"));
        assert!(explained("foo:1|h|#quantile:5", &mapping, &styles).contains("belong to Prometheus"));
        assert!(explained("users:me|s", &mapping, &styles).contains("member me\n"));
        assert!(explained("_sc|a|0", &mapping, &styles).contains("service_check"));
    }
}
