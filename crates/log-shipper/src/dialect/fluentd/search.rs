//! `@type elasticsearch`, `opensearch` and `loki`.

use std::{collections::BTreeMap, sync::Arc};

use http_client::{Auth, SecretSource};
use tls::{ClientTls, Roots};
use values::Secret;

use super::seconds;
use crate::{
    dialect::section::Section,
    output::{
        Ship,
        elasticsearch::{Elasticsearch, Index, Op, TIMESTAMP},
        gzip::Compression,
        loki::{Form, Labels, Line, Loki, Template},
        web::Web,
    },
};

/// Connections are kept, made anew and given up as the client does it.
const NO_EFFECT: [&str; 17] = [
    "reload_connections",
    "reload_on_failure",
    "reload_after",
    "reconnect_on_error",
    "resurrect_after",
    "log_es_400_reason",
    "sniffer_class_name",
    "http_backend",
    "max_retry_get_es_version",
    "max_retry_putting_template",
    "default_elasticsearch_version",
    "default_opensearch_version",
    "verify_es_version_at_startup",
    "verify_os_version_at_startup",
    "suppress_type_name",
    "with_transporter_log",
    "bulk_message_request_threshold",
];

pub(super) fn elasticsearch(section: &mut Section) -> Option<Arc<dyn Ship>> {
    let mut web = web(section, 9200);
    web.timeout = section.read("request_timeout", seconds).unwrap_or(web.timeout);
    web.compression = match section.text("compression_level") {
        Some(_) => Compression::Gzip,
        None => Compression::None,
    };
    web.auth = basic(section, "user", "password");
    let by_date = section.switch("logstash_format").unwrap_or(false);
    let prefix = section.text("logstash_prefix").unwrap_or_else(|| "logstash".into());
    let separator = section.text("logstash_prefix_separator").unwrap_or_else(|| "-".into());
    let date = section.text("logstash_dateformat").unwrap_or_else(|| "%Y.%m.%d".into());
    let plain = section.text("index_name").unwrap_or_else(|| "fluentd".into());
    let spec = if by_date { format!("{prefix}{separator}{date}") } else { plain };
    let index = placeholders(&spec).and_then(|spec| spec.parse::<Index>());
    let index = index.map_err(|expected| section.problem(format_args!("index \"{spec}\": {expected}"))).ok()?;
    let tagged = section.switch("include_tag_key").unwrap_or(false);
    let tag_key = section.text("tag_key").unwrap_or_else(|| "tag".into());
    let op = section.read("write_operation", |text| match text {
        "create" => Ok(Op::Create),
        // What is sent again has the id that it had: that it is written anew changes nothing.
        "index" => Ok(Op::Index),
        _ => Err("expected create or index"),
    });
    let output = Elasticsearch {
        path: section.text("path").unwrap_or_default(),
        op: op.unwrap_or(Op::Index),
        pipeline: section.text("pipeline"),
        type_name: section.text("type_name"),
        time_key: TIMESTAMP.into(),
        tag_key: tagged.then_some(tag_key),
        ..Elasticsearch::new(web, index)
    };
    section.no_effect(&NO_EFFECT);
    section.no_effect(&["include_timestamp", "time_precision", "utc_index"]);
    let why = "expected it in <parse>, as time_key: the time of a record is @timestamp";
    section.refused(&["time_key", "time_key_format"], why);
    section.refused(&["id_key"], "ids are made of the file and the offset: expected no id_key");
    section.refused(&["target_index_key", "remove_keys"], "expected index_name with ${FIELD} in it, and whole records");
    section.refused(&["template_name", "template_file", "customize_template"], "templates are not put there");
    Some(Arc::new(output))
}

/// `${tag}` and dates of a buffer: a date may stand as it is, and a field.
fn placeholders(spec: &str) -> Result<String, String> {
    if spec.contains("${tag") {
        return Err("a tag cannot be part of it: expected a <match> for each tag".into());
    }
    Ok(spec.replace("${", "{").replace("$.", ""))
}

