//! What to ask, of whom, and what the answer should be: as configured.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, sync::Arc};

use tls::ClientTls;

use crate::{Auth, Expect, redact};

/// One endpoint. Plain values: [`crate::Client::new`] checks them.
#[derive(Clone)]
pub struct Target {
    pub method: String,
    /// http or https. Userinfo in it is basic auth, unless `auth` or an Authorization header is given.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    pub auth: Option<Auth>,
    pub expect: Expect,
    /// For everything: resolve, connect, handshake, send, wait and read.
    pub timeout: Duration,
    pub tls: Arc<ClientTls>,
    /// Connect here; the URL still gives the scheme, the Host header and the path.
    pub unix_socket: Option<PathBuf>,
    /// For shipping: connections and TLS files stay as long as the client. For webhooks nothing stays.
    pub keep_connections: bool,
}

/// What is particular to one attempt.
#[derive(Clone, Default)]
pub struct Request {
    /// Added to the target's; the same name replaces.
    pub headers: Vec<(String, String)>,
    /// Instead of the target's.
    pub body: Option<Vec<u8>>,
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
            keep_connections: false,
        }
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
            .field("body_bytes", &self.body.as_ref().map(Vec::len))
            .field("auth", &self.auth)
            .field("expect", &self.expect)
            .field("timeout", &self.timeout)
            .field("tls", &self.tls)
            .field("unix_socket", &self.unix_socket)
            .field("keep_connections", &self.keep_connections)
            .finish()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("headers", &Headers(&self.headers))
            .field("body_bytes", &self.body.as_ref().map(Vec::len))
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
