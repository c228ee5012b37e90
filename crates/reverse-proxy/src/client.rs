//! Who the client is: by the connection, or by the word of proxies that are trusted.

use std::net::{IpAddr, SocketAddr};

use http_proxy::Peer;
use http1::RequestHead;

use crate::{
    config::{ClientRules, RealIp, Trust},
    net::Network,
};

/// What was found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Client {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    /// The other end of the connection may be believed: what it says in headers is passed on.
    pub trusted: bool,
}

pub fn identify(rules: &ClientRules, head: &RequestHead, peer: &Peer) -> Client {
    let socket = peer.client.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
    let direct = Client { address: socket.map(|s| s.ip()), port: socket.map(|s| s.port()), trusted: false };
    // Behind a PROXY protocol the one in front is who is trusted, not who it speaks for.
    let front = peer.direct.map(|address| address.ip().to_canonical());
    let inside = |networks: &[Network], ip: IpAddr| networks.iter().any(|network| network.contains(ip));
    let trusted = match &rules.trust {
        Trust::Nobody => false,
        Trust::Networks(networks) | Trust::Last(networks) => front.is_some_and(|ip| inside(networks, ip)),
        Trust::Hops(hops) => *hops > 0,
    };
    if !trusted {
        // Without trust a PROXY header is not heard by those who asked for it as their source of addresses.
        let unheard = rules.real_ip == RealIp::ProxyProtocol || !matches!(rules.trust, Trust::Nobody);
        return match front {
            Some(ip) if unheard && peer.client != peer.direct => {
                Client { address: Some(ip), port: peer.direct.map(|address| address.port()), trusted: false }
            }
            _ => direct,
        };
    }
    let claimed = claims(&rules.real_ip, head);
    let found = match &rules.trust {
        Trust::Networks(networks) => {
            let mut rest = claimed.iter().rev().skip_while(|ip| inside(networks, **ip));
            rest.next().or(claimed.first()).copied()
        }
        Trust::Last(_) => claimed.last().copied(),
        Trust::Hops(hops) => claimed.len().checked_sub(*hops).map(|at| claimed[at]),
        Trust::Nobody => None,
    };
    match found {
        Some(ip) => Client { address: Some(ip), port: None, trusted: true },
        None => Client { trusted: true, ..direct },
    }
}

/// The addresses in the header, in order; from the right up to the first thing that is none.
fn claims(from: &RealIp, head: &RequestHead) -> Vec<IpAddr> {
    let name = match from {
        RealIp::ForwardedFor => "X-Forwarded-For",
        RealIp::Header(name) => name,
        RealIp::ProxyProtocol => return Vec::new(),
    };
    let values: Vec<_> = head.headers.get_all(name).map(String::from_utf8_lossy).collect();
    let mut found: Vec<IpAddr> =
        values.iter().rev().flat_map(|value| value.rsplit(',')).map_while(|text| address(text.trim())).collect();
    found.reverse();
    found
}

/// `1.2.3.4`, `1.2.3.4:80`, `::1` or `[::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let ip = text.parse::<IpAddr>().ok();
    let ip = ip.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    ip.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(rules: &ClientRules, peer: &str, forwarded: &[&str]) -> (String, bool) {
        let mut head = RequestHead::new(http1::Method::Get, "/", "a");
        for value in forwarded {
            head.headers.append("x-forwarded-for", value);
        }
        let socket = Some(SocketAddr::new(peer.parse().unwrap(), 1));
        let peer = Peer { listener: "l".into(), connection: 1, client: socket, direct: socket, local: None, tls: None };
        let client = identify(rules, &head, &peer);
        (client.address.unwrap().to_string(), client.trusted)
    }

    #[test]
    fn only_those_who_are_trusted_are_believed() {
        let rules = |trust| ClientRules { trust, ..ClientRules::default() };
        let ten = || vec!["10.0.0.0/8".parse().unwrap()];
        let networks = rules(Trust::Networks(ten()));
        assert_eq!(from(&networks, "9.9.9.9", &["1.1.1.1"]), ("9.9.9.9".into(), false));
        assert_eq!(from(&networks, "10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"]), ("1.1.1.1".into(), true));
        assert_eq!(from(&networks, "10.0.0.1", &["6.6.6.6", "1.1.1.1"]), ("1.1.1.1".into(), true));
        assert_eq!(from(&networks, "10.0.0.1", &["10.0.0.3, 10.0.0.2"]), ("10.0.0.3".into(), true));
        assert_eq!(from(&networks, "10.0.0.1", &["1.1.1.1, nonsense, 10.0.0.2"]), ("10.0.0.2".into(), true));
        assert_eq!(from(&networks, "10.0.0.1", &[]), ("10.0.0.1".into(), true));
        assert_eq!(from(&networks, "::ffff:10.0.0.1", &["[2001:db8::1]:80"]), ("2001:db8::1".into(), true));
        assert_eq!(from(&rules(Trust::Last(ten())), "10.0.0.1", &["1.1.1.1, 10.0.0.2"]), ("10.0.0.2".into(), true));
        assert_eq!(from(&rules(Trust::Hops(2)), "8.8.8.8", &["1.1.1.1, 2.2.2.2, 3.3.3.3"]), ("2.2.2.2".into(), true));
        assert_eq!(from(&rules(Trust::Hops(2)), "8.8.8.8", &["1.1.1.1"]), ("8.8.8.8".into(), true));
        assert_eq!(from(&rules(Trust::Nobody), "8.8.8.8", &["1.1.1.1"]), ("8.8.8.8".into(), false));
    }
}
