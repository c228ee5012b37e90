//! `loki`.

use std::sync::Arc;

use http_client::Auth;

use super::{
    classic::Variables,
    es::field,
    net::{Net, secret},
};
use crate::{
    dialect::section::Section,
    output::{
        Ship,
        loki::{Form, Labels, Line, Loki, Template},
    },
};

const PORT: u16 = 3100;
const URI: &str = "/loki/api/v1/push";

/// `all_plain`: a record has nothing but the line.
pub(super) fn read(section: &mut Section, variables: &Variables, all_plain: bool) -> Option<Arc<dyn Ship>> {
    let net = Net::read(section, PORT, variables);
    let uri = section.entry("uri");
    if let Some(entry) = uri.as_ref().filter(|entry| !entry.value.ends_with("/push")) {
        section.wrong(entry, "expected a path that ends in /push");
    }
    let mut web = net.web(section, uri.as_ref().map_or(URI, |entry| &entry.value));
    web.auth = secret(section, "bearer_token").map(Auth::Bearer).or(web.auth);
    for entry in section.all("header") {
        match entry.value.split_once([' ', '\t']) {
            Some((name, value)) => web.headers.push((name.into(), value.trim().into())),
            None => section.wrong(&entry, "expected NAME VALUE"),
        }
    }
    let mut labels = labels(section, "labels");
    labels.extend(self::labels(section, "label_keys"));
    if labels.is_empty() {
        labels.push(("job".into(), Template::text("fluent-bit")));
    }
    let line = line(section, all_plain);
    let metadata = Labels(self::labels(section, "structured_metadata"));
    let mut loki = Loki { labels: Labels(labels), metadata, line, form: Form::Json, ..Loki::new(web) };
    if let Some(tenant) = section.text("tenant_id") {
        loki.of_tenant(tenant);
    }
    section.refused(&["tenant_id_key"], "the tenant is the same for all: expected Tenant_ID");
    section.no_effect(&["tenant_id_key_error_handling"]);
    section.refused(&["label_map_path"], "expected Labels and Label_Keys instead");
    section.refused(&["structured_metadata_map_keys"], "expected structured_metadata with the names of fields");
    section.refused(&["remove_keys"], "records stay whole: expected no Remove_Keys");
    section.refused_unless("auto_kubernetes_labels", false, "expected Labels instead");
    Some(Arc::new(loki))
}

fn line(section: &mut Section, all_plain: bool) -> Line {
    let format = section.read("line_format", |text| match text.to_ascii_lowercase().as_str() {
        "json" => Ok(Line::Json),
        "key_value" => Ok(Line::Logfmt),
        _ => Err("expected json or key_value"),
    });
    let drops = section.read("drop_single_key", |text| match text.to_ascii_lowercase().as_str() {
        "raw" | "on" | "true" | "yes" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        _ => Err("expected on, off or raw"),
    });
    if drops == Some(true) && all_plain { Line::Raw } else { format.unwrap_or(Line::Json) }
}

/// `job=app, $stream, level=$severity`.
fn labels(section: &mut Section, key: &str) -> Vec<(String, Template)> {
    let mut labels = Vec::new();
    for entry in section.all(key) {
        for item in entry.value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim()),
                None => (item.trim_start_matches('$'), item),
            };
            let template = match value.strip_prefix('$') {
                None => Some(Template::text(value.trim_matches('"'))),
                Some(_) => field(value).map(Template::field),
            };
            match template {
                Some(template) => labels.push((fit(name), template)),
                None => {
                    section.say(&entry, format_args!("\"{item}\": expected NAME=VALUE or $FIELD, not inside others"));
                }
            }
        }
    }
    labels
}

/// As Loki takes the names of labels.
fn fit(name: &str) -> String {
    let fit = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    let name: String = name.chars().map(fit).collect();
    if name.starts_with(|char: char| char.is_ascii_digit()) { format!("_{name}") } else { name }
}
