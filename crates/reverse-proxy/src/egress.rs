//! The way out: where a request wants to go by itself, and where it may go.

use std::{fmt, net::IpAddr, str::FromStr};

use http1::{Form, RequestHead, Version};

use crate::{net::Network, pattern::HostPattern};

/// Where clouds tell a machine its secrets, and what belongs to one link only: no name may lead there.
const NEVER: [&str; 7] = [
    "169.254.0.0/16",
    "fe80::/10",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
];
/// This machine: the proxy's own admin interface, and what else trusts its neighbours.
const OURSELVES: [&str; 5] = ["127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128", "255.255.255.255/32"];

/// Networks that a forward proxy stays out of, unless somebody says otherwise.
pub fn never() -> Vec<Network> {
    NEVER.iter().filter_map(|text| text.parse().ok()).collect()
}

/// As [`never`], and this machine, unless one of `allowed` names it.
pub fn never_but(allowed: &[Destination]) -> Vec<Network> {
    let mut all = never();
    if !allowed.iter().any(Destination::is_here) {
        all.extend(OURSELVES.iter().filter_map(|text| text.parse::<Network>().ok()));
    }
    all
}

/// A host and a port, as requests name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In lower case, without brackets and without a dot at its end.
    pub host: String,
    pub port: u16,
}

impl Place {
    /// Where a request wants to go. `usual`: the port of those who name none.
    pub fn of(head: &RequestHead, usual: u16) -> Option<Self> {
        let authority = if head.form == Form::Authority { head.target() } else { head.host() };
        let usual = if head.form == (Form::Absolute { https: true }) { 443 } else { usual };
        let (host, port) = http1::split_port(authority)?;
        let port = match port {
            None | Some("") => usual,
            Some(port) => port.parse().ok()?,
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        (!host.is_empty() && port > 0).then_some(Self { host, port })
    }
}

/// Whether a request says that it is meant for a proxy. HTTP/2 has one way of asking for both.
pub fn asks_a_proxy(head: &RequestHead) -> bool {
    matches!(head.form, Form::Absolute { .. } | Form::Authority) || head.version == Version::Http2
}

/// Which places a rule is for: `example.com`, `*.example.com:8443`, `10.0.0.0/8:5432`, `[::1]:80`, `*`.
#[derive(Clone, Debug)]
pub struct Destination {
    host: Target,
    /// None: the two that everybody uses.
    ports: Ports,
}

#[derive(Clone, Debug)]
enum Target {
    Name(HostPattern),
    Network(Network),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    Usual,
    One(u16),
    All,
}

const EXPECTED: &str = "expected a host or a network, maybe with a port: example.com, *.example.com:8443, \
                        10.0.0.0/8:5432, [::1]:80; :* for all ports";

impl FromStr for Destination {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A network of IPv6 with a port needs brackets, as an address does.
        let bare = text.parse::<Network>().ok().filter(|_| text.contains(':'));
        if let Some(network) = bare {
            return Ok(Self { host: Target::Network(network), ports: Ports::Usual });
        }
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((inside, "")) => (inside, None),
            Some((inside, rest)) => (inside, Some(rest.strip_prefix(':').ok_or(EXPECTED)?)),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let ports = match port {
            None => Ports::Usual,
            Some("*") => Ports::All,
            Some(port) => Ports::One(port.parse().ok().filter(|port| *port > 0).ok_or(EXPECTED)?),
        };
        let host = match host.parse::<Network>() {
            Ok(network) => Target::Network(network),
            Err(_) if host.contains('/') => return Err(EXPECTED),
            Err(_) => Target::Name(host.strip_suffix('.').unwrap_or(host).parse().map_err(|_| EXPECTED)?),
        };
        Ok(Self { host, ports })
    }
}

