//! Signing in with OpenID Connect and with providers that came before it: what is asked, what is believed, and why not.
//!
//! ```text
//! Provider::begin --> Attempt (kept by the browser, sealed) + the address to go to
//!                           |
//! callback: Answer  --> Provider::finish: state, issuer, code for tokens, ID token --> Login (who, tokens)
//! bearer:   a token --> Provider::verify: signature, issuer, audience, time        --> Claims
//! ```
//!
//! Everything but [`Provider`] is without IO. A provider that cannot be reached is an error of one login and never keeps
//! anybody from starting.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod answer;
mod attempt;
mod cached;
mod claims;
mod crypto;
mod error;
mod form;
mod github;
mod google;
pub mod invariants;
mod keys;
mod known;
mod logout;
mod metadata;
mod more;
mod provider;
mod remote;
mod settings;
#[cfg(test)]
mod testing;
mod token;

pub use answer::Answer;
pub use attempt::{Attempt, random_text};
pub use claims::Claims;
pub use error::Error;
pub use google::GoogleGroups;
pub use logout::Logout;
pub use provider::{Login, Provider, Tokens};
pub use settings::{Endpoints, GithubRules, Kind, Pkce, Question, Settings, Tenants};
