//! metrics-adapter: turns what apps send by statsd into metrics for Prometheus.
//!
//! ```text
//!  listen: UDP, TCP, unix ──> store: seen before? ── yes ──> add it up            render ──> /metrics
//!              │                      │ no                        ▲                 ▲
//!              │                      └──> line: parse ──> map ───┘                 └── store, piece by piece
//!              └──> relay: the same lines, to somebody else
//! ```
//!
//! A line that was seen before costs one look into a table; everything else is done once for each new one.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests: the files are our own"))]

pub mod adapt;
pub mod args;
pub mod config;
pub mod dialect;
pub mod events;
pub mod explain;
pub mod expose;
pub mod facts;
pub mod figures;
pub mod healthcheck;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod last_scrape;
pub mod line;
pub mod listen;
pub mod map;
pub mod relabel;
pub mod relay;
pub mod reload;
pub mod render;
pub mod shared;
pub mod status;
pub mod store;
pub mod yaml;
