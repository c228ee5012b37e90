//! The real `reverse-proxy` under the test suites of others, and beside the proxies that it replaces. Behind the feature
//! `real-servers`; `.ci/install-servers` installs what is needed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]
#![allow(dead_code, reason = "what is shared with reverse_proxy_http")]

#[path = "reverse_proxy_http/app.rs"]
mod app;
#[path = "reverse_proxy_http/caller.rs"]
mod caller;
#[path = "reverse_proxy_http/cases.rs"]
mod cases;
#[path = "reverse_proxy_servers/differential.rs"]
mod differential;
#[path = "reverse_proxy_http/frames.rs"]
mod frames;
#[path = "reverse_proxy_http/h2_cases.rs"]
mod h2_cases;
#[path = "reverse_proxy_servers/h2spec.rs"]
mod h2spec;
#[path = "reverse_proxy_servers/peers.rs"]
mod peers;

use std::{path::Path, sync::Arc};

use test_kit::{Sidecar, TempDir};

/// A program that `.ci/install-servers` has built.
#[track_caller]
fn built(name: &str) -> String {
    let path = format!("{}/../../target/servers/{name}", env!("CARGO_MANIFEST_DIR"));
    assert!(Path::new(&path).is_file(), "{path} is not there: run .ci/install-servers");
    path
}

fn ours(dir: &Arc<TempDir>, config: &str) -> Sidecar {
    let config = dir.put("reverse-proxy.yaml", config);
    let sidecar = Sidecar::start(env!("CARGO_BIN_EXE_reverse-proxy")).args(["--config", &config]).keeping(dir).spawn();
    sidecar.wait_ready();
    sidecar
}
