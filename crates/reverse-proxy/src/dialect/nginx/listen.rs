//! `listen`: where a server is reached, and how.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use values::ListenAddr;

#[derive(Clone, Debug)]
pub struct Listen {
    pub addr: ListenAddr,
    pub default_server: bool,
    pub ssl: bool,
    pub http2: bool,
    pub proxy_protocol: bool,
}

/// `80`, `127.0.0.1:80`, `[::]:80`, `localhost`, `unix:/path`, and its options.
pub fn parse(args: &[String]) -> Result<Listen, String> {
    let Some((text, options)) = args.split_first() else {
        return Err("invalid number of arguments in \"listen\" directive".into());
    };
    let addr = address(text)?;
    let mut listen = Listen { addr, default_server: false, ssl: false, http2: false, proxy_protocol: false };
    for option in options {
        match option.split_once('=').unwrap_or((option, "")) {
            ("default_server" | "default", "") => listen.default_server = true,
            ("ssl", "") => listen.ssl = true,
            ("http2", "") => listen.http2 = true,
            ("proxy_protocol", "") => listen.proxy_protocol = true,
            ("reuseport" | "deferred" | "bind", "") => {}
            ("backlog" | "ipv6only" | "so_keepalive" | "fastopen" | "rcvbuf" | "sndbuf" | "setfib", value)
                if !value.is_empty() => {}
            ("quic" | "spdy" | "udp", "") => return Err(format!("the parameter \"{option}\" is not supported here")),
            _ => return Err(format!("invalid parameter \"{option}\"")),
        }
    }
    Ok(listen)
}

fn address(text: &str) -> Result<ListenAddr, String> {
    let wrong = || format!("host not found in \"{text}\" of the \"listen\" directive");
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.starts_with('/') { Ok(ListenAddr::Unix(path.into())) } else { Err(wrong()) };
    }
    let port = |text: &str| match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("invalid port in \"{text}\" of the \"listen\" directive")),
    };
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(ListenAddr::Tcp((Ipv4Addr::UNSPECIFIED, port(text)?).into()));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
        let host: Ipv6Addr = host.parse().map_err(|_| wrong())?;
        let number = if rest.is_empty() { 80 } else { port(rest.strip_prefix(':').ok_or_else(wrong)?)? };
        return Ok(ListenAddr::Tcp((host, number).into()));
    }
    let (host, number) = match text.split_once(':') {
        Some((host, number)) => (host, port(number)?),
        None => (text, 80),
    };
    if host == "*" {
        return Ok(ListenAddr::Tcp((Ipv4Addr::UNSPECIFIED, number).into()));
    }
    match host.parse::<Ipv4Addr>() {
        Ok(ip) => Ok(ListenAddr::Tcp(SocketAddr::from((ip, number)))),
        Err(_) => format!("{host}:{number}").parse().map_err(|_| wrong()),
    }
}
