//! Clusters: where requests go.

use std::time::Duration;

use crate::{
    config::{Address, Balance, Cluster, Endpoint},
    egress,
};

use super::{tls::upstream_tls, walk::Message};

const FORWARD_PROXY: &str = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

pub fn cluster(message: &mut Message) -> Cluster {
    let name = message.required("name");
    let mut endpoints = Vec::new();
    if let Some(mut assignment) = message.message("load_assignment") {
        assignment.ignore(&["cluster_name"]);
        assignment.refuse(&["named_endpoints", "policy"]);
        for mut locality in assignment.messages("endpoints") {
            localities(&mut locality, &mut endpoints);
        }
    }
    let is_anywhere = message.message("cluster_type").is_some_and(|mut kind| forward_proxy(&mut kind));
    if is_anywhere && !endpoints.is_empty() {
        message.problem("load_assignment: not beside dynamic_forward_proxy");
    }
    if !is_anywhere && endpoints.is_empty() {
        message.problem("load_assignment: expected at least one endpoint");
    }
    let mut cluster =
        if is_anywhere { Cluster::anywhere_but(name, egress::never()) } else { Cluster::new(name, endpoints) };
    match message.text("type").as_deref() {
        None | Some("STATIC" | "LOGICAL_DNS") => {}
        Some("STRICT_DNS") => cluster.spread_addresses = true,
        Some(other) => {
            message.problem(format!("type {other} is not supported here, only STATIC, STRICT_DNS and LOGICAL_DNS"));
        }
    }
    cluster.balance = match message.text("lb_policy").as_deref() {
        None | Some("ROUND_ROBIN") => Balance::RoundRobin,
        Some("CLUSTER_PROVIDED") if is_anywhere => Balance::RoundRobin,
        Some("LEAST_REQUEST") => Balance::LeastRequest,
        Some("RANDOM") => Balance::Random,
        Some(other) => {
            message.problem(format!(
                "lb_policy {other} is not supported here, only ROUND_ROBIN, LEAST_REQUEST and RANDOM"
            ));
            Balance::RoundRobin
        }
    };
    if let Some(span) = message.duration("connect_timeout") {
        if span.is_zero() {
            message.problem("connect_timeout: expected more than 0s");
        }
        cluster.connect_timeout = span;
    }
    if let Some(span) = message.duration("dns_refresh_rate").filter(|span| *span > Duration::from_millis(1)) {
        cluster.resolve_every = span;
    }
    if let Some(mut socket) = message.message("transport_socket") {
        cluster.tls = upstream_tls(&mut socket);
    }
    protocol(message, &mut cluster);
    if let Some(mut breakers) = message.message("circuit_breakers") {
        breakers.ignore(&["per_host_thresholds"]);
        for mut threshold in breakers.messages("thresholds") {
            threshold.only("priority", &["DEFAULT"]);
            cluster.max_requests = threshold.number("max_requests").or(cluster.max_requests);
            // Connections are made as requests need them, and none wait in a queue of their own.
            threshold.ignore(&[
                "max_connections",
                "max_pending_requests",
                "max_retries",
                "track_remaining",
                "retry_budget",
                "max_connection_pools",
            ]);
        }
    }
    message.ignore(&[
        "alt_stat_name",
        "dns_lookup_family",
        "respect_dns_ttl",
        "metadata",
        "per_connection_buffer_limit_bytes",
        "common_lb_config",
        "upstream_connection_options",
        "least_request_lb_config",
        "round_robin_lb_config",
        "wait_for_warm_on_init",
        "ignore_health_on_host_removal",
        "cleanup_interval",
        "protocol_selection",
        "dns_failure_refresh_rate",
        "dns_jitter",
        "typed_dns_resolver_config",
        "use_tcp_for_dns_lookups",
        "track_timeout_budgets",
        "track_cluster_stats",
        "connection_pool_per_downstream_connection",
    ]);
    message.refuse(&[
        "health_checks",
        "outlier_detection",
        "eds_cluster_config",
        "upstream_bind_config",
        "load_balancing_policy",
        "lb_subset_config",
        "ring_hash_lb_config",
        "maglev_lb_config",
        "original_dst_lb_config",
        "transport_socket_matches",
        "filters",
        "hosts",
        "tls_context",
        "lrs_server",
        "preconnect_policy",
    ]);
    cluster
}

