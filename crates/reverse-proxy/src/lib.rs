//! reverse-proxy: routes, protects and observes the HTTP and TCP of an app, in and out.
//!
//! ```text
//!  flags, YAML, dialects --> config.rs (the model) --> ready.rs: files read, names looked up, sockets bound
//!                                                        |
//!   serve.rs: a thread with an engine (http-proxy) --> policy.rs: what becomes of a request
//!                                                        | client.rs   who asks
//!                                                        | table.rs    which host, which route
//!                                                        | htpasswd    may he
//!                                                        | decide.rs   new path, host and headers
//!                                                        v
//!                                                      events.rs (log, metrics), access_log.rs
//! ```

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests: the files are our own"))]

pub mod access_log;
pub mod answer;
pub mod args;
pub mod check;
pub mod client;
pub mod config;
pub mod decide;
pub mod dialect;
pub mod egress;
pub mod events;
pub mod forwarded;
pub mod ids;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod later;
pub mod net;
pub mod path;
pub mod pattern;
pub mod policy;
pub mod ready;
pub mod seen;
pub mod serve;
pub mod site;
pub mod sockets;
pub mod table;
pub mod template;
pub mod tide;
pub mod tools;
pub mod yaml;