impl Destination {
    pub fn fits(&self, place: &Place) -> bool {
        let port = match self.ports {
            Ports::Usual => matches!(place.port, 80 | 443),
            Ports::One(port) => place.port == port,
            Ports::All => true,
        };
        let host = match &self.host {
            Target::Name(pattern) => pattern.is_match(&place.host),
            // Only what is written as an address: where a name leads is not known before it is asked for.
            Target::Network(network) => place.host.parse::<IpAddr>().is_ok_and(|ip| network.contains(ip)),
        };
        port && host
    }

    /// It names this machine, and means it.
    fn is_here(&self) -> bool {
        match &self.host {
            Target::Name(HostPattern::Exact(name)) => name == "localhost" || name.ends_with(".localhost"),
            Target::Name(_) => false,
            Target::Network(network) => {
                OURSELVES.iter().filter_map(|text| text.parse::<Network>().ok()).any(|ours| ours.holds(network))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: u16) -> Place {
        Place { host: host.into(), port }
    }

    #[test]
    fn places_fit_by_host_and_port() {
        for (rule, host, port, fits) in [
            ("example.com", "example.com", 443, true),
            ("example.com", "example.com", 80, true),
            ("example.com", "example.com", 22, false),
            ("example.com.", "example.com", 80, true),
            ("Example.com:8443", "example.com", 8443, true),
            ("example.com:8443", "example.com", 443, false),
            ("example.com:*", "example.com", 22, true),
            ("*.example.com:443", "a.b.example.com", 443, true),
            ("*.example.com:443", "example.com", 443, false),
            ("*.example.com:443", "evilexample.com", 443, false),
            ("*", "anything", 80, true),
            ("10.0.0.0/8:5432", "10.1.2.3", 5432, true),
            ("10.0.0.0/8:5432", "11.1.2.3", 5432, false),
            ("10.0.0.0/8", "ten.example", 80, false),
            ("[::1]:80", "::1", 80, true),
            ("[fd00::/8]:80", "fd12::1", 80, true),
            ("fd00::/8", "fd12::1", 443, true),
            ("127.0.0.1:80", "127.0.0.1", 80, true),
        ] {
            let rule: Destination = rule.parse().unwrap_or_else(|_| panic!("{rule}"));
            assert_eq!(rule.fits(&place(host, port)), fits, "{rule:?} {host}:{port}");
        }
        for text in ["", "a:b", "a:0", "a:70000", "[::1]80", "[::1", "10.0.0.0/40", "a/8", "http://a", "a b"] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }

    #[test]
    fn this_machine_is_reached_only_if_it_is_named() {
        let stays_out = |rule: &str, ip: &str| {
            let rules = [rule.parse().unwrap()];
            never_but(&rules).iter().any(|network| network.contains(ip.parse().unwrap()))
        };
        for (rule, ip, expected) in [
            ("*", "127.0.0.1", true),
            ("*", "::1", true),
            ("*", "0.0.0.0", true),
            ("*", "169.254.169.254", true),
            ("*", "::ffff:169.254.169.254", true),
            ("*", "10.0.0.1", false),
            ("localhost:8080", "127.0.0.1", false),
            ("localhost:8080", "169.254.169.254", true),
            ("127.0.0.1:8080", "127.0.0.1", false),
            ("[::1]:8080", "::1", false),
            ("0.0.0.0/0", "127.0.0.1", true),
        ] {
            assert_eq!(stays_out(rule, ip), expected, "{rule} {ip}");
        }
    }

    #[test]
    fn a_request_says_where_it_wants_to_go() {
        let mut head = RequestHead::new(http1::Method::Get, "/", "Example.com.");
        assert_eq!(Place::of(&head, 80), Some(place("example.com", 80)));
        head.form = Form::Absolute { https: true };
        assert_eq!(Place::of(&head, 80), Some(place("example.com", 443)));
        head.set_host("[::1]:8080");
        assert_eq!(Place::of(&head, 80), Some(place("::1", 8080)));
        head.form = Form::Authority;
        head.set_target("a:443");
        assert_eq!(Place::of(&head, 80), Some(place("a", 443)));
        head.set_target("a:0");
        assert_eq!(Place::of(&head, 80), None);
    }
}
