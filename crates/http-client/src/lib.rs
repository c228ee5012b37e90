//! The HTTP client for webhooks, shipping and OIDC: one attempt at a time, everything bounded, every error one
//! line for an operator.
//!
//! ```text
//! Target (typed, meant) -> Client::new (checked) -> send (one attempt) -> Reply | Error -> Backoff (when again)
//! ```
//!
//! What it promises: an attempt costs at most its `timeout` and `max_reply` bytes of body; redirects are never followed;
//! no proxy variable is read; a password is never in a text; secrets, CA files and certificates are read again
//! for every attempt, so rotating a file is enough; between attempts nothing is held. With `keep_connections` a
//! connection is, and then CA files and certificates are read again after whatever failed.

mod auth;
mod backoff;
mod client;
mod engine;
mod error;
mod expect;
mod explain;
mod redact;
mod reply;
mod settings;
mod target;
mod url;

pub use auth::{Auth, SecretSource};
pub use backoff::{Backoff, parse_retry_after};
pub use bytes::Bytes;
pub use client::Client;
pub use error::{Error, Kind};
pub use expect::Expect;
pub use reply::{MAX_BODY, Reply};
pub use settings::{auth, client_tls, secret};
pub use target::{Request, Target};
