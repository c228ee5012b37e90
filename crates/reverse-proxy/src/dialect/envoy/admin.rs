//! Envoy's admin interface, as far as scripts and dashboards use it.

use std::fmt::Write;

use common::{
    Answer, Sidecar,
    config::{Node, Value},
    prometheus::{
        Registry,
        proto::{Metric, MetricFamily},
    },
};

use crate::serve::Drain;

use super::Flags;

pub fn attach(flags: &Flags, sidecar: &Sidecar, drain: &Drain) {
    let admin = sidecar.admin();
    let registry = sidecar.metrics().clone();
    admin.get("/stats/prometheus", move |_| Answer {
        status: 200,
        content_type: "text/plain; version=0.0.4; charset=utf-8",
        body: prometheus(&registry),
    });
    let registry = sidecar.metrics().clone();
    admin.get("/stats", move |query| match query {
        Some(query) if query.split('&').any(|pair| pair == "format=prometheus") => {
            Answer::text(200, prometheus(&registry))
        }
        _ => Answer::text(200, plain(&registry)),
    });
    let life = sidecar.life();
    admin.get("/server_info", move |_| {
        let state = if life.phase() == common::Phase::Running { "LIVE" } else { "DRAINING" };
        json(&serde_json::json!({
            "version": format!("pillion/{}/Clean/RELEASE/rustls", env!("CARGO_PKG_VERSION")),
            "state": state,
            "hot_restart_version": "disabled",
        }))
    });
    let dumped = flags.clone();
    admin.get("/config_dump", move |_| match dumped.tree() {
        Ok((_, tree)) => json(&serde_json::json!({
            "configs": [{
                "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
                "bootstrap": as_json(&tree),
            }]
        })),
        Err(failure) => Answer::text(500, failure.to_string()),
    });
    let listed = flags.clone();
    admin.get("/clusters", move |_| Answer::text(200, clusters(&listed)));
    let listed = flags.clone();
    admin.get("/listeners", move |_| Answer::text(200, listeners(&listed)));
    let asked = drain.clone();
    admin.post("/drain_listeners", move |_| {
        asked.begin();
        Answer::text(200, "OK")
    });
    let failed = drain.clone();
    admin.post("/healthcheck/fail", move |_| {
        failed.fail_health(true);
        Answer::text(200, "OK")
    });
    let mended = drain.clone();
    admin.post("/healthcheck/ok", move |_| {
        mended.fail_health(false);
        Answer::text(200, "OK")
    });
    admin.post("/logging", |query| {
        let level = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("level=")));
        match level.map(|level| super::level(level).map(|level| level.parse::<common::args::LogLevel>())) {
            Some(Ok(Ok(level))) => {
                common::set_log_level(level);
                Answer::text(200, "OK")
            }
            _ => Answer::text(400, "expected ?level= with trace, debug, info, warning, error, critical or off"),
        }
    });
}

fn json(value: &serde_json::Value) -> Answer {
    Answer { status: 200, content_type: "application/json", body: format!("{value:#}\n") }
}

