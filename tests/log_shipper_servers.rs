//! The real `log-shipper` with real receivers, and what only root can do to a machine. Behind the feature
//! `real-servers`; `.ci/install-servers` installs what is needed. Loki takes minutes to build, so what needs it is behind
//! `real-loki`, for which `.ci/install-servers loki` builds it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "log_shipper_servers/forward.rs"]
mod forward;
#[cfg(feature = "real-loki")]
#[path = "log_shipper_servers/loki.rs"]
mod loki;
#[path = "log_shipper_servers/system.rs"]
mod system;

use std::{fs, path::Path};

use test_kit::{Sidecar, Start, TempDir};

/// A program that `.ci/install-servers` has built.
#[track_caller]
fn built(name: &str) -> String {
    let path = format!("{}/../../target/servers/{name}", env!("CARGO_MANIFEST_DIR"));
    assert!(Path::new(&path).is_file(), "{path} is not there: run .ci/install-servers {name}");
    path
}

/// Follows `app.log` of this directory under the tag `app`, with more to say about the input, and ships to these outputs.
fn start(dir: &TempDir, input: &str, outputs: &str) -> Start {
    let at = dir.display();
    let input = format!("inputs:\n- {{tag: app, paths: [{at}/app.log]{input}}}\n");
    let config = dir.put("log-shipper.yaml", format!("state_file: {at}/positions\n{input}outputs:\n{outputs}\n"));
    Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(["--config", &config])
}

#[track_caller]
fn ready(start: Start) -> Sidecar {
    let sidecar = start.spawn();
    sidecar.wait_ready();
    sidecar
}

/// Lines `line 0` to the one before this.
fn numbered(count: usize) -> String {
    (0..count).map(|number| format!("line {number}\n")).collect()
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
