//! reqwest's errors in words: reqwest, hyper and the system each wrap the cause in a layer that says nothing
//! ("error sending request", "client error (Connect)"). Those are peeled off; what remains is the whole chain.

use std::error::Error as StdError;
use std::io;

use tls::{ClientTls, rustls};

use crate::Kind;

/// The kind and the text of a failed exchange; `host` is the name that was looked up.
pub(crate) fn explain(error: &reqwest::Error, host: &str, tls: &ClientTls) -> (Kind, String) {
    let causes = causes(error);
    if let Some(refused) = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return (Kind::Tls, tls.explain(refused));
    }
    let mut parts: Vec<String> = Vec::new();
    for cause in causes {
        let text = spoken(&cause.to_string());
        // Layers repeat what they wrap: the last one to say it, says it best.
        parts.retain(|part| !text.contains(part.as_str()) && !part.contains(&text));
        if !cause.is::<reqwest::Error>() && !is_wrapping(&text) {
            parts.push(text);
        }
    }
    if parts.is_empty() {
        parts.push("failed without saying why".into());
    }
    let text = parts.join(": ");
    match error {
        _ if error.is_builder() => (Kind::CreateRequest, text),
        _ if error.is_dns() => (Kind::Connect, format!("cannot resolve {host}: {text}")),
        _ if text == "tls handshake eof" => {
            (Kind::Tls, "the server closed the connection during the TLS handshake".into())
        }
        _ if error.is_connect() => (Kind::Connect, text),
        _ => (Kind::Read, text),
    }
}

/// Whether the connection ended before there was an answer.
pub(crate) fn is_broken(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    if error.is_connect() || error.is_builder() {
        return false;
    }
    causes(error).into_iter().any(|cause| match cause.downcast_ref::<io::Error>() {
        Some(io) => {
            matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
        }
        None => matches!(
            cause.to_string().as_str(),
            "connection closed before message completed" | "connection was not ready" | "channel closed"
        ),
    })
}

/// The chain from the outside in. An io::Error that wraps another error hides it from `source()`.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        chain.push(cause);
        let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside as &(dyn StdError + 'static)),
            None => cause.source(),
        };
    }
    chain
}

/// Layers that only say that there is something inside.
fn is_wrapping(text: &str) -> bool {
    const LAYERS: [&str; 6] = [
        "tcp connect error",
        "dns error",
        "error resolving DNS",
        "connection error",
        "error reading a body from connection",
        "builder error",
    ];
    text.starts_with("client error (") || LAYERS.contains(&text)
}

/// As a person says it in the middle of a line: without "(os error 111)", starting small.
fn spoken(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or_default();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(text);
    let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
    // "Connection refused", but not "HTTP" or "DNS".
    if text.chars().nth(1).is_some_and(|second| !second.is_ascii_uppercase())
        && let Some(first) = text.get_mut(0..1)
    {
        first.make_ascii_lowercase();
    }
    text
}
