//! Listeners: an address, filter chains, and what is at the end of them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tls::ServerTls;
use values::ListenAddr;

use crate::{
    config::{Chain as Names, Config, Http, Listener, Serve, TcpRoute},
    pattern::{HostPattern, TextPattern},
};

use super::{http, tls::server_tls, walk::Message};

const MANAGER: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const TCP: &str = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

/// What a filter chain is for, and what it does.
struct Chain {
    server_names: Vec<String>,
    tls: Option<(ServerTls, Vec<TextPattern>)>,
    end: End,
}

enum End {
    Http(Box<Http>),
    Tcp(TcpRoute),
}

pub fn listener(message: &mut Message, config: &mut Config) -> Option<Listener> {
    let name = message.text("name");
    let address = message.message("address").and_then(|mut inner| address(&mut inner));
    let mut proxy_protocol = false;
    for mut filter in message.messages("listener_filters") {
        let typed = filter.typed("typed_config");
        filter.ignore(&["filter_disabled"]);
        let name = filter.required("name");
        match name.as_str() {
            "envoy.filters.listener.tls_inspector" | "envoy.filters.listener.http_inspector" => {}
            "envoy.filters.listener.proxy_protocol" => proxy_protocol = true,
            other => filter.problem(format!("{other} is not supported here")),
        }
        typed.into_iter().for_each(|(_, mut inner)| inner.ignore_all());
    }
    let mut chains: Vec<Chain> =
        message.messages("filter_chains").iter_mut().filter_map(|message| chain(message, config)).collect();
    chains.extend(message.message("default_filter_chain").and_then(|mut message| chain(&mut message, config)));
    let outbound = match message.text("traffic_direction").as_deref() {
        None | Some("UNSPECIFIED" | "INBOUND") => false,
        Some("OUTBOUND") => true,
        Some(other) => {
            message.problem(format!("traffic_direction \"{other}\": expected INBOUND or OUTBOUND"));
            false
        }
    };
    message.ignore(&[
        "per_connection_buffer_limit_bytes",
        "metadata",
        "drain_type",
        "listener_filters_timeout",
        "reuse_port",
        "enable_reuse_port",
        "tcp_backlog_size",
        "stat_prefix",
        "connection_balance_config",
        "socket_options",
        "continue_on_listener_filters_timeout",
        "tcp_fast_open_queue_length",
        "max_connections_to_accept_per_socket_event",
    ]);
    message.only("bind_to_port", &["true"]);
    message.refuse(&[
        "access_log",
        "use_original_dst",
        "transparent",
        "freebind",
        "udp_listener_config",
        "api_listener",
        "additional_addresses",
        "internal_listener",
        "filter_chain_matcher",
    ]);
    if chains.is_empty() {
        message.problem("filter_chains: expected at least one that can be served");
    }
    let (serve, tls) = joined(chains, message)?;
    let addr = address?;
    let name = name.unwrap_or_else(|| addr.to_string());
    if config.listeners.iter().any(|known| known.name == name) {
        message.problem(format!("name {name}: another listener has it"));
    }
    Some(Listener { name, addr, tls, proxy_protocol, serve, inbound: !outbound })
}

/// `socket_address` or `pipe`.
pub fn address(message: &mut Message) -> Option<ListenAddr> {
    if let Some(mut pipe) = message.message("pipe") {
        pipe.ignore(&["mode"]);
        return Some(ListenAddr::Unix(pipe.required("path").into()));
    }
    let Some(mut socket) = message.message("socket_address") else {
        message.problem("expected socket_address or pipe");
        return None;
    };
    let host = socket.required("address");
    let port: Option<u16> = socket.number("port_value");
    if port.is_none() {
        socket.problem("port_value: required, a number from 0 to 65535");
    }
    socket.only("protocol", &["TCP"]);
    socket.ignore(&["ipv4_compat", "resolver_name"]);
    socket.refuse(&["named_port"]);
    let port = port?;
    match host.parse::<IpAddr>() {
        Ok(ip) => Some(ListenAddr::Tcp((ip, port).into())),
        Err(_) => format!("{host}:{port}")
            .parse()
            .map_err(|expected| socket.problem(format!("address \"{host}\": {expected}")))
            .ok(),
    }
}

fn chain(message: &mut Message, config: &mut Config) -> Option<Chain> {
    let mut server_names = Vec::new();
    if let Some(mut fits) = message.message("filter_chain_match") {
        server_names = fits.texts("server_names");
        fits.only("transport_protocol", &["tls", "raw_buffer"]);
        fits.ignore(&["application_protocols"]);
        fits.refuse(&[
            "destination_port",
            "prefix_ranges",
            "source_prefix_ranges",
            "source_ports",
            "source_type",
            "direct_source_prefix_ranges",
            "address_suffix",
            "suffix_len",
        ]);
    }
    let tls = message.message("transport_socket").and_then(|mut socket| server_tls(&mut socket, &server_names));
    message.ignore(&["name", "metadata", "transport_socket_connect_timeout"]);
    message.only("use_proxy_proto", &["false"]);
    let mut end = None;
    for mut filter in message.messages("filters") {
        let _ = filter.text("name");
        let Some((kind, mut inner)) = filter.typed("typed_config") else {
            filter.problem("typed_config: required");
            continue;
        };
        match kind.as_str() {
            MANAGER => end = Some(End::Http(Box::new(http::manager(&mut inner, config)))),
            TCP => end = tcp(&mut inner).map(End::Tcp),
            other => {
                inner
                    .problem(format!("{other} is not supported here, only http_connection_manager and tcp_proxy (v3)"));
                inner.ignore_all();
            }
        }
    }
    if end.is_none() {
        message.problem("filters: expected http_connection_manager or tcp_proxy");
    }
    Some(Chain { server_names, tls, end: end? })
}

