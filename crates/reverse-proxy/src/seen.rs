//! What is known of a request while it is being decided, and the values of variables from it.

use std::{
    io::Write,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use http_proxy::Peer;
use http1::{RequestHead, Version};
use tls::ClientIdentity;

use crate::{
    client::Client,
    forwarded,
    net::write_address,
    path::argument,
    template::{Clock, Values, Variable},
};

/// Facts that outlive the request's head.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub client: Client,
    /// Normal; after a rewrite the new one.
    pub path: String,
    /// After a rewrite.
    pub query: Option<String>,
    pub rewritten: bool,
    pub captures: Vec<Option<String>>,
    pub named: Vec<(String, String)>,
    /// Made when somebody asks for it.
    pub request_id: OnceLock<String>,
    pub user: Option<String>,
    pub identity: Option<Arc<ClientIdentity>>,
    pub host_name: Option<Arc<str>>,
    pub route: Option<Arc<str>>,
    pub cluster: Option<Arc<str>>,
    pub authority: Option<Arc<str>>,
}

impl Seen {
    /// What somebody trusted calls the request, or an id of our own.
    pub fn request_id(&self, head: &RequestHead) -> &str {
        self.request_id.get_or_init(|| forwarded::request_id(head, self.client))
    }
}

/// A request with everything around it.
pub struct View<'a> {
    pub head: &'a RequestHead,
    pub peer: &'a Peer,
    pub seen: &'a Seen,
}

impl Values for View<'_> {
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let (head, peer, seen) = (self.head, self.peer, self.seen);
        let tls = peer.tls.as_ref();
        let identity = seen.identity.as_ref();
        let query = || if seen.rewritten { seen.query.as_deref() } else { head.query() };
        match variable {
            Variable::Method => text(out, head.method.as_str()),
            Variable::Host => {
                let host = crate::table::without_port(head.host());
                let host = host.strip_suffix('.').unwrap_or(host);
                !host.is_empty() && text(out, &host.to_ascii_lowercase())
            }
            Variable::Authority => some(out, Some(head.host()).filter(|host| !host.is_empty())),
            Variable::Scheme => text(out, peer.scheme()),
            Variable::Protocol => text(out, protocol(head.version)),
            Variable::Target => text(out, head.target()),
            Variable::Path => text(out, &seen.path),
            Variable::RawPath => text(out, head.path()),
            Variable::PathAfter(bytes) => {
                let mut rest = String::new();
                crate::path::encoded(seen.path.get(*bytes..).unwrap_or_default(), &mut rest);
                text(out, &rest)
            }
            Variable::Query => some(out, query()),
            Variable::QueryMark => query().is_some_and(|query| !query.is_empty()) && text(out, "?"),
            Variable::Argument(name) => some(out, query().and_then(|query| argument(query, name))),
            Variable::Header(name) => joined(out, &mut head.headers.get_all(name), b", "),
            Variable::Cookie(name) => cookie(head, name, out),
            Variable::ForwardedFor => {
                let before = joined(out, &mut head.headers.get_all("x-forwarded-for"), b", ");
                let Some(address) = seen.client.address else { return before };
                if before {
                    out.extend_from_slice(b", ");
                }
                write_address(address, out);
                true
            }
            Variable::RequestId => text(out, seen.request_id(head)),
            Variable::TraceId => {
                let parent = head.headers.get_str("traceparent").and_then(|parent| parent.split('-').nth(1));
                some(out, parent)
            }
            Variable::User => some(out, seen.user.as_deref()),
            Variable::Capture(number) => some(out, seen.captures.get(*number).and_then(Option::as_deref)),
            Variable::NamedCapture(name) => {
                let found = seen.named.iter().rev().find(|(known, _)| known == name);
                some(out, found.map(|(_, value)| value.as_str()))
            }
            Variable::ClientAddress => match seen.client.address {
                Some(ip) => address(out, ip),
                None => some(out, unix(peer)),
            },
            Variable::ClientPort => some(out, seen.client.port.map(|port| port.to_string()).as_deref()),
            Variable::PeerAddress => match peer.direct {
                Some(direct) => address(out, direct.ip().to_canonical()),
                None => some(out, unix(peer)),
            },
            Variable::PeerPort => some(out, peer.direct.map(|address| address.port().to_string()).as_deref()),
            Variable::LocalAddress => peer.local.is_some_and(|local| address(out, local.ip().to_canonical())),
            Variable::LocalPort => some(out, peer.local.map(|address| address.port().to_string()).as_deref()),
            Variable::HostName | Variable::VirtualHost => text(out, seen.host_name.as_deref().unwrap_or_default()),
            Variable::TlsVersion => some(out, tls.map(|tls| tls.version).filter(|version| !version.is_empty())),
            Variable::TlsCipher => some(out, tls.map(|tls| tls.cipher).filter(|cipher| !cipher.is_empty())),
            Variable::TlsServerName => some(out, tls.and_then(|tls| tls.server_name.as_deref())),
            Variable::ClientSubject => some(out, identity.map(|identity| identity.subject.as_str())),
            Variable::ClientIssuer => some(out, identity.map(|identity| identity.issuer.as_str())),
            Variable::ClientSerial => some(out, identity.map(|identity| identity.serial.as_str())),
            Variable::ClientFingerprint => some(out, identity.map(|identity| identity.fingerprint.as_str())),
            Variable::ClientUri => some(out, identity.and_then(|identity| identity.uris.first().map(String::as_str))),
            Variable::ClientDns => some(out, identity.and_then(|identity| identity.dns.first().map(String::as_str))),
            Variable::ClientVerified => text(out, if identity.is_some() { "SUCCESS" } else { "NONE" }),
            Variable::RouteName => text(out, seen.route.as_deref().unwrap_or_default()),
            Variable::ClusterName => some(out, seen.cluster.as_deref().filter(|name| !name.is_empty())),
            Variable::ClusterAuthority => some(out, seen.authority.as_deref().filter(|name| !name.is_empty())),
            Variable::Time(clock) | Variable::StartTime(clock) => write_time(clock, SystemTime::now(), out),
            Variable::MachineName => text(out, &rustix::system::uname().nodename().to_string_lossy()),
            Variable::ProcessId => write!(out, "{}", std::process::id()).is_ok(),
            Variable::Connection => write!(out, "{}", peer.connection).is_ok(),
            // Of the answer, or made of others by the template itself.
            _ => false,
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) -> bool {
    out.extend_from_slice(text.as_bytes());
    true
}

