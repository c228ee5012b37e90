//! What may be a host (RFC 3986 section 3.2.2), and nothing that two programs could split differently.

use std::net::Ipv6Addr;

use crate::token;

/// `name`, `1.2.3.4` or `[::1]`, with or without a port.
pub fn is_host(text: &[u8]) -> bool {
    // Most are a plain name, or one with a port.
    let end = text.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(text.len());
    match text.split_at(end) {
        (name, []) => return is_name(name),
        (name, [b':', port @ ..]) if !name.is_empty() && port.iter().all(u8::is_ascii_digit) => {
            return is_name(name) && is_port(port);
        }
        _ => {}
    }
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let Some((host, port)) = split_port(text) else { return false };
    let port_is_fine = port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
    let host_is_fine = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
        None => is_name(host.as_bytes()),
    };
    port_is_fine && host_is_fine
}

/// Digits or nothing.
fn is_port(digits: &[u8]) -> bool {
    let number =
        digits.iter().fold(0_u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    number <= u32::from(u16::MAX)
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

/// A label in the middle is never empty; the one at the end is the root's.
fn is_name(host: &[u8]) -> bool {
    let is_plain = !host.is_empty() && host.iter().all(|byte| is_name_byte(*byte));
    is_plain && host != b"." && !host.windows(2).any(|pair| pair == b"..")
}

/// Without the comma, which joins repeated fields, and without percent signs: nobody's host has one.
fn is_name_byte(byte: u8) -> bool {
    NAME[usize::from(byte)]
}

const NAME: [bool; 256] = token::bytes(b"-._~!$&'()*+;=");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in
            ["a", "a.b-c_d", "a:80", "a:", "1.2.3.4:8080", "[::1]", "[::1]:443", "localhost:65535", "a.", "a.:80"]
        {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        let bad = [
            "", ":80", "a b", "a/b", "a@b", "a,b", "a:b", "a:80:80", "a:65536", "a:+1", "[::1", "[a]", "[::1]x", "::1",
            "a\\b", "a?b", ".", "a..b", ".:80",
        ];
        for bad in bad {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
        assert!(!is_host(b"\xff") && !is_host("b\u{fc}cher".as_bytes()));
    }
}
