//! Servers by the address they listen on: listeners, with their hosts, certificates and defaults.

use std::sync::Arc;

use tls::{Certificate, ClientCertificates, Identity, ServerTls, TlsVersion};

use crate::config::{
    CertificateHeader, ClientLimits, ClientRules, Config, Forwarded, Http as HttpModel, Listener, Serve, Trust,
    Underscores,
};

use super::{
    http::{Http, Server},
    listen::Listen,
    report::Report,
    scope::{Scope, Ssl},
};

pub fn listeners(http: &mut Http<'_>, config: &mut Config, report: &mut Report) {
    let mut addresses: Vec<Listen> = Vec::new();
    for listen in http.servers.iter().flat_map(|server| &server.listens) {
        match addresses.iter_mut().find(|known| known.addr == listen.addr) {
            // What one server says of an address holds for all of them.
            Some(known) => {
                known.ssl |= listen.ssl;
                known.http2 |= listen.http2;
                known.proxy_protocol |= listen.proxy_protocol;
            }
            None => addresses.push(listen.clone()),
        }
    }
    let servers = std::mem::take(&mut http.servers);
    for listen in addresses {
        config.listeners.extend(listener(&listen, &servers, http, report));
    }
}

fn listener(listen: &Listen, servers: &[Server], http: &mut Http<'_>, report: &mut Report) -> Option<Listener> {
    let here: Vec<(&Server, &Listen)> = servers
        .iter()
        .filter_map(|server| Some((server, server.listens.iter().find(|other| other.addr == listen.addr)?)))
        .collect();
    let defaults: Vec<usize> =
        here.iter().enumerate().filter(|(_, (_, listen))| listen.default_server).map(|(at, _)| at).collect();
    if let [_, second, ..] = defaults.as_slice() {
        report.at(&here[*second].0.place, format!("a duplicate default server for {}", listen.addr));
    }
    let default = defaults.first().copied().unwrap_or(0);
    let first = here.get(default)?.0;
    let tls = if listen.ssl { tls(&here, first, report) } else { None };
    let scope = &first.scope;
    let model = HttpModel {
        via: None,
        chains: Vec::new(),
        hosts: here.iter().map(|(server, _)| server.host.clone()).collect(),
        default_host: Some(default),
        port_counts: false,
        http2: listen.http2 || scope.http2,
        client: client_rules(scope),
        limits: client_limits(scope),
        server_header: None,
        access_logs: http.logs_of(scope),
    };
    Some(Listener {
        name: listen.addr.to_string(),
        addr: listen.addr.clone(),
        tls: tls.map(|mut tls| {
            if model.http2 {
                tls.alpn.insert(0, b"h2".to_vec());
            }
            tls
        }),
        proxy_protocol: listen.proxy_protocol,
        serve: Serve::Http(Arc::new(model)),
        inbound: true,
    })
}

fn client_rules(scope: &Scope) -> ClientRules {
    let trusted = scope.real_ip.clone();
    ClientRules {
        trust: match scope.real_ip_recursive {
            _ if trusted.is_empty() => Trust::Nobody,
            true => Trust::Networks(trusted),
            false => Trust::Last(trusted),
        },
        real_ip: scope.real_ip_header.clone(),
        forwarded: Forwarded { client_certificate: CertificateHeader::Untouched, ..Forwarded::default() },
        keep_claims: true,
        underscores: if scope.underscores { Underscores::Pass } else { Underscores::Drop },
        ..ClientRules::default()
    }
}

fn client_limits(scope: &Scope) -> ClientLimits {
    let client = &scope.client;
    ClientLimits {
        head_timeout: client.head_timeout,
        body_timeout: client.body_timeout,
        send_timeout: client.send_timeout,
        idle_timeout: client.keepalive_timeout,
        max_head: client.max_head as usize,
        max_fields: None,
        max_connections: None,
        max_requests: Some(client.keepalive_requests),
        max_streams: client.max_streams,
    }
}

fn tls(here: &[(&Server, &Listen)], first: &Server, report: &mut Report) -> Option<ServerTls> {
    let mut certificates = Vec::new();
    let default_first =
        std::iter::once(first).chain(here.iter().map(|(server, _)| *server).filter(|s| !std::ptr::eq(*s, first)));
    for server in default_first {
        let ssl = &server.scope.ssl;
        if ssl.certificates.is_empty() {
            report.at(&server.place, "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive");
        }
        if ssl.certificates.len() > ssl.keys.len() {
            report.at(&server.place, "no \"ssl_certificate_key\" is defined for every \"ssl_certificate\"");
        }
        let same = asked(ssl) == asked(&first.scope.ssl);
        if !same {
            report.at(
                &server.place,
                "another \"ssl_verify_client\" than that of the default server of this address is not supported here",
            );
        }
        let names: Vec<String> =
            server.names.iter().filter(|name| !name.starts_with('~')).flat_map(|name| wildcard(name)).collect();
        for (certificate, key) in ssl.certificates.iter().zip(&ssl.keys) {
            let identity = Identity { certificate: certificate.clone(), key: key.clone() };
            // A server without a name is reached only as the default.
            let names = if names.is_empty() { vec![String::from("_")] } else { names.clone() };
            certificates.push(Certificate { identity, names });
        }
    }
    let ssl = &first.scope.ssl;
    let clients = match (ssl.verify_client.as_deref(), &ssl.client_certificate) {
        (None | Some("off"), _) => ClientCertificates::Ignored,
        (Some(_), None) => {
            report.at(&first.place, "no ssl_client_certificate for ssl_verify_client");
            return None;
        }
        (Some("optional"), Some(roots)) => ClientCertificates::Optional { roots: roots.clone() },
        (Some(_), Some(roots)) => ClientCertificates::Required { roots: roots.clone() },
    };
    let has = |version: &str| ssl.protocols.is_empty() || ssl.protocols.iter().any(|said| said == version);
    Some(ServerTls {
        certificates,
        clients,
        min_version: if has("TLSv1.2") { TlsVersion::V1_2 } else { TlsVersion::V1_3 },
        max_version: if has("TLSv1.3") { TlsVersion::V1_3 } else { TlsVersion::V1_2 },
        cipher_suites: crate::dialect::ciphers::suites(ssl.ciphers.as_deref()),
        alpn: vec![b"http/1.1".to_vec()],
        tickets: !ssl.no_tickets,
        ..ServerTls::default()
    })
}

fn asked(ssl: &Ssl) -> (Option<&str>, Option<&std::path::PathBuf>) {
    match ssl.verify_client.as_deref() {
        None | Some("off") => (None, None),
        mode => (mode, ssl.client_certificate.as_ref()),
    }
}

/// `.example.com` is two names for a certificate.
fn wildcard(name: &str) -> Vec<String> {
    match name.strip_prefix('.') {
        Some(bare) => vec![bare.to_owned(), format!("*.{bare}")],
        None if name.is_empty() || name == "_" => Vec::new(),
        None => vec![name.to_owned()],
    }
}
