//! `access_log`: whether, where and in which words.

use std::path::PathBuf;

use common::config::Section;

use crate::{
    config::{AccessLog, Escape, Format, LogId, LogTarget},
    template::{Part, Template, Variable},
};

use super::Reader;

const COMBINED: &str = "${client_address} - ${user} [${time_common}] \"${method} ${target} ${protocol}\" ${status} \
                        ${bytes_sent} \"${header:referer}\" \"${header:user-agent}\"";

/// The members of the usual JSON line.
const MEMBERS: [(&str, &str); 17] = [
    ("time", "start_time"),
    ("client", "client_address"),
    ("method", "method"),
    ("host", "authority"),
    ("path", "target"),
    ("protocol", "protocol"),
    ("status", "status"),
    ("flags", "flags"),
    ("bytes_received", "bytes_received"),
    ("bytes_sent", "bytes_sent"),
    ("duration_ms", "duration_ms"),
    ("upstream_ms", "upstream_duration_ms"),
    ("upstream", "upstream_address"),
    ("route", "route"),
    ("user", "user"),
    ("user_agent", "header:user-agent"),
    ("request_id", "request_id"),
];

/// The log of a listener or a route. None is written unless somebody asks for it.
pub fn access_log(section: &mut Section, reader: &mut Reader) -> Vec<LogId> {
    let Some(mut log) = section.section_or("access_log", "format") else { return Vec::new() };
    let word: Option<String> = log.parsed("format");
    let fields = log.pairs("fields");
    let text: Option<Template> = log.parsed("text");
    let format = match (word.as_deref(), text) {
        (Some("off"), None) if fields.is_empty() => return Vec::new(),
        (None, Some(text)) if fields.is_empty() => Format::Text(dashed(text), Escape::Hex),
        (Some("json") | None, None) if !fields.is_empty() => {
            let parsed = fields.iter().filter_map(|(name, text)| match text.parse() {
                Ok(template) => Some((name.clone(), template)),
                Err(problem) => {
                    log.problem(format!("fields.{name}: {problem}"));
                    None
                }
            });
            Format::Json(parsed.collect())
        }
        (Some("json") | None, None) => json(),
        (Some("combined"), None) if fields.is_empty() => combined(),
        (Some(other), None) if fields.is_empty() => {
            log.problem(format!("format \"{other}\": expected json, combined or off"));
            return Vec::new();
        }
        _ => {
            log.problem("expected one of format, text and fields");
            return Vec::new();
        }
    };
    let to = match log.parsed::<String>("to").as_deref() {
        None | Some("stdout") => LogTarget::Stdout,
        Some("stderr") => LogTarget::Stderr,
        Some(path) => LogTarget::File(PathBuf::from(path)),
    };
    reader.config.access_logs.push(AccessLog { to, format });
    vec![reader.config.access_logs.len() - 1]
}

pub fn json() -> Format {
    let member = |(name, variable): &(&str, &str)| {
        let template = variable.parse().map(Template::variable).unwrap_or_default();
        ((*name).to_owned(), template)
    };
    Format::Json(MEMBERS.iter().map(member).collect())
}

fn combined() -> Format {
    let mut template = Template::default();
    // The time of this format has a name in no other place.
    for (index, piece) in COMBINED.split("${time_common}").enumerate() {
        if index > 0 {
            template.push(Variable::Time(crate::template::Clock::Common));
        }
        let parsed: Template = piece.parse().unwrap_or_default();
        template.0.extend(parsed.0);
    }
    Format::Text(dashed(template), Escape::Hex)
}

/// What is not there is a dash.
fn dashed(mut template: Template) -> Template {
    for part in &mut template.0 {
        if let Part::Value(variable) = part {
            *variable = Variable::Or(Box::new(variable.clone()), "-".into());
        }
    }
    template
}
