//! `demo play`: what Kubernetes 1.36 was seen to do with pods, done by processes on one machine.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "play/config.rs"]
mod config;
#[path = "play/kit.rs"]
#[allow(dead_code, reason = "shared with seeds.rs, which needs more of it")]
mod kit;
#[path = "play/order.rs"]
mod order;
#[path = "play/restart.rs"]
mod restart;
#[path = "play/walls.rs"]
mod walls;