fn tcp(message: &mut Message) -> Option<TcpRoute> {
    message.ignore(&["stat_prefix", "max_connect_attempts", "access_log_flush_interval"]);
    message.refuse(&[
        "weighted_clusters",
        "access_log",
        "tunneling_config",
        "hash_policy",
        "max_downstream_connection_duration",
    ]);
    let cluster = message.required("cluster");
    let idle = message.duration("idle_timeout").unwrap_or(Duration::from_secs(3600));
    Some(TcpRoute { server_names: Vec::new(), cluster, idle_timeout: (!idle.is_zero()).then_some(idle) })
}

/// Several chains as one: they differ in the server names they are for.
fn joined(chains: Vec<Chain>, message: &Message) -> Option<(Serve, Option<ServerTls>)> {
    let several = chains.len() > 1;
    let (mut https, mut streams): (Vec<Chain>, Vec<Chain>) = (Vec::new(), Vec::new());
    for chain in chains {
        match &chain.end {
            End::Http(_) => https.push(chain),
            End::Tcp(_) => streams.push(chain),
        }
    }
    if !https.is_empty() && !streams.is_empty() {
        message.problem("filter_chains for HTTP beside filter_chains for TCP are not supported here");
        return None;
    }
    if streams.is_empty() {
        return http_chains(https, several, message);
    }
    let opened = streams.iter().any(|chain| chain.tls.is_some());
    if opened && several {
        message.problem("several filter_chains that terminate TLS for tcp_proxy are not supported here");
        return None;
    }
    let tls = streams.first_mut().and_then(|chain| chain.tls.take()).map(|(tls, _)| tls);
    // The more exact names first, and those without any last: as Envoy looks for them.
    streams.sort_by_key(|chain| {
        (chain.server_names.is_empty(), chain.server_names.iter().any(|name| name.starts_with('*')))
    });
    let mut routes = Vec::new();
    for chain in streams {
        if let End::Tcp(mut route) = chain.end {
            route.server_names = names_of(&chain.server_names, message);
            routes.push(route);
        }
    }
    Some((Serve::Tcp(routes), tls))
}

fn http_chains(chains: Vec<Chain>, several: bool, message: &Message) -> Option<(Serve, Option<ServerTls>)> {
    let (with, without) =
        (chains.iter().filter(|c| c.tls.is_some()).count(), chains.iter().filter(|c| c.tls.is_none()).count());
    if several && (without > 0 || with == 0) {
        message.problem("several filter_chains for HTTP have to terminate TLS, each for its own server_names, here");
        return None;
    }
    let (mut all, mut server): (Option<Http>, Option<ServerTls>) = (None, None);
    for chain in chains {
        let End::Http(mut http) = chain.end else { continue };
        if let Some((tls, names)) = chain.tls {
            for route in http.hosts.iter_mut().flat_map(|host| &mut host.routes) {
                route.client_names.clone_from(&names);
            }
            match &mut server {
                None => server = Some(ServerTls { strict_names: !chain.server_names.is_empty(), ..tls }),
                Some(first) if first.clients == tls.clients && first.min_version == tls.min_version => {
                    first.strict_names &= !chain.server_names.is_empty();
                    first.certificates.extend(tls.certificates);
                }
                Some(_) => message.problem("filter_chains that ask different things of clients are not supported here"),
            }
        }
        let first = all.get_or_insert_with(|| Http { hosts: Vec::new(), ..(*http).clone() });
        let before = first.hosts.len();
        first.hosts.append(&mut http.hosts);
        if several {
            // Each has hosts of its own, also where two of them have one of the same name.
            let server_names = names_of(&chain.server_names, message);
            first.chains.push(Names { server_names, hosts: before..first.hosts.len() });
        }
    }
    let mut http = all?;
    if let Some(tls) = &mut server {
        if tls.alpn.is_empty() {
            tls.alpn = vec![b"http/1.1".to_vec()];
            if http.http2 {
                tls.alpn.insert(0, b"h2".to_vec());
            }
        }
        http.http2 &= tls.alpn.iter().any(|name| name == b"h2");
    }
    Some((Serve::Http(Arc::new(http)), server))
}

fn names_of(names: &[String], message: &Message) -> Vec<HostPattern> {
    let parsed = names.iter().filter_map(|name| match name.parse() {
        Ok(pattern) => Some(pattern),
        Err(expected) => {
            message.problem(format!("server_names \"{name}\": {expected}"));
            None
        }
    });
    parsed.collect()
}
