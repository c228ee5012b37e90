//! `listeners`: where clients come in, and what is done there.

use std::sync::Arc;

use common::config::Section;
use tls::{Certificate, ClientCertificates, ServerTls};
use values::{ByteSize, ListenAddr, Span};

use crate::config::{
    BasicAuth, CertificateHeader, ClientLimits, ClientRules, Forwarded, Host, Http, Listener, RealIp, Serve, TcpRoute,
    Trust, Underscores,
};

use super::{Reader, cluster::pair, egress, log, route};

pub fn listener(section: &mut Section, reader: &mut Reader) -> Option<Listener> {
    let addr: Option<ListenAddr> = section.required("listen");
    let tls = section.section("tls").map(|mut section| server_tls(&mut section));
    let proxy_protocol = section.parsed("proxy_protocol").unwrap_or(false);
    let inbound = section.parsed("inbound").unwrap_or(true);
    let serve = match section.has("tcp") {
        true => tcp(section, reader),
        false => Serve::Http(Arc::new(http(section, reader))),
    };
    let tls = tls.map(|mut tls| {
        if let Serve::Http(http) = &serve {
            tls.alpn = vec![b"http/1.1".to_vec()];
            if http.http2 {
                tls.alpn.insert(0, b"h2".to_vec());
            }
        }
        tls
    });
    let addr = addr?;
    if reader.config.listeners.iter().any(|known| known.addr == addr && addr.port() != Some(0)) {
        section.problem(format!("listen {addr}: another listener has it"));
    }
    Some(Listener { name: addr.to_string(), addr, tls, proxy_protocol, serve, inbound })
}

fn tcp(section: &mut Section, reader: &mut Reader) -> Serve {
    let routes = section.sections_or_text("tcp", "to").into_iter().map(|mut section| {
        let to: String = section.required("to").unwrap_or_default();
        TcpRoute {
            server_names: section.list("server_names"),
            cluster: reader.cluster(&section, "to", &to),
            idle_timeout: section
                .parsed::<Span>("idle_timeout")
                .map_or(Some(std::time::Duration::from_secs(3600)), |s| Some(s.0)),
        }
    });
    Serve::Tcp(routes.collect())
}

fn server_tls(section: &mut Section) -> ServerTls {
    let usual = ServerTls::default();
    let mut certificates: Vec<Certificate> = Vec::new();
    if let Some(identity) = pair(section, "cert_file", "key_file") {
        certificates.push(Certificate { identity, names: section.list("names") });
    }
    for mut section in section.sections("certificates") {
        match pair(&mut section, "cert_file", "key_file") {
            Some(identity) => certificates.push(Certificate { identity, names: section.list("names") }),
            None => section.problem("expected cert_file and key_file"),
        }
    }
    if certificates.is_empty() {
        section.problem("expected cert_file and key_file, or certificates");
    }
    let roots = section.parsed("client_ca_file");
    let asked = section.parsed::<String>("client_certificates");
    let clients = ClientCertificates::asked(asked.as_deref(), roots).unwrap_or_else(|problem| {
        section.problem(problem);
        ClientCertificates::Ignored
    });
    ServerTls {
        certificates,
        clients,
        strict_names: section.parsed("strict_names").unwrap_or(false),
        min_version: section.parsed("min_version").unwrap_or(usual.min_version),
        max_version: section.parsed("max_version").unwrap_or(usual.max_version),
        cipher_suites: section.list("cipher_suites"),
        tickets: section.parsed("tickets").unwrap_or(true),
        ..usual
    }
}

fn http(section: &mut Section, reader: &mut Reader) -> Http {
    let logs = log::access_log(section, reader);
    let auth = basic_auth(section, None);
    let mut hosts: Vec<Host> = Vec::new();
    for mut inner in section.sections("hosts") {
        hosts.push(host(&mut inner, reader, &logs, auth.as_ref()));
    }
    let mut own = route::routes(section, reader, &logs, auth.as_ref());
    let way_out = egress::egress(section, reader, &logs);
    if let Some(way_out) = &way_out {
        own.extend(way_out.clone());
        for host in &mut hosts {
            // Those that are named have routes of their own; a tunnel to them is a tunnel all the same.
            host.routes.extend(way_out.iter().filter_map(egress::tunnel));
        }
        if auth.is_some() {
            section
                .problem("auth: not beside egress; who may use it is decided by where it listens, or allow in routes");
        }
    }
    let default_host = (!own.is_empty()).then(|| {
        let name = "default".into();
        hosts.push(Host { name, routes: own, require_tls: false, ..Host::default() });
        hosts.len() - 1
    });
    if hosts.is_empty() {
        section.problem("expected routes, hosts, egress or tcp");
    }
    Http {
        hosts,
        chains: Vec::new(),
        default_host,
        port_counts: false,
        http2: section.parsed("http2").unwrap_or(true),
        client: client(section, way_out.is_some()),
        via: section.parsed("via").or_else(|| way_out.map(|_| "reverse-proxy".into())),
        limits: limits(section),
        server_header: section.parsed("server_header"),
        access_logs: logs,
    }
}

