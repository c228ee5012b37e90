//! Upstream blocks, and the clusters that `proxy_pass` makes of them.

use std::{collections::HashMap, time::Duration};

use tls::{ClientTls, Identity, Roots};

use crate::config::{Address, Balance, Cluster, Endpoint, Keepalive, UpstreamTls};

use super::{
    report::Report,
    scope::{Scope, UpstreamSsl},
    syntax::Directive,
    units::time,
};

/// `upstream name { ... }`
#[derive(Clone, Debug)]
pub struct Upstream {
    endpoints: Vec<(Endpoint, bool)>,
    balance: Balance,
    idle: usize,
    idle_timeout: Duration,
}

/// Where a `proxy_pass` leads.
#[derive(Clone, Debug)]
pub struct Target {
    pub secure: bool,
    /// `host`, `host:port` or `unix:/path`; the name of an upstream, maybe.
    pub authority: String,
}

#[derive(Debug, Default)]
pub struct Upstreams {
    blocks: HashMap<String, Upstream>,
    clusters: Vec<(Key, Cluster)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Key {
    authority: String,
    tls: Option<UpstreamSsl>,
    connect_timeout: Duration,
}

impl Upstreams {
    pub fn block(&mut self, directive: &Directive, report: &mut Report) {
        let ([name], Some(block)) = (directive.args.as_slice(), &directive.block) else {
            return report.arguments(directive);
        };
        let mut upstream = Upstream {
            endpoints: Vec::new(),
            balance: Balance::RoundRobin,
            idle: Keepalive::default().idle,
            idle_timeout: Duration::from_secs(60),
        };
        for inner in block {
            let args: Vec<&str> = inner.args.iter().map(String::as_str).collect();
            match (inner.name.as_str(), args.as_slice()) {
                ("server", [address, options @ ..]) => match server(address, options, inner, report) {
                    Ok(Some(endpoint)) => upstream.endpoints.push(endpoint),
                    Ok(None) => {}
                    Err(problem) => report.at(inner, problem),
                },
                ("least_conn", []) => upstream.balance = Balance::LeastRequest,
                ("random", []) => upstream.balance = Balance::Random,
                ("random", ["two"] | ["two", "least_conn"]) => upstream.balance = Balance::LeastRequest,
                ("keepalive", [count]) => match count.parse() {
                    Ok(count) => upstream.idle = count,
                    Err(_) => report.at(inner, format!("invalid value \"{count}\" in \"keepalive\" directive")),
                },
                ("keepalive_timeout", [text]) => match time(text) {
                    Ok(span) => upstream.idle_timeout = span,
                    Err(problem) => report.at(inner, problem),
                },
                ("keepalive_requests" | "keepalive_time" | "zone", [_, ..]) => {}
                ("server" | "least_conn" | "keepalive", _) => report.arguments(inner),
                _ => report.unknown(inner),
            }
        }
        if upstream.endpoints.is_empty() {
            report.at(directive, format!("no servers are inside upstream \"{name}\""));
        }
        if self.blocks.insert(name.clone(), upstream).is_some() {
            report.at(directive, format!("duplicate upstream \"{name}\""));
        }
    }

