//! Why an attempt failed: one line for the operator, and a bounded kind for metrics.

use std::{fmt, time::Duration};

/// `POST http://127.0.0.1:9090/-/reload: connection refused`
#[derive(Clone)]
pub struct Error {
    kind: Kind,
    text: String,
    retry_after: Option<Duration>,
}

/// What went wrong, as a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request could not be made: its URL, a header, a secret file.
    CreateRequest,
    /// Nobody there: no such name, refused, unreachable, no socket.
    Connect,
    /// Our own limit.
    Timeout,
    /// No trust: the handshake, or the files it needs.
    Tls,
    /// An answer outside of what was expected.
    Status(u16),
    /// An answer that sends us elsewhere.
    Redirect,
    /// The connection broke, or what came is not HTTP.
    Read,
}

impl Kind {
    /// One of seven words, whatever the server answers.
    pub fn label(self) -> &'static str {
        match self {
            Self::CreateRequest => "create_request",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Status(_) => "status",
            Self::Redirect => "redirect",
            Self::Read => "read",
        }
    }
}

impl Error {
    /// `place` is what was tried, already redacted; `what` is what happened, already scrubbed.
    pub(crate) fn new(kind: Kind, place: &str, what: &str) -> Self {
        Self { kind, text: format!("{place}: {what}"), retry_after: None }
    }

    pub(crate) fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How long the server asked us to wait: for [`crate::Backoff::next`].
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The same line: a `{:?}` that slipped into a log shows nothing else.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
