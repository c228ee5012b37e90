//! `clusters`: where requests go.

use std::path::PathBuf;

use common::config::Section;
use tls::{ClientTls, Identity, Roots};
use values::Span;

use crate::config::{Cluster, Endpoint, UpstreamTls};

use super::words::Place;

pub fn cluster(section: &mut Section) -> Cluster {
    let name: String = section.required("name").unwrap_or_default();
    let endpoints: Vec<Endpoint> =
        section.sections_or_text("endpoints", "address").iter_mut().filter_map(endpoint).collect();
    if endpoints.is_empty() {
        section.problem("endpoints: expected at least one address");
    }
    let usual = Cluster::new(name, endpoints);
    let span = |section: &mut Section, key: &str, usual| section.parsed::<Span>(key).map_or(usual, |span| span.0);
    let mut cluster = Cluster {
        balance: section.parsed("balance").unwrap_or_default(),
        connect_timeout: span(section, "connect_timeout", usual.connect_timeout),
        connect_wait: span(section, "connect_wait", usual.connect_wait),
        resolve_every: span(section, "resolve_every", usual.resolve_every),
        http2: section.parsed("http2").unwrap_or(false),
        spread_addresses: section.parsed("spread_addresses").unwrap_or(false),
        max_requests: section.parsed("max_requests"),
        ..usual
    };
    cluster.keepalive.idle = section.parsed("keepalive").unwrap_or(cluster.keepalive.idle);
    cluster.keepalive.timeout = span(section, "keepalive_timeout", cluster.keepalive.timeout);
    cluster.proxy_protocol = match section.parsed::<String>("proxy_protocol").as_deref() {
        None => None,
        Some("v1") => Some(1),
        Some("v2") => Some(2),
        Some(other) => {
            section.problem(format!("proxy_protocol \"{other}\": expected v1 or v2"));
            None
        }
    };
    cluster.tls = section.section("tls").map(|mut section| upstream_tls(&mut section));
    cluster
}

fn endpoint(section: &mut Section) -> Option<Endpoint> {
    let place: Option<Place> = section.required("address");
    let weight = section.parsed("weight").unwrap_or(1);
    let backup = section.parsed("backup").unwrap_or(false);
    if weight == 0 {
        section.problem("weight: expected 1 or more");
    }
    Some(Endpoint { address: place?.0, weight, backup })
}

fn upstream_tls(section: &mut Section) -> UpstreamTls {
    let identity = pair(section, "cert_file", "key_file");
    let roots = section.parsed::<PathBuf>("ca_file").map_or(Roots::System, Roots::File);
    let skip = section.parsed("dangerously_skip_verification").unwrap_or(false);
    let client = ClientTls { roots, identity, dangerously_skip_verification: skip, ..ClientTls::default() };
    UpstreamTls { client, server_name: section.parsed("server_name") }
}

/// Both or neither.
pub fn pair(section: &mut Section, certificate: &str, key: &str) -> Option<Identity> {
    match (section.parsed(certificate), section.parsed(key)) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, None) => None,
        _ => {
            section.problem(format!("expected {certificate} and {key} together"));
            None
        }
    }
}
