//! What may be a host (RFC 3986 section 3.2.2), and nothing that two programs could split differently.

use std::net::Ipv6Addr;

/// `name`, `1.2.3.4` or `[::1]`, with or without a port.
pub fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let Some((host, port)) = split_port(text) else { return false };
    let port_is_fine = port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
    let host_is_fine = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name_byte),
    };
    port_is_fine && host_is_fine
}

/// Host and port, without regard to what they hold. None: brackets that do not close, or two ports.
pub fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let end = match text.strip_prefix('[') {
        Some(inside) => inside.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    match text.split_at(end) {
        (host, "") => Some((host, None)),
        (host, rest) => {
            let port = rest.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
            Some((host, Some(port)))
        }
    }
}

/// Without the comma, which joins repeated fields, and without percent signs: nobody's host has one.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in ["a", "a.b-c_d", "a:80", "a:", "1.2.3.4:8080", "[::1]", "[::1]:443", "localhost:65535"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        let bad = [
            "", ":80", "a b", "a/b", "a@b", "a,b", "a:b", "a:80:80", "a:65536", "a:+1", "[::1", "[a]", "[::1]x", "::1",
            "a\\b", "a?b",
        ];
        for bad in bad {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
        assert!(!is_host(b"\xff") && !is_host("b\u{fc}cher".as_bytes()));
    }
}
