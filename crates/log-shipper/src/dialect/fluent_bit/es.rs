//! `es` and `opensearch`.

use std::sync::Arc;

use http_client::{Auth, SecretSource};
use values::Secret;

use super::{
    classic::Variables,
    net::{Net, secret},
};
use crate::{
    dialect::section::Section,
    output::{
        Ship,
        elasticsearch::{CloudId, Elasticsearch, Index, Op, TIMESTAMP},
    },
};

const PORT: u16 = 9200;
/// What is traced there is logged here.
const TRACES: [&str; 2] = ["trace_output", "trace_error"];
/// Documents have ids in any case: what is sent twice is there once.
const IDS: [&str; 1] = ["generate_id"];

pub(super) fn read(section: &mut Section, variables: &Variables) -> Option<Arc<dyn Ship>> {
    let mut web = Net::read(section, PORT, variables).web(section, "");
    if let Some(CloudId { url }) = section.parsed("cloud_id") {
        web.urls = vec![url];
    }
    let auth = section.text("cloud_auth");
    if let Some((user, password)) = auth.as_ref().and_then(|auth| auth.split_once(':')) {
        let password = SecretSource::Value(Secret::new(password));
        web.auth = Some(Auth::Basic { user: user.into(), password });
    } else if auth.is_some() {
        section.problem("Cloud_Auth: expected USER:PASSWORD");
    }
    let key = secret(section, "http_api_key").map(|key| Auth::Token("ApiKey", key));
    web.auth = web.auth.or(key);
    let index = index(section);
    let type_name = section.text("type").unwrap_or_else(|| "_doc".into());
    let suppressed = section.switch("suppress_type_name").unwrap_or(false);
    let tagged = section.switch("include_tag_key").unwrap_or(false);
    let tag_key = section.text("tag_key").unwrap_or_else(|| "flb-key".into());
    let op = section.read("write_operation", |text| match text.to_ascii_lowercase().as_str() {
        "create" => Ok(Op::Create),
        "index" => Ok(Op::Index),
        _ => Err("expected create or index: update and upsert need an id that the record has"),
    });
    let output = Elasticsearch {
        path: section.text("path").unwrap_or_default(),
        op: op.unwrap_or_default(),
        pipeline: section.text("pipeline"),
        type_name: (!suppressed).then_some(type_name),
        time_key: section.text("time_key").unwrap_or_else(|| TIMESTAMP.into()),
        tag_key: tagged.then_some(tag_key),
        ..Elasticsearch::new(web, index.unwrap_or_default())
    };
    time(section);
    section.no_effect(&TRACES);
    section.no_effect(&IDS);
    section.refused(&["id_key"], "ids are made of the file and the offset: expected no Id_Key");
    section.refused_unless("replace_dots", false, "names of fields stay as they are");
    section.refused_unless("current_time_index", false, "the index is that of the time of the record");
    section.refused_unless("aws_auth", false, "requests are not signed for AWS");
    for key in ["aws_region", "aws_sts_endpoint", "aws_role_arn", "aws_external_id", "aws_service_name", "aws_profile"]
    {
        section.no_effect(&[key]);
    }
    Some(Arc::new(output))
}

/// Times are RFC 3339 with milliseconds, as theirs are by default.
fn time(section: &mut Section) {
    const EXPECTED: &str = "times are written as %Y-%m-%dT%H:%M:%S with milliseconds: expected that, or nothing";
    if let Some(entry) = section.entry("time_key_format").filter(|entry| entry.value != "%Y-%m-%dT%H:%M:%S") {
        section.wrong(&entry, EXPECTED);
    }
    section.refused_unless("time_key_nanos", false, EXPECTED);
}

/// A fixed name, one with a date in it, or the prefix and the date that Logstash has.
fn index(section: &mut Section) -> Option<Index> {
    let by_date = section.switch("logstash_format").unwrap_or(false);
    let prefix = section.text("logstash_prefix").unwrap_or_else(|| "logstash".into());
    let separator = section.text("logstash_prefix_separator").unwrap_or_else(|| "-".into());
    let date = section.text("logstash_dateformat").unwrap_or_else(|| "%Y.%m.%d".into());
    let key = section.entry("logstash_prefix_key");
    let plain = section.entry("index");
    if !by_date {
        let Some(entry) = plain else { return Index::fixed("fluent-bit").ok() };
        return entry.value.parse().map_err(|expected| section.wrong(&entry, expected)).ok();
    }
    let prefix = prefix.replace('%', "%%");
    let prefix = match key {
        Some(key) => match field(&key.value) {
            Some(name) => format!("{{{name}:{prefix}}}"),
            None => {
                section.wrong(&key, "expected the name of a field at the top of the record");
                return None;
            }
        },
        None => prefix,
    };
    let spec = format!("{prefix}{}{date}", separator.replace('%', "%%"));
    spec.parse().map_err(|expected| section.problem(format_args!("index \"{spec}\": {expected}"))).ok()
}

/// `key`, `$key`, `$['key']`.
pub(super) fn field(accessor: &str) -> Option<&str> {
    let name = accessor.strip_prefix('$').unwrap_or(accessor);
    let name = name.strip_prefix("['").and_then(|rest| rest.strip_suffix("']")).unwrap_or(name);
    let is_plain = !name.is_empty() && !name.contains(['[', ']', '\'', '{', '}', ':', '$', '(']);
    is_plain.then_some(name)
}