fn as_json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Null => Json::Null,
        Value::Text(text) => match text.as_str() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ => text.parse::<i64>().map_or_else(|_| Json::String(text.clone()), Json::from),
        },
        Value::List(nodes) => nodes.iter().map(as_json).collect(),
        // What is behind a secret's key stays there.
        Value::Map(entries) => entries
            .iter()
            .map(|(key, node)| match key.as_str() {
                "inline_string" | "inline_bytes" | "private_key" => (key.clone(), Json::String("[redacted]".into())),
                _ => (key.clone(), as_json(node)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn clusters(flags: &Flags) -> String {
    let mut out = String::new();
    for cluster in flags.load().map(|config| config.clusters).unwrap_or_default() {
        let _ = writeln!(out, "{}::observability_name::{}", cluster.name, cluster.name);
        for endpoint in &cluster.endpoints {
            let address = match &endpoint.address {
                crate::config::Address::Tcp { host, port } => format!("{host}:{port}"),
                crate::config::Address::Unix(path) => path.display().to_string(),
            };
            let _ = writeln!(out, "{}::{address}::weight::{}", cluster.name, endpoint.weight);
            let _ = writeln!(out, "{}::{address}::health_flags::healthy", cluster.name);
        }
    }
    out
}

fn listeners(flags: &Flags) -> String {
    let listeners = flags.load().map(|config| config.listeners).unwrap_or_default();
    listeners.iter().fold(String::new(), |mut out, listener| {
        let _ = writeln!(out, "{}::{}", listener.name, listener.addr);
        out
    })
}

/// A figure under the name that Envoy's dashboards know.
struct Figure {
    name: &'static str,
    /// In the text of `/stats`, where `{}` is the cluster or listener.
    plain: &'static str,
    label: &'static str,
    who: String,
    class: Option<String>,
    value: u64,
}

fn figures(registry: &Registry) -> Vec<Figure> {
    let mut found = Vec::new();
    for family in registry.gather() {
        let (name, plain, label) = match family.name() {
            "reverse_proxy_upstream_requests_total" => {
                ("envoy_cluster_upstream_rq_xx", "cluster.{}.upstream_rq_{class}", "envoy_cluster_name")
            }
            "reverse_proxy_upstream_connections" => {
                ("envoy_cluster_upstream_cx_active", "cluster.{}.upstream_cx_active", "envoy_cluster_name")
            }
            "reverse_proxy_upstream_connect_failures_total" => {
                ("envoy_cluster_upstream_cx_connect_fail", "cluster.{}.upstream_cx_connect_fail", "envoy_cluster_name")
            }
            "reverse_proxy_upstream_retries_total" => {
                ("envoy_cluster_upstream_rq_retry", "cluster.{}.upstream_rq_retry", "envoy_cluster_name")
            }
            "reverse_proxy_connections" => {
                ("envoy_listener_downstream_cx_active", "listener.{}.downstream_cx_active", "envoy_listener_address")
            }
            "reverse_proxy_connections_total" => {
                ("envoy_listener_downstream_cx_total", "listener.{}.downstream_cx_total", "envoy_listener_address")
            }
            _ => continue,
        };
        found.extend(family.get_metric().iter().map(|metric| Figure {
            name,
            plain,
            label,
            who: value_of(metric, &["cluster", "listener"]).unwrap_or_default(),
            class: value_of(metric, &["class"]),
            value: number(&family, metric),
        }));
    }
    found.retain(|figure| figure.class.as_deref() != Some("none"));
    found
}

fn value_of(metric: &Metric, names: &[&str]) -> Option<String> {
    let label = metric.get_label().iter().find(|label| names.contains(&label.name()))?;
    Some(label.value().to_owned())
}

fn number(family: &MetricFamily, metric: &Metric) -> u64 {
    match family.get_field_type() {
        common::prometheus::proto::MetricType::GAUGE => metric.get_gauge().get_value().max(0.0) as u64,
        _ => metric.get_counter().get_value() as u64,
    }
}

/// Requests by the class of what clients were told, over all routes.
fn downstream(registry: &Registry) -> Vec<(String, u64)> {
    let mut classes: Vec<(String, u64)> =
        ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| (class.to_owned(), 0)).to_vec();
    for family in registry.gather().iter().filter(|family| family.name() == "reverse_proxy_requests_total") {
        for metric in family.get_metric() {
            let class = value_of(metric, &["class"]);
            if let Some((_, sum)) = classes.iter_mut().find(|(known, _)| Some(known) == class.as_ref()) {
                *sum += metric.get_counter().get_value() as u64;
            }
        }
    }
    classes
}

fn plain(registry: &Registry) -> String {
    let mut lines: Vec<String> = figures(registry)
        .iter()
        .map(|figure| {
            let class = figure.class.as_deref().unwrap_or_default();
            format!("{}: {}", figure.plain.replace("{class}", class).replace("{}", &figure.who), figure.value)
        })
        .collect();
    let classes = downstream(registry);
    lines.extend(classes.iter().map(|(class, sum)| format!("http.ingress_http.downstream_rq_{class}: {sum}")));
    let total: u64 = classes.iter().map(|(_, sum)| sum).sum();
    lines.push(format!("http.ingress_http.downstream_rq_total: {total}"));
    lines.push("server.live: 1".into());
    lines.sort();
    lines.join("\n")
}

fn prometheus(registry: &Registry) -> String {
    let encoder = common::prometheus::TextEncoder::new();
    let mut out = encoder.encode_to_string(&registry.gather()).unwrap_or_default();
    let mut last = "";
    for figure in figures(registry) {
        if figure.name != last {
            let kind = if figure.name.ends_with("_active") { "gauge" } else { "counter" };
            let _ = writeln!(out, "# TYPE {} {kind}", figure.name);
            last = figure.name;
        }
        let class = figure.class.as_ref().map(|class| format!(",envoy_response_code_class=\"{}\"", &class[..1]));
        let who = figure.who.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(
            out,
            "{}{{{}=\"{who}\"{}}} {}",
            figure.name,
            figure.label,
            class.unwrap_or_default(),
            figure.value
        );
    }
    let _ = writeln!(out, "# TYPE envoy_http_downstream_rq_xx counter");
    for (class, sum) in downstream(registry) {
        let _ = writeln!(
            out,
            "envoy_http_downstream_rq_xx{{envoy_response_code_class=\"{}\",envoy_http_conn_manager_prefix=\"ingress_http\"}} {sum}",
            &class[..1]
        );
    }
    let _ = writeln!(out, "# TYPE envoy_server_live gauge\nenvoy_server_live 1");
    out
}