pub(super) fn loki(section: &mut Section) -> Option<Arc<dyn Ship>> {
    let url = section.text("url").unwrap_or_else(|| "https://logs-prod-us-central1.grafana.net".into());
    let mut web = Web::new(vec![url]);
    web.auth = basic(section, "username", "password");
    let token = section.text("bearer_token_file").map(|path| Auth::Bearer(SecretSource::File(path.into())));
    web.auth = token.or(web.auth);
    let skip = section.switch("insecure_tls").unwrap_or(false);
    let mut tls = ClientTls { dangerously_skip_verification: skip, ..ClientTls::default() };
    if let Some(path) = section.text("ca_cert") {
        tls.roots = Roots::File(path.into());
    }
    web.tls = Arc::new(tls);
    let mut labels = Vec::new();
    let extra = section.read("extra_labels", |text| serde_json::from_str::<BTreeMap<String, String>>(text));
    labels.extend(extra.unwrap_or_default().into_iter().map(|(name, value)| (name, Template::text(&value))));
    for mut inside in section.children_of("label") {
        for entry in std::mem::take(&mut inside.entries) {
            let field = entry.value.trim_start_matches("$.");
            let field = if field.is_empty() { entry.key.as_str() } else { field };
            labels.push((entry.key.clone(), Template::field(field)));
        }
    }
    let line = section.read("line_format", |text| match text {
        "json" => Ok(Line::Json),
        "key_value" => Ok(Line::Logfmt),
        _ => Err("expected json or key_value"),
    });
    let mut loki = Loki { line: line.unwrap_or(Line::Logfmt), form: Form::Json, ..Loki::new(web) };
    if !labels.is_empty() {
        loki.labels = Labels(labels);
    }
    if let Some(tenant) = section.text("tenant") {
        loki.of_tenant(tenant);
    }
    section.no_effect(&["extract_kubernetes_labels", "include_thread_label", "drop_single_key"]);
    section.refused(&["remove_keys", "cert", "key"], "records stay whole, and clients have no certificate here");
    Some(Arc::new(loki))
}

fn web(section: &mut Section, port: u16) -> Web {
    let scheme = section.text("scheme").unwrap_or_else(|| "http".into());
    let host = section.text("host").unwrap_or_else(|| "localhost".into());
    let port = section.parsed("port").unwrap_or(port);
    let listed = section.list("hosts");
    let one = |host: &str| match host.split_once("://") {
        Some(_) => host.to_owned(),
        None if host.contains(':') => format!("{scheme}://{host}"),
        None => format!("{scheme}://{host}:{port}"),
    };
    let urls = if listed.is_empty() { vec![one(&host)] } else { listed.iter().map(|host| one(host)).collect() };
    let mut web = Web::new(urls);
    let mut tls = ClientTls { ca_setting: "ca_file".into(), ..ClientTls::default() };
    if let Some(path) = section.text("ca_file") {
        tls.roots = Roots::File(path.into());
    }
    tls.dangerously_skip_verification = !section.switch("ssl_verify").unwrap_or(true);
    section.refused(&["client_key_pass"], "expected a key without a password");
    section.no_effect(&["ssl_version", "ssl_min_version", "ssl_max_version"]);
    match (section.text("client_cert"), section.text("client_key")) {
        (Some(certificate), Some(key)) => {
            tls.identity = Some(tls::Identity { certificate: certificate.into(), key: key.into() });
        }
        (None, None) => {}
        _ => section.problem("client_cert and client_key go together"),
    }
    web.tls = Arc::new(tls);
    web
}

pub(super) fn basic(section: &mut Section, user: &str, password: &str) -> Option<Auth> {
    let password = section.text(password).unwrap_or_default();
    let user = section.text(user)?;
    Some(Auth::Basic { user, password: SecretSource::Value(Secret::new(password)) })
}