fn host(section: &mut Section, reader: &mut Reader, logs: &[usize], auth: Option<&BasicAuth>) -> Host {
    let patterns = section.list("names");
    if patterns.is_empty() {
        section.problem("names: expected at least one host, or * for all");
    }
    let auth = basic_auth(section, auth);
    let routes = route::routes(section, reader, logs, auth.as_ref());
    if routes.is_empty() {
        section.problem("routes: expected at least one");
    }
    let name = patterns.first().map(ToString::to_string).unwrap_or_default();
    let require_tls = section.parsed("require_tls").unwrap_or(false);
    Host { name, patterns, routes, require_tls, ..Host::default() }
}

/// `auth: {realm, users_file}`, `auth: off`, or what holds around here.
pub fn basic_auth(section: &mut Section, around: Option<&BasicAuth>) -> Option<BasicAuth> {
    let Some(mut auth) = section.section_or("auth", "off") else { return around.cloned() };
    if let Some(word) = auth.parsed::<String>("off") {
        if word != "off" && word != "false" {
            auth.problem(format!("\"{word}\": expected off, or realm and users_file"));
        }
        return None;
    }
    let realm = auth.parsed("realm").unwrap_or_else(|| "Restricted".into());
    Some(BasicAuth { realm, users: auth.required("users_file")? })
}

/// `out`: nobody out there has to know who we are, unless somebody says so.
fn client(section: &mut Section, out: bool) -> ClientRules {
    let networks = section.list("trusted_proxies");
    let trust = match section.parsed::<usize>("trusted_hops") {
        Some(_) if !networks.is_empty() => {
            section.problem("expected trusted_proxies or trusted_hops, not both");
            Trust::Nobody
        }
        Some(hops) => Trust::Hops(hops),
        None if networks.is_empty() => Trust::Nobody,
        None => Trust::Networks(networks),
    };
    let mut forwarded = Forwarded::default();
    let words: Vec<String> = match section.has("forwarded") {
        true => section.list("forwarded"),
        false if out => Vec::new(),
        false => vec!["x_forwarded".into()],
    };
    for word in words {
        match word.as_str() {
            "x_forwarded" => forwarded.x_forwarded = true,
            "standard" => forwarded.standard = true,
            "client_certificate" => forwarded.client_certificate = CertificateHeader::Set,
            "off" => forwarded = Forwarded::default(),
            other => section
                .problem(format!("forwarded \"{other}\": expected x_forwarded, standard, client_certificate or off")),
        }
    }
    ClientRules {
        trust,
        real_ip: section.parsed("client_address_header").map_or(RealIp::ForwardedFor, RealIp::Header),
        forwarded,
        keep_claims: false,
        request_id: section.parsed("request_id").unwrap_or(!out),
        traceparent: section.parsed("traceparent").unwrap_or(!out),
        unwelcome: Vec::new(),
        underscores: match section.parsed::<String>("underscores").as_deref() {
            None | Some("drop") => Underscores::Drop,
            Some("pass") => Underscores::Pass,
            Some("refuse") => Underscores::Refuse,
            Some(other) => {
                section.problem(format!("underscores \"{other}\": expected drop, pass or refuse"));
                Underscores::Drop
            }
        },
    }
}

fn limits(section: &mut Section) -> ClientLimits {
    let mut limits = ClientLimits::default();
    let Some(mut section) = section.section("limits") else { return limits };
    for (key, slot) in [
        ("head_timeout", &mut limits.head_timeout),
        ("body_timeout", &mut limits.body_timeout),
        ("send_timeout", &mut limits.send_timeout),
        ("idle_timeout", &mut limits.idle_timeout),
    ] {
        if let Some(span) = section.parsed::<Span>(key) {
            *slot = span.0;
        }
    }
    if let Some(size) = section.parsed::<ByteSize>("max_head") {
        limits.max_head = size.0.clamp(1024, 1 << 20) as usize;
    }
    limits.max_fields = section.parsed("max_fields");
    if limits.max_fields.is_some_and(|most| !(1..=256).contains(&most)) {
        section.problem("max_fields: expected 1 to 256");
    }
    limits.max_connections = section.parsed("max_connections");
    limits.max_requests = section.parsed("max_requests");
    limits.max_streams = section.parsed("max_streams").unwrap_or(limits.max_streams);
    limits
}
