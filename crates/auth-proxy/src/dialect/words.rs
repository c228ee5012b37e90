//! Single values of the peer: addresses, routes, upstreams, secrets.

use std::{sync::Arc, time::Duration};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http_proxy::Address;
use regex::Regex;
use tls::ClientTls;
use url::Url;
use values::Span;

use crate::{
    config::{Route, To, Upstream},
    files::Files,
};

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    text.parse().map(|Span(span)| span).map_err(|_| "expected a duration such as 168h or 1h30m")
}

/// `regex`, `METHOD=regex`, `METHOD!=regex`.
pub(super) fn route(text: &str) -> Result<Route, String> {
    let is_method = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let (method, path) = match text.split_once('=') {
        Some((word, path)) if is_method(word) => (Some((word.to_ascii_uppercase(), true)), path),
        Some((word, path)) if word.strip_suffix('!').is_some_and(is_method) => {
            (Some((word.trim_end_matches('!').to_ascii_uppercase(), false)), path)
        }
        _ => (None, text),
    };
    Ok(Route { method, path: regex(path)? })
}

pub(super) fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        let why = error.to_string();
        format!("no regular expression: {}", why.lines().last().unwrap_or_default())
    })
}

/// 16, 24 or 32 bytes, as they are or in base64.
pub(super) fn is_good_secret(text: &str) -> bool {
    const ANY: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let fits = |length: usize| matches!(length, 16 | 24 | 32);
    let decoded = [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .any(|alphabet| GeneralPurpose::new(alphabet, ANY).decode(text).is_ok_and(|bytes| fits(bytes.len())));
    fits(text.len()) || decoded
}

/// What is the same for every upstream.
pub(super) struct Common {
    pub(super) timeout: Duration,
    pub(super) keep_host: bool,
    pub(super) upgrade: bool,
    pub(super) keep_connections: bool,
    pub(super) tls: Arc<ClientTls>,
}

pub(super) fn upstream(text: &str, common: &Common) -> Result<Upstream, String> {
    const EXPECTED: &str =
        "expected http://host:port/path/, https://..., unix:///socket, static://status or file:///folder#/path/";
    let made = |path: &str, to: To| Upstream {
        path: if path.is_empty() { "/".into() } else { path.to_owned() },
        to,
        timeout: Some(common.timeout),
        keep_host: common.keep_host,
        upgrade: common.upgrade,
        keep_connections: common.keep_connections,
    };
    if let Some(status) = text.strip_prefix("static://") {
        let status = status.trim_end_matches('/').parse().ok().filter(|status| (200..600).contains(status));
        return status.map(|status| made("/", To::Status(status))).ok_or_else(|| EXPECTED.into());
    }
    if let Some(rest) = text.strip_prefix("unix://") {
        let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
        let address = Address::Unix(socket.into());
        return Ok(made(path, To::App { address, host: "localhost".into(), tls: None }));
    }
    if let Some(rest) = text.strip_prefix("file://") {
        // Without a fragment it is at its own path.
        let (file, path) = rest.split_once('#').unwrap_or((rest, rest));
        let path = format!("/{}/", path.trim_matches('/')).replace("//", "/");
        return match file.trim_end_matches('/') {
            // Who has nothing behind it says so like this.
            "/dev/null" => Ok(made("/", To::Status(404))),
            root if root.starts_with('/') => Ok(made(&path, To::Files(Files { root: root.into(), dot_files: false }))),
            _ => Err(EXPECTED.into()),
        };
    }
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    let host =
        url.host_str().filter(|host| !host.is_empty() && matches!(url.scheme(), "http" | "https")).ok_or(EXPECTED)?;
    let port = url.port_or_known_default().ok_or(EXPECTED)?;
    if url.query().is_some() || !url.username().is_empty() {
        return Err(EXPECTED.into());
    }
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let address = Address::Tcp { host: host.trim_matches(['[', ']']).to_owned(), port };
    let tls = (url.scheme() == "https").then(|| Arc::clone(&common.tls));
    Ok(made(url.path(), To::App { address, host: authority, tls }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_the_length_of_a_key_as_they_are_or_in_base64() {
        for good in [
            "0123456789abcdef",
            "0123456789abcdef01234567",
            "0123456789abcdef0123456789abcdef",
            "MDEyMzQ1Njc4OWFiY2RlZg==",
            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
            "__79_Pv6-fj39vX08_Lx8A==",
        ] {
            assert!(is_good_secret(good), "{good}");
        }
        for bad in ["", "short", "0123456789abcdef0", "changeme-changeme-changeme"] {
            assert!(!is_good_secret(bad), "{bad}");
        }
    }

    #[test]
    fn routes_have_a_method_or_none() {
        let read = |text: &str| route(text).map(|route| (route.method, route.path.to_string())).unwrap();
        assert_eq!(read("GET=^/a$"), (Some(("GET".into(), true)), "^/a$".into()));
        assert_eq!(read("post!=^/a$"), (Some(("POST".into(), false)), "^/a$".into()));
        assert_eq!(read("^/a=b"), (None, "^/a=b".into()));
        assert!(route("GET=(").is_err());
    }
}
