//! `stream { ... }`: TCP as it is.

use std::{path::Path, time::Duration};

use crate::config::{Config, Listener, Serve, TcpRoute};

use super::{
    listen, refused,
    report::Report,
    scope::Scope,
    syntax::Directive,
    units::time,
    upstream::{Target, Upstreams},
};

pub fn read(block: &[Directive], prefix: &Path, config: &mut Config, report: &mut Report) {
    let _ = prefix;
    let mut upstreams = Upstreams::default();
    for directive in block.iter().filter(|directive| directive.name == "upstream") {
        upstreams.block(directive, report);
    }
    let mut timeouts = (Duration::from_secs(60), Duration::from_secs(600));
    for directive in block {
        match directive.name.as_str() {
            "upstream" | "server" | "access_log" | "log_format" => {}
            _ => common(directive, &mut timeouts, report),
        }
    }
    for directive in block.iter().filter(|directive| directive.name == "server") {
        server(directive, timeouts, &mut upstreams, config, report);
    }
    config.clusters.extend(upstreams.into_clusters());
}

/// The time to connect, and that of a connection on which nothing moves.
type Timeouts = (Duration, Duration);

fn common(directive: &Directive, timeouts: &mut Timeouts, report: &mut Report) {
    let which = match directive.name.as_str() {
        "proxy_connect_timeout" => &mut timeouts.0,
        "proxy_timeout" => &mut timeouts.1,
        name if refused::is_idle(name) => return,
        _ => return report.unknown(directive),
    };
    match directive.args.as_slice() {
        [text] => match time(text) {
            Ok(span) => *which = span,
            Err(problem) => report.at(directive, problem),
        },
        _ => report.arguments(directive),
    }
}

fn server(directive: &Directive, outer: Timeouts, upstreams: &mut Upstreams, config: &mut Config, report: &mut Report) {
    let Some(block) = directive.block.as_deref() else { return report.arguments(directive) };
    let (mut timeouts, mut listens, mut pass) = (outer, Vec::new(), None);
    for inner in block {
        match (inner.name.as_str(), inner.args.as_slice()) {
            ("listen", args) => match listen::parse(args) {
                Ok(found) if found.ssl => report.at(inner, "the parameter \"ssl\" is not supported here in a stream"),
                Ok(found) => listens.push(found),
                Err(problem) => report.at(inner, problem),
            },
            ("proxy_pass", [target]) => pass = Some((inner, target)),
            _ => common(inner, &mut timeouts, report),
        }
    }
    let Some((inner, target)) = pass else {
        return report.at(directive, "no \"proxy_pass\" in this server");
    };
    if target.contains('$') {
        return report.at(inner, "variables in \"proxy_pass\" are not supported here");
    }
    if listens.is_empty() {
        report.at(directive, "no \"listen\" is defined for server");
    }
    let scope = Scope { connect_timeout: timeouts.0, ..Scope::default() };
    match upstreams.cluster(&Target { secure: false, authority: target.clone() }, &scope) {
        Ok((cluster, _)) => config.listeners.extend(listens.iter().map(|listen| Listener {
            name: listen.addr.to_string(),
            addr: listen.addr.clone(),
            tls: None,
            proxy_protocol: listen.proxy_protocol,
            serve: Serve::Tcp(vec![TcpRoute {
                server_names: Vec::new(),
                cluster: cluster.clone(),
                idle_timeout: Some(timeouts.1),
            }]),
            inbound: true,
        })),
        Err(problem) => report.at(inner, problem),
    }
}
