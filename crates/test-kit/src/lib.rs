//! Runs a real binary and watches it from outside: what every black-box test is written with.
//!
//! ```no_run
//! # use test_kit::{Sidecar, Signal};
//! let sidecar = Sidecar::start("target/debug/config-reloader").args(["--watch", "/etc/app"]).spawn();
//! sidecar.wait_ready();
//! sidecar.signal(Signal::TERM);
//! assert_eq!(sidecar.wait_exit(), 0);
//! ```
//!
//! Everything blocks, so that a test reads like a story. Whatever does not happen within [`PATIENCE`] fails the test
//! and prints what the sidecar logged. [`contract`] is the suite that every sidecar must pass.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests: the files are our own, threads end with the test, and a surprise must fail loudly"
)]

mod api;
mod certificates;
mod cluster;
mod configmap;
pub mod contract;
pub mod elastic;
pub mod forward;
mod hook;
pub mod http;
mod log;
pub mod loki;
mod openid;
mod openid_key;
mod redis;
mod scratch;
mod sidecar;
mod start;
mod vitals;

pub use api::Api;
pub use certificates::{Authority, Pair};
pub use cluster::Cluster;
pub use configmap::{ConfigMap, Kubelet};
pub use hook::{HookServer, Reply, Request};
pub use log::Line;
pub use openid::OpenId;
pub use redis::Redis;
pub use rustix::process::Signal;
pub use scratch::{TempDir, TinyDisk, best_of_3, eventually, free_port, other_address};
pub use sidecar::{Sidecar, signal};
pub use start::{Output, Start};
pub use vitals::children;

/// Far more than a busy machine needs for anything.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
