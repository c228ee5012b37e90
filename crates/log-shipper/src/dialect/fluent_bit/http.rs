//! `http`.

use std::sync::Arc;

use super::{classic::Variables, net::Net, units::seconds};
use crate::{
    dialect::section::Section,
    output::{
        Ship,
        http::{Format, Http, TimeFormat},
    },
};

const PORT: u16 = 80;

pub(super) fn read(section: &mut Section, variables: &Variables) -> Option<Arc<dyn Ship>> {
    let uri = section.text("uri").unwrap_or_else(|| "/".into());
    let mut web = Net::read(section, PORT, variables).web(section, &format!("/{}", uri.trim_start_matches('/')));
    for entry in section.all("header") {
        match entry.value.split_once([' ', '\t']) {
            Some((name, value)) => web.headers.push((name.into(), value.trim().into())),
            None => section.wrong(&entry, "expected NAME VALUE"),
        }
    }
    web.timeout = section.read("http.response_timeout", seconds).unwrap_or(web.timeout);
    let method = section.parsed("http_method").unwrap_or_default();
    let format = section.read("format", |text| match text.to_ascii_lowercase().as_str() {
        "json" => Ok(Format::Json),
        "json_lines" | "json_stream" => Ok(Format::JsonLines),
        _ => Err("expected json, json_lines or json_stream"),
    });
    let time_format = section.read("json_date_format", |text| match text.to_ascii_lowercase().as_str() {
        "double" => Ok(TimeFormat::Seconds),
        "iso8601" => Ok(TimeFormat::Rfc3339),
        "epoch_ms" => Ok(TimeFormat::Millis),
        _ => Err("expected double, iso8601 or epoch_ms"),
    });
    let key = section.text("json_date_key").unwrap_or_else(|| "date".into());
    let is_off = matches!(key.to_ascii_lowercase().as_str(), "false" | "off" | "no");
    section.no_effect(&["allow_duplicated_headers", "log_response_payload", "http.read_idle_timeout"]);
    section.refused(&["header_tag"], "all records of a request have one head: expected no header_tag");
    section.refused(&["body_key", "headers_key"], "the body is made of whole records");
    section.refused(&["proxy"], "proxies are not used");
    section.refused_unless("aws_auth", false, "requests are not signed for AWS");
    section.refused_unless("oauth2.enable", false, "tokens are not fetched: expected a Header");
    for entry in section.all_beginning("gelf_") {
        section.say(&entry, "only for Format gelf, which is not written here");
    }
    section.no_effect_beginning("oauth2.");
    section.no_effect_beginning("aws_");
    Some(Arc::new(Http {
        method,
        format: format.unwrap_or(Format::Json),
        time_key: (!is_off).then_some(key),
        time_format: time_format.unwrap_or(TimeFormat::Seconds),
        ..Http::new(web)
    }))
}
