//! `<parse>`: how lines are taken apart.

use std::time::Duration;

use crate::{
    dialect::section::Section,
    join::Join,
    parse::{Format, TimeField, json, logfmt, ltsv, multiline::Grouping, time, types::Types},
};

/// What the text of an access log of nginx is there; ours has no field for what comes behind the agent.
const NGINX: &str = r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)"(?:\s+(?<http_x_forwarded_for>[^ ]+))?)?$"#;
const APACHE2: &str = r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>(?:[^\"]|\\.)*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>(?:[^\"]|\\.)*)" "(?<agent>(?:[^\"]|\\.)*)")?$"#;
const SYSLOG: &str = r"(?<time>[^ ]*\s*[^ ]* [^ ]*) (?<host>[^ ]*) (?<ident>[^ :\[]*)(?:\[(?<pid>[0-9]+)\])?(?:[^\:]*\:)? *(?<message>.*)$";
const SYSLOG_5424: &str = r#"[1-9]\d{0,2} (?<time>[^ ]+) (?<host>[!-~]{1,255}) (?<ident>[!-~]{1,48}) (?<pid>[!-~]{1,128}) (?<msgid>[!-~]{1,32}) (?<extradata>(?:\-|(?:\[.*?(?:[^\\]\])+)))(?: (?<message>.+))?$"#;
const ACCESS_TIME: &str = "%d/%b/%Y:%H:%M:%S %z";

/// How the lines of an input are understood.
pub(super) struct Understood {
    pub(super) format: Format,
    pub(super) join: Join,
    /// What the whole line is called, where it is one field.
    pub(super) line_key: String,
}

pub(super) fn read(section: &mut Section, flush: Option<Duration>) -> Understood {
    let mut join = Join { wait: flush.unwrap_or(Duration::from_secs(5)), ..Join::default() };
    let kind = section.entry("@type");
    let name = kind.as_ref().map_or("", |kind| kind.value.as_str()).to_owned();
    let types = section.read("types", |text| Types::parse(&spelled(text))).unwrap_or_default();
    let message_key = section.text("message_key").unwrap_or_else(|| "message".into());
    let default_time = match name.as_str() {
        "nginx" | "apache2" | "apache" => Some(ACCESS_TIME),
        "syslog" => Some("%b %d %H:%M:%S"),
        _ => None,
    };
    let time = time_field(section, default_time);
    section.no_effect(&[
        "time_format_fallbacks",
        "estimate_current_event",
        "stream_buffer_size",
        "json_parser",
        "timeout",
        "localtime",
        "utc",
    ]);
    section.refused(&["null_value_pattern"], "texts stay as they are");
    section.refused_unless("null_empty_string", false, "texts stay as they are");
    let expression = |section: &Section, spec: &str, types: &Types| {
        Format::expression(spec, time.clone(), types.clone(), true)
            .map_err(|problem| section.problem(problem))
            .unwrap_or(Format::Raw)
    };
    let format = match name.as_str() {
        "none" => Format::Raw,
        "json" => Format::Json(json::Options { time: time.clone() }),
        "ltsv" => {
            let why = "expected tabs and colons";
            section.refused(&["delimiter", "delimiter_pattern", "label_delimiter"], why);
            Format::Ltsv(ltsv::Options { time: time.clone(), types })
        }
        "logfmt" => Format::Logfmt(logfmt::Options { time: time.clone(), types, ..logfmt::Options::default() }),
        "nginx" => expression(section, NGINX, &types),
        "apache2" | "apache" => {
            let types = Types::parse("code:integer size:integer").unwrap_or(types);
            expression(section, APACHE2, &types)
        }
        "syslog" => {
            let priority = if section.switch("with_priority").unwrap_or(false) { r"\<(?<pri>[0-9]+)\>" } else { "" };
            let is_new = section.text("message_format").is_some_and(|format| format == "rfc5424");
            section.no_effect(&["parser_type", "support_colonless_ident"]);
            expression(section, &format!("^{priority}{}", if is_new { SYSLOG_5424 } else { SYSLOG }), &types)
        }
        "regexp" => match section.text("expression") {
            Some(spec) => {
                let flags = flags(section);
                expression(section, &flagged(&spec, &flags), &types)
            }
            None => {
                section.problem("expression: required");
                Format::Raw
            }
        },
        "multiline" => {
            join.lines = section.read("format_firstline", Grouping::start).map(std::sync::Arc::new);
            let parts: Vec<_> = (1..=20).filter_map(|number| section.text(&format!("format{number}"))).collect();
            let spec: String = parts.iter().map(|part| bare(part)).collect();
            section.refused_unless("unmatched_lines", true, "lines that are not understood are shipped as text");
            if parts.is_empty() {
                section.problem("format1: required");
                Format::Raw
            } else {
                expression(section, &format!("/{spec}/m"), &types)
            }
        }
        "cri" => {
            join.container = true;
            section.no_effect(&["merge_cri_fields"]);
            section.child("parse").map_or(Format::Raw, |mut inside| read(&mut inside, None).format)
        }
        "" => {
            section.problem("@type: required");
            Format::Raw
        }
        _ => {
            if let Some(kind) = &kind {
                section
                    .wrong(kind, "expected none, json, regexp, nginx, apache2, ltsv, logfmt, syslog, multiline or cri");
            }
            Format::Raw
        }
    };
    // What is not understood is shipped as text, under the name that it has there.
    let is_text = matches!(format, Format::Raw);
    Understood { format, join, line_key: if is_text { message_key } else { "unmatched_line".into() } }
}

fn flags(section: &mut Section) -> String {
    let mut flags = String::new();
    for (key, letter) in [("ignorecase", 'i'), ("multiline", 'm')] {
        if section.switch(key).unwrap_or(false) {
            flags.push(letter);
        }
    }
    flags
}

/// `/a/` with more letters behind it.
fn flagged(spec: &str, flags: &str) -> String {
    match spec.starts_with('/') {
        true => format!("{spec}{flags}"),
        false if flags.is_empty() => spec.to_owned(),
        false => format!("/{spec}/{flags}"),
    }
}

fn bare(spec: &str) -> &str {
    spec.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).map_or(spec, |(inside, _)| inside)
}

/// `a:integer,b:float`, also as a hash: `{"a":"integer"}`.
fn spelled(text: &str) -> String {
    text.replace(['{', '}', '"', '\''], "")
}

fn time_field(section: &mut Section, default: Option<&str>) -> Option<TimeField> {
    let name = section.text("time_key").unwrap_or_else(|| "time".into());
    let kind = section.text("time_type");
    let written = section.entry("time_format");
    let spec = match (kind.as_deref(), &written) {
        (Some("unixtime"), _) => "unixtime".to_owned(),
        (Some("float"), _) => "float".to_owned(),
        (_, Some(entry)) => entry.value.clone(),
        (_, None) => default.unwrap_or("rfc3339").to_owned(),
    };
    let offset = section.read("timezone", time::offset).unwrap_or(0);
    let keep = section.switch("keep_time_key").unwrap_or(false);
    let format = match (time::Format::new(&spec), &written) {
        (Ok(format), _) => format,
        (Err(problem), Some(entry)) => {
            section.say(entry, problem);
            return None;
        }
        (Err(_), None) => return None,
    };
    Some(TimeField { name, format: format.with_offset(offset), keep })
}
