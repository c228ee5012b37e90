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
pub mod book;
pub mod canonical;
pub mod certificate;
pub mod config;
pub mod cookie;
pub mod dialect;
pub mod door;
pub mod events;
pub mod files;
pub mod form;
pub mod forward;
pub mod gate;
pub mod identity;
pub mod invariants;
pub mod keys;
pub mod known;
pub mod kubernetes;
pub mod last_word;
pub mod listen;
pub mod login;
pub mod logout;
pub mod pages;
pub mod policy;
pub mod policy_service;
pub mod ready;
pub mod refresh;
pub mod rules;
pub mod seal;
pub mod secure;
pub mod seen;
pub mod serve;
pub mod session;
pub mod signer;
pub mod standing;
pub mod store;
pub mod target;
pub mod ways;
pub mod yaml;
