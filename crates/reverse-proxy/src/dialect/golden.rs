//! Files of peers and what they mean here: `tests/fixtures/reverse-proxy/PEER/CASE`, beside it `CASE.txt`.

use std::{fmt::Write, fs, path::Path};

use crate::{
    config::{Action, Cluster, Config, Listener, NewHost, NewPath, Route, Serve, Tunnel},
    template::{Part, Template},
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/reverse-proxy");

/// A reader of a dialect, of a text under a name.
type Read = fn(&str, &str) -> Result<Config, Vec<String>>;

fn cases(peer: &str, read: Read) {
    let dir = Path::new(FIXTURES).join(peer);
    let mut seen = 0;
    for entry in fs::read_dir(&dir).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "txt") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let meant = match read(&name, &fs::read_to_string(&path).unwrap()) {
            Ok(config) => described(&config),
            Err(problems) => problems.join("\n") + "\n",
        };
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        assert_eq!(meant, expected, "{}: it means\n{meant}", path.display());
        seen += 1;
    }
    assert!(seen > 0, "{}: no cases", dir.display());
}

#[test]
fn files_of_nginx_mean_what_is_written_beside_them() {
    cases("nginx", super::nginx::from_text);
}

#[test]
fn files_of_envoy_mean_what_is_written_beside_them() {
    cases("envoy", super::envoy::from_text);
}

fn described(config: &Config) -> String {
    let mut out = String::new();
    config.listeners.iter().for_each(|one| listener(one, &mut out));
    config.clusters.iter().for_each(|one| cluster(one, &mut out));
    for note in &config.notes {
        let _ = writeln!(out, "note {note}");
    }
    out
}

fn listener(listener: &Listener, out: &mut String) {
    let _ = writeln!(
        out,
        "listener {} at {} inbound {} PROXY {}",
        listener.name, listener.addr, listener.inbound, listener.proxy_protocol
    );
    if let Some(tls) = &listener.tls {
        let names: Vec<_> = tls.certificates.iter().map(|one| one.names.join(" ")).collect();
        let alpn: Vec<_> = tls.alpn.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let _ = writeln!(
            out,
            "  tls {}-{} for [{}] alpn {alpn:?} clients {:?}",
            tls.min_version,
            tls.max_version,
            names.join(", "),
            tls.clients
        );
    }
    match &listener.serve {
        Serve::Tcp(routes) => {
            for route in routes {
                let names: Vec<_> = route.server_names.iter().map(ToString::to_string).collect();
                let _ = writeln!(out, "  tcp {names:?} to {} idle {:?}", route.cluster, route.idle_timeout);
            }
        }
        Serve::Http(http) => {
            let _ = writeln!(
                out,
                "  http2 {} trust {:?} forwarded {:?}",
                http.http2, http.client.trust, http.client.forwarded
            );
            for (at, host) in http.hosts.iter().enumerate() {
                let names: Vec<_> = host.patterns.iter().map(ToString::to_string).collect();
                let default = if http.default_host == Some(at) { " default" } else { "" };
                let _ = writeln!(out, "  host {} {names:?} {:?}{default}", host.name, host.choice);
                host.routes.iter().for_each(|one| route(one, out));
            }
        }
    }
}

fn route(route: &Route, out: &mut String) {
    let what = match &route.action {
        Action::Forward(forward) => {
            let path = match &forward.path {
                NewPath::Same => "same".into(),
                NewPath::Instead(text) => format!("instead {text}"),
                NewPath::Regex { to, .. } => format!("regex {}", brief(to)),
                NewPath::Whole(to) => format!("whole {}", brief(to)),
            };
            let host = match &forward.host {
                NewHost::Same => "same".into(),
                NewHost::Is(text) => brief(text),
                NewHost::Endpoint => "endpoint".into(),
            };
            let timeouts = &forward.timeouts;
            format!(
                "to {:?} path {path} host {host} timeouts {:?}/{:?} retries {} upgrade {}",
                forward.to, timeouts.total, timeouts.response, forward.retry.times, forward.upgrade
            )
        }
        Action::Redirect { status, to } => format!("redirect {status} {}", brief(to)),
        Action::Respond { status, body, .. } => format!("respond {status} {}", brief(body)),
        Action::Status => "status".into(),
    };
    let auth = route.auth.as_ref().map(|auth| format!(" auth {:?} {}", auth.realm, auth.users.display()));
    let tunnel = match route.when.tunnel {
        Tunnel::Never => "",
        Tunnel::Only => " tunnel",
        Tunnel::Too => " and tunnel",
    };
    let _ = writeln!(out, "    {}{tunnel} -> {what}{}", route.name, auth.unwrap_or_default());
    for (name, rules) in [("request", &route.request_headers), ("response", &route.response_headers)] {
        for rule in rules {
            let change = format!("{:?}", rule.change);
            let verb = change.split(['(', ' ']).next().unwrap_or_default();
            let _ = writeln!(out, "      {name} {verb} {} always {}", rule.name, rule.always);
        }
    }
}

fn cluster(cluster: &Cluster, out: &mut String) {
    let _ = writeln!(
        out,
        "cluster {} {:?} connect {:?} http2 {} tls {}",
        cluster.name,
        cluster.balance,
        cluster.connect_timeout,
        cluster.http2,
        cluster.tls.is_some()
    );
    if let Some(networks) = &cluster.anywhere_but {
        let _ =
            writeln!(out, "  anywhere but {}", networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    }
    for endpoint in &cluster.endpoints {
        let _ = writeln!(out, "  {:?} weight {} backup {}", endpoint.address, endpoint.weight, endpoint.backup);
    }
}

fn brief(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.trim_end().to_owned(),
        Part::Value(variable) => format!("{{{variable:?}}}"),
    };
    template.0.iter().map(part).collect()
}