/// Whether a cluster of another type is the one that goes where each request says.
fn forward_proxy(kind: &mut Message) -> bool {
    kind.ignore(&["name"]);
    match kind.typed("typed_config") {
        Some((name, mut inner)) if name == FORWARD_PROXY => {
            if let Some(mut cache) = inner.message("dns_cache_config") {
                dns_cache(&mut cache);
            }
            inner.ignore(&["allow_insecure_cluster_options", "allow_coalesced_connections"]);
            inner.refuse(&["sub_clusters_config"]);
            return true;
        }
        Some((name, mut inner)) => {
            inner.ignore_all();
            kind.problem(format!("{name} is not supported here, only dynamic_forward_proxy"));
        }
        None => kind.problem("typed_config: required"),
    }
    false
}

/// Names are looked up when they are used, at most 1,024 are remembered, and none is for long.
pub fn dns_cache(message: &mut Message) {
    let _ = message.required("name");
    message.ignore(&[
        "dns_lookup_family",
        "dns_refresh_rate",
        "dns_min_refresh_rate",
        "host_ttl",
        "max_hosts",
        "disable_dns_refresh_on_failure",
        "dns_failure_refresh_rate",
        "dns_cache_circuit_breaker",
        "use_tcp_for_dns_lookups",
        "dns_resolution_config",
        "typed_dns_resolver_config",
        "preresolve_hostnames",
        "dns_query_timeout",
        "key_value_config",
    ]);
}

fn localities(message: &mut Message, endpoints: &mut Vec<Endpoint>) {
    message.ignore(&["locality", "proximity", "metadata"]);
    let backup = message.number::<u32>("priority").unwrap_or(0) > 0;
    let around: u32 = message.number("load_balancing_weight").unwrap_or(1);
    for mut one in message.messages("lb_endpoints") {
        let weight = one.number::<u32>("load_balancing_weight").unwrap_or(1).saturating_mul(around).max(1);
        one.ignore(&["metadata"]);
        one.only("health_status", &["UNKNOWN", "HEALTHY"]);
        one.refuse(&["endpoint_name"]);
        let Some(mut endpoint) = one.message("endpoint") else {
            one.problem("endpoint: required");
            continue;
        };
        endpoint.ignore(&["hostname"]);
        endpoint.refuse(&["health_check_config", "additional_addresses"]);
        let address = endpoint.message("address").and_then(|mut inner| address(&mut inner));
        endpoints.extend(address.map(|address| Endpoint { address, weight, backup }));
    }
    message.refuse(&["load_balancer_endpoints", "leds_cluster_locality_config"]);
}

fn address(message: &mut Message) -> Option<Address> {
    if let Some(mut pipe) = message.message("pipe") {
        return Some(Address::Unix(pipe.required("path").into()));
    }
    let mut socket = message.message("socket_address")?;
    socket.only("protocol", &["TCP"]);
    socket.ignore(&["ipv4_compat", "resolver_name"]);
    let host = socket.required("address");
    let port: Option<u16> = socket.number("port_value").filter(|port| *port > 0);
    if port.is_none() {
        socket.problem("port_value: required, a number from 1 to 65535");
    }
    Some(Address::Tcp { host, port: port? })
}

/// HTTP/1.1 unless somebody says HTTP/2, in one of three places.
fn protocol(message: &mut Message, cluster: &mut Cluster) {
    if let Some(mut old) = message.message("http2_protocol_options") {
        old.ignore_all();
        cluster.http2 = true;
    }
    message.ignore(&["http_protocol_options"]);
    if let Some(mut common) = message.message("common_http_protocol_options") {
        keepalive(&mut common, cluster);
    }
    message.ignore(&["max_requests_per_connection"]);
    let Some(mut options) = message.message("typed_extension_protocol_options") else { return };
    let Some(mut http) = options.message(HTTP_OPTIONS) else { return };
    http.ignore(&["@type", "upstream_http_protocol_options"]);
    if let Some(mut explicit) = http.message("explicit_http_config") {
        explicit.ignore(&["http_protocol_options"]);
        if let Some(mut h2) = explicit.message("http2_protocol_options") {
            h2.ignore_all();
            cluster.http2 = true;
        }
    }
    if let Some(mut common) = http.message("common_http_protocol_options") {
        keepalive(&mut common, cluster);
    }
    http.refuse(&["use_downstream_protocol_config", "auto_config", "http_filters"]);
}

fn keepalive(common: &mut Message, cluster: &mut Cluster) {
    if let Some(span) = common.duration("idle_timeout").filter(|span| !span.is_zero()) {
        cluster.keepalive.timeout = span;
    }
    common.ignore(&["max_requests_per_connection", "max_headers_count", "headers_with_underscores_action"]);
    common.refuse(&["max_connection_duration", "max_stream_duration"]);
}
