//! What to ask, of whom, and what the answer should be: as configured.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, sync::Arc};

use bytes::Bytes;
use tls::ClientTls;

use crate::{Auth, Expect, MAX_BODY, redact};

/// One endpoint. Plain values: [`crate::Client::new`] checks them.
#[derive(Clone)]
pub struct Target {
    pub method: String,
    /// http or https. Userinfo in it is basic auth, unless `auth` or an Authorization header is given.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Bytes>,
    pub auth: Option<Auth>,
    pub expect: Expect,
    /// For everything: resolve, connect, handshake, send, wait and read.
    pub timeout: Duration,
    pub tls: Arc<ClientTls>,
    /// Connect here; the URL still gives the scheme, the Host header and the path.
    pub unix_socket: Option<PathBuf>,
    /// How much of an answer is kept; the rest is not read.
    pub max_reply: usize,
    /// For shipping: a connection stays open between requests, and TLS files are read again when one fails. For
    /// webhooks nothing stays.
    pub keep_connections: bool,
}

/// What is particular to one attempt.
#[derive(Clone, Default)]
pub struct Request {
    /// Added to the target's; the same name replaces.
    pub headers: Vec<(String, String)>,
    /// Instead of the target's. A clone of it copies nothing, so that trying again costs nothing.
    pub body: Option<Bytes>,
    /// Whether it does no harm to send it twice: see [`crate::Client::send`].
    pub is_repeatable: bool,
}

impl Target {
    /// A webhook: 30 s, 200-299, the system's roots, nothing kept.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            auth: None,
            expect: Expect::default(),
            timeout: Duration::from_secs(30),
            tls: Arc::new(ClientTls::default()),
            unix_socket: None,
            max_reply: MAX_BODY,
            keep_connections: false,
        }
    }

    /// Request after request to the same server: 60 s for each, and the connection stays.
    pub fn shipping(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { timeout: Duration::from_secs(60), keep_connections: true, ..Self::new(method, url) }
    }

    /// How error texts begin: `POST http://***@host/path (unix socket /run/app.sock)`.
    pub(crate) fn place(&self) -> String {
        let mut place = format!("{} {}", self.method, redact::url(&self.url));
        if let Some(path) = &self.unix_socket {
            place.push_str(&format!(" (unix socket {})", path.display()));
        }
        place.chars().filter(|c| !c.is_control()).collect()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("method", &self.method)
            .field("url", &redact::url(&self.url))
            .field("headers", &Headers(&self.headers))
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("auth", &self.auth)
            .field("expect", &self.expect)
            .field("timeout", &self.timeout)
            .field("tls", &self.tls)
            .field("unix_socket", &self.unix_socket)
            .field("max_reply", &self.max_reply)
            .field("keep_connections", &self.keep_connections)
            .finish()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("headers", &Headers(&self.headers))
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("is_repeatable", &self.is_repeatable)
            .finish()
    }
}

/// Headers to show: a value whose name sounds like a secret is hidden.
struct Headers<'a>(&'a [(String, String)]);

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): &'_ (String, String)| {
            let value = if redact::sounds_secret(name) { "***".to_owned() } else { value.clone() };
            (name.clone(), value)
        };
        f.debug_map().entries(self.0.iter().map(shown)).finish()
    }
}
