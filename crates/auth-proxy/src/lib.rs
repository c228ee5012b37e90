//! auth-proxy: lets in only who belongs, and tells the app who it is.
//!
//! ```text
//! request --> policy: ours? (ways: sign in, callback, auth ...) --> bypassed? --> door: session, token, password
//!                                                                                   |
//!                     app <-- identity: headers that only we set <-- rules: belongs? <--+
//! ```
//!
//! A policy on the engine of `http-proxy`; what is asked of providers is in `oidc`.

pub mod args;
pub mod canonical;
pub mod config;
pub mod cookie;
pub mod dialect;
pub mod door;
pub mod events;
pub mod gate;
pub mod identity;
pub mod pages;
pub mod policy;
pub mod rules;
pub mod seal;
pub mod serve;
pub mod session;
pub mod target;
pub mod ways;
pub mod yaml;
