//! Trust and identity from files: the rustls configurations every sidecar uses.
//!
//! ```text
//!  Roots (CA files) ──┐
//!                     ├─ ClientTls ── load() ──> rustls::ClientConfig
//!  Identity (cert+key)┘                  └─ explain(error) ──> one line for the operator
//!
//!  Certificates by name ─┐
//!                        ├─ ServerTls ── load() ──> Server ── config() ──> rustls::ServerConfig, for each connection
//!  Whom clients must be ─┘                            └─ reload(): the files again; a bad one keeps the old
//! ```
//!
//! Nothing is read or parsed before [`ClientTls::load`]: 140 certificates are 100 KiB of memory, and a
//! process that never speaks https must not pay for them.

mod any_client;
mod client;
mod client_identity;
mod error;
mod explain;
mod explain_client;
mod hello;
mod identity;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod listed;
mod pem;
mod provider;
mod resolver;
mod roots;
mod server;
mod version1;
mod versions;

pub use client::{ClientTls, trusting_nobody};
pub use client_identity::ClientIdentity;
pub use error::Error;
pub use explain_client::explain_client;
pub use hello::{Hello, HelloReader, Sniffed};
pub use identity::Identity;
pub use provider::provider;
pub use roots::{Roots, SYSTEM_BUNDLES, system_bundle};
/// The one rustls of the workspace, so that a config and an error always have the same type.
pub use rustls;
pub use server::{Certificate, ClientCertificates, Server, ServerTls};
pub use versions::{TlsVersion, suite_names};
