//! The headers that tell an app who asked, and how: written by us, and believed only from those who are trusted.

use http_proxy::Peer;
use http1::{Headers, RequestHead, Version};
use tls::ClientIdentity;

use crate::{
    client::Client,
    config::{CertificateHeader, ClientRules},
    ids,
    net::write_address,
    seen::{Seen, joined},
};

/// Changes the head of a request that is passed on.
pub fn apply(rules: &ClientRules, head: &mut RequestHead, peer: &Peer, seen: &Seen) {
    let client = seen.client;
    let believed = client.trusted || rules.keep_claims;
    // The one who is connected, as it is known to us: with PROXY protocol whom it speaks for.
    let from = match (client.trusted, peer.client) {
        (true, Some(address)) => Some(address.ip().to_canonical()),
        _ => client.address,
    };
    // What the client asked for.
    let host = match rules.forwarded.x_forwarded || rules.forwarded.standard {
        true => head.host().to_owned(),
        false => String::new(),
    };
    let id = rules.request_id.then(|| seen.request_id(head));
    let headers = &mut head.headers;
    if !believed {
        // Whatever we write ourselves is written below.
        for name in ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"] {
            headers.remove(name);
        }
    }
    if rules.forwarded.x_forwarded {
        if let Some(ip) = from {
            let mut text = Vec::with_capacity(64);
            write_address(ip, &mut text);
            append(headers, "X-Forwarded-For", &text, believed);
        }
        own(headers, "X-Forwarded-Proto", peer.scheme(), client.trusted);
        own(headers, "X-Forwarded-Host", &host, client.trusted);
    }
    if rules.forwarded.standard {
        let node = from.map_or_else(
            || "unknown".to_owned(),
            |ip| if ip.is_ipv6() { format!("\"[{ip}]\"") } else { ip.to_string() },
        );
        let quoted = host.replace(['"', '\\'], "");
        let element = format!("for={node};host=\"{quoted}\";proto={}", peer.scheme());
        append(headers, "Forwarded", element.as_bytes(), believed);
    }
    match (rules.forwarded.client_certificate, &seen.identity) {
        (CertificateHeader::Set, Some(identity)) => {
            headers.set(CERTIFICATE, certificate(identity));
        }
        (CertificateHeader::Untouched, _) => {}
        (CertificateHeader::FromTrusted, _) if client.trusted => {}
        _ => {
            headers.remove(CERTIFICATE);
        }
    }
    if let Some(id) = id {
        headers.set("X-Request-Id", id);
    }
    if rules.traceparent && !headers.get_str("traceparent").is_some_and(is_traceparent) {
        headers.set("traceparent", ids::traceparent());
        // It belongs to the one that was replaced.
        headers.remove("tracestate");
    }
}

/// Who has passed a message on (RFC 9110 section 7.6.3), after those before us.
pub fn add_via(headers: &mut Headers, received: Version, name: &str) {
    let version = received.as_str().trim_start_matches("HTTP/");
    append(headers, "Via", format!("{version} {name}").as_bytes(), true);
}

/// Names that are written here, beside those that no trailer may have.
pub fn is_ours(name: &[u8]) -> bool {
    let ours: [&[u8]; 3] = [b"x-request-id", b"traceparent", b"tracestate"];
    ours.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn append(headers: &mut Headers, name: &str, value: &[u8], believed: bool) {
    if !headers.contains(name) {
        headers.append(name, value);
        return;
    }
    let mut all = Vec::new();
    if believed && joined(&mut all, &mut headers.get_all(name), b", ") {
        all.extend_from_slice(b", ");
    }
    all.extend_from_slice(value);
    headers.set(name, all);
}

/// What somebody trusted says stays; else it is what we see.
fn own(headers: &mut Headers, name: &str, value: &str, trusted: bool) {
    if !(trusted && headers.contains(name)) {
        headers.set(name, value);
    }
}

const CERTIFICATE: &str = "X-Forwarded-Client-Cert";

/// In the form that apps know.
fn certificate(identity: &ClientIdentity) -> String {
    let subject = identity.subject.replace('\\', "\\\\").replace('"', "\\\"");
    let mut value = format!("Hash={};Subject=\"{subject}\"", identity.fingerprint);
    for uri in &identity.uris {
        value.push_str(&format!(";URI={uri}"));
    }
    for name in &identity.dns {
        value.push_str(&format!(";DNS={name}"));
    }
    value
}

/// The id of a request: what somebody trusted calls it, or a new one.
pub fn request_id(head: &RequestHead, client: Client) -> String {
    let given = head.headers.get_str("x-request-id").filter(|_| client.trusted);
    let usable = given.filter(|id| !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic()));
    usable.map_or_else(ids::request_id, str::to_owned)
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, len| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    match parts.as_slice() {
        [version, trace, parent, flags, ..] => {
            hex(version, 2)
                && *version != "ff"
                && (parts.len() == 4 || *version != "00")
                && hex(trace, 32)
                && some(trace)
                && hex(parent, 16)
                && some(parent)
                && hex(flags, 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_kept_only_when_it_is_one() {
        assert!(is_traceparent(&ids::traceparent()));
        for text in [
            "",
            "00-0",
            "00-00000000000000000000000000000000-0000000000000001-00",
            "ff-00000000000000000000000000000001-0000000000000001-00",
            "00-00000000000000000000000000000001-0000000000000001-00-x",
            "00-0000000000000000000000000000000G-0000000000000001-00",
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }

    #[test]
    fn claims_of_strangers_are_replaced() {
        let mut headers = Headers::from_iter([("x-forwarded-for", "6.6.6.6"), ("X-Forwarded-Proto", "https")]);
        append(&mut headers, "X-Forwarded-For", b"1.1.1.1", false);
        own(&mut headers, "X-Forwarded-Proto", "http", false);
        assert_eq!(headers.get_str("x-forwarded-for"), Some("1.1.1.1"));
        assert_eq!(headers.get_str("x-forwarded-proto"), Some("http"));
        append(&mut headers, "X-Forwarded-For", b"2.2.2.2", true);
        own(&mut headers, "X-Forwarded-Proto", "https", true);
        assert_eq!(headers.get_str("x-forwarded-for"), Some("1.1.1.1, 2.2.2.2"));
        assert_eq!(headers.get_str("x-forwarded-proto"), Some("http"));
    }
}