fn some(out: &mut Vec<u8>, value: Option<&str>) -> bool {
    value.is_some_and(|value| text(out, value))
}

fn unix(peer: &Peer) -> Option<&'static str> {
    peer.client.is_none().then_some("unix:")
}

fn address(out: &mut Vec<u8>, ip: IpAddr) -> bool {
    write_address(ip, out);
    true
}

pub fn protocol(version: Version) -> &'static str {
    version.as_str()
}

/// Every value of a header as one.
pub fn joined(out: &mut Vec<u8>, values: &mut dyn Iterator<Item = &[u8]>, between: &[u8]) -> bool {
    let mut any = false;
    for value in values {
        if any {
            out.extend_from_slice(between);
        }
        out.extend_from_slice(value);
        any = true;
    }
    any
}

fn cookie(head: &RequestHead, name: &str, out: &mut Vec<u8>) -> bool {
    let headers = head.headers.get_all("cookie");
    let mut pairs = headers.flat_map(|header| header.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let found = pairs.find_map(|pair| {
        let (key, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        (key == name.as_bytes()).then(|| &value[1..])
    });
    found.is_some_and(|value| {
        out.extend_from_slice(value);
        true
    })
}

pub fn write_time(clock: &Clock, time: SystemTime, out: &mut Vec<u8>) -> bool {
    match clock {
        Clock::Rfc3339 => write!(out, "{}", humantime::format_rfc3339_millis(time)).is_ok(),
        Clock::Iso8601 => {
            let text = humantime::format_rfc3339_seconds(time).to_string();
            write!(out, "{}+00:00", text.trim_end_matches('Z')).is_ok()
        }
        Clock::Common => {
            // `Sun, 06 Nov 1994 08:49:37 GMT`
            let date = httpdate::fmt_http_date(time);
            let piece = |range| date.get(range).unwrap_or_default();
            let (day, month, year, clock) = (piece(5..7), piece(8..11), piece(12..16), piece(17..25));
            write!(out, "{day}/{month}/{year}:{clock} +0000").is_ok()
        }
        Clock::Unix => {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            write!(out, "{}.{:03}", since.as_secs(), since.subsec_millis()).is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_their_readers_expect() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_042);
        let of = |clock| {
            let mut out = Vec::new();
            assert!(write_time(&clock, time, &mut out));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(of(Clock::Rfc3339), "1994-11-06T08:49:37.042Z");
        assert_eq!(of(Clock::Iso8601), "1994-11-06T08:49:37+00:00");
        assert_eq!(of(Clock::Common), "06/Nov/1994:08:49:37 +0000");
        assert_eq!(of(Clock::Unix), "784111777.042");
    }
}
