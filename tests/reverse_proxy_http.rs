//! The real `reverse-proxy` between hostile clients and an app that writes down what it got.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "reverse_proxy_http/app.rs"]
mod app;
#[path = "reverse_proxy_http/caller.rs"]
mod caller;
#[path = "reverse_proxy_http/cases.rs"]
mod cases;
#[path = "reverse_proxy_http/frames.rs"]
mod frames;
#[path = "reverse_proxy_http/h2_cases.rs"]
mod h2_cases;
#[path = "reverse_proxy_http/life.rs"]
mod life;
#[path = "reverse_proxy_http/overload.rs"]
mod overload;
#[path = "reverse_proxy_http/rfc.rs"]
mod rfc;
#[path = "reverse_proxy_http/rfc_rules.rs"]
mod rfc_rules;
#[path = "reverse_proxy_http/rotation.rs"]
mod rotation;
#[path = "reverse_proxy_http/smuggling.rs"]
mod smuggling;

#[path = "reverse_proxy_http/grpc.rs"]
mod grpc;
#[path = "reverse_proxy_http/streams.rs"]
mod streams;

use std::sync::Arc;

use test_kit::{Sidecar, Start, TempDir};

use crate::app::App;

/// With one listener in front of this app; its port is [`port`].
fn proxy(app: &App) -> Sidecar {
    with(&format!("listeners:\n- {{listen: \"127.0.0.1:0\", routes: [{{to: \"{}\"}}]}}\n", app.place()))
}

fn with(config: &str) -> Sidecar {
    let dir = Arc::new(TempDir::new());
    ready(start(&dir.put("reverse-proxy.yaml", config)).keeping(&dir))
}

fn start(config: &str) -> Start {
    Sidecar::start(env!("CARGO_BIN_EXE_reverse-proxy")).args(["--config", config]).env("SIDECAR_DRAIN_DELAY", "0s")
}

fn ready(start: Start) -> Sidecar {
    let sidecar = start.spawn();
    sidecar.wait_ready();
    sidecar
}

fn port(sidecar: &Sidecar) -> u16 {
    sidecar.port_of("127.0.0.1:0")
}
