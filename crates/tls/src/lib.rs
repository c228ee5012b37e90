//! Trust and identity from files: the rustls configurations every sidecar uses.
//!
//! ```text
//!  Roots (CA files) ──┐
//!                     ├─ ClientTls ── load() ──> rustls::ClientConfig
//!  Identity (cert+key)┘                  └─ explain(error) ──> one line for the operator
//! ```
//!
//! Nothing is read or parsed before [`ClientTls::load`]: 140 certificates are 100 KiB of memory, and a
//! process that never speaks https must not pay for them.

mod client;
mod error;
mod explain;
mod identity;
mod listed;
mod pem;
mod provider;
mod roots;

pub use client::{ClientTls, trusting_nobody};
pub use error::Error;
pub use identity::Identity;
pub use provider::provider;
pub use roots::{Roots, SYSTEM_BUNDLES, system_bundle};
/// The one rustls of the workspace, so that a config and an error always have the same type.
pub use rustls;