    /// The cluster of a target, made when it is asked for first. Its name, and how many servers it has.
    pub fn cluster(&mut self, target: &Target, scope: &Scope) -> Result<(String, usize), String> {
        let key = Key {
            authority: target.authority.clone(),
            tls: target.secure.then(|| scope.upstream_ssl.clone()),
            connect_timeout: scope.connect_timeout,
        };
        if let Some((_, known)) = self.clusters.iter().find(|(other, _)| *other == key) {
            return Ok((known.name.clone(), known.endpoints.len()));
        }
        let default_port = if target.secure { 443 } else { 80 };
        let mut cluster = match self.blocks.get(&target.authority) {
            Some(upstream) => {
                let fill = |(endpoint, has_port): &(Endpoint, bool)| {
                    let mut endpoint = endpoint.clone();
                    if let (Address::Tcp { port, .. }, false) = (&mut endpoint.address, has_port) {
                        *port = default_port;
                    }
                    endpoint
                };
                let mut cluster = Cluster::new("", upstream.endpoints.iter().map(fill).collect());
                cluster.balance = upstream.balance;
                cluster.keepalive = Keepalive { idle: upstream.idle, timeout: upstream.idle_timeout };
                cluster
            }
            None => {
                let (address, _) = address(&target.authority, default_port)?;
                Cluster::new("", vec![Endpoint::at(address)])
            }
        };
        let scheme = if target.secure { "https://" } else { "" };
        let again = self.clusters.iter().filter(|(other, _)| other.authority == key.authority).count();
        cluster.name = match again {
            0 => format!("{scheme}{}", target.authority),
            // The same servers with other settings.
            nth => format!("{scheme}{}#{}", target.authority, nth + 1),
        };
        cluster.connect_timeout = scope.connect_timeout;
        cluster.tls = key.tls.as_ref().map(upstream_tls);
        let made = (cluster.name.clone(), cluster.endpoints.len());
        self.clusters.push((key, cluster));
        Ok(made)
    }

    pub fn into_clusters(self) -> Vec<Cluster> {
        self.clusters.into_iter().map(|(_, cluster)| cluster).collect()
    }
}

fn upstream_tls(ssl: &UpstreamSsl) -> UpstreamTls {
    let identity = match (&ssl.certificate, &ssl.key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate: certificate.clone(), key: key.clone() }),
        _ => None,
    };
    let client = ClientTls {
        roots: ssl.trusted.clone().map_or(Roots::System, Roots::File),
        identity,
        // As nginx does: who does not ask for verification gets none.
        dangerously_skip_verification: !ssl.verify,
        ca_setting: "proxy_ssl_trusted_certificate".into(),
        ..ClientTls::default()
    };
    UpstreamTls { client, server_name: ssl.name.clone() }
}

/// The endpoint, and whether its port was given. None: it is `down`.
fn server(
    text: &str,
    options: &[&str],
    directive: &Directive,
    report: &mut Report,
) -> Result<Option<(Endpoint, bool)>, String> {
    let (address, has_port) = address(text, 80)?;
    let mut endpoint = Endpoint::at(address);
    let mut down = false;
    for option in options {
        match option.split_once('=').unwrap_or((option, "")) {
            ("weight", value) => {
                endpoint.weight =
                    value.parse().ok().filter(|w| *w > 0).ok_or(format!("invalid parameter \"{option}\""))?;
            }
            ("backup", "") => endpoint.backup = true,
            ("down", "") => down = true,
            ("max_fails" | "fail_timeout" | "resolve", _) => {}
            ("max_conns", "0") => {}
            ("max_conns" | "slow_start" | "service" | "route" | "drain", _) => {
                report.at(directive, format!("the parameter \"{option}\" is not supported here"));
            }
            _ => return Err(format!("invalid parameter \"{option}\"")),
        }
    }
    Ok((!down).then_some((endpoint, has_port)))
}

/// `host`, `host:port`, `[v6]:port` or `unix:/path`; and whether it has a port.
pub fn address(text: &str, default_port: u16) -> Result<(Address, bool), String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.trim_end_matches(':');
        let absolute = path.starts_with('/');
        return if absolute {
            Ok((Address::Unix(path.into()), true))
        } else {
            Err(format!("no path in the unix domain socket in upstream \"{text}\""))
        };
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let valid =
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':'));
    if !valid {
        return Err(format!("host not found in upstream \"{text}\""));
    }
    let number = port.map(str::parse::<u16>).transpose().ok().filter(|port| *port != Some(0));
    let number = number.ok_or_else(|| format!("invalid port in upstream \"{text}\""))?;
    Ok((Address::Tcp { host: host.into(), port: number.unwrap_or(default_port) }, number.is_some()))
}
