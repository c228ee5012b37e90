//! The real `metrics-adapter`, from outside: every promise of its section, by name. Needs nothing but Rust.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "metrics_adapter/end.rs"]
mod end;
#[path = "metrics_adapter/exemplars.rs"]
mod exemplars;
#[path = "metrics_adapter/formats.rs"]
mod formats;
#[path = "metrics_adapter/guard.rs"]
mod guard;
#[path = "metrics_adapter/peer.rs"]
mod peer;
#[path = "metrics_adapter/poison.rs"]
mod poison;
#[path = "metrics_adapter/relabeling.rs"]
mod relabeling;
#[path = "metrics_adapter/relays.rs"]
mod relays;
#[path = "metrics_adapter/reloads.rs"]
mod reloads;
#[path = "metrics_adapter/sockets.rs"]
mod sockets;
#[path = "metrics_adapter/web.rs"]
mod web;

use std::{net::UdpSocket, time::Duration};

use test_kit::{Sidecar, Start, TempDir, eventually};

/// Long enough for a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(20);

fn adapter() -> Start {
    Sidecar::start(env!("CARGO_BIN_EXE_metrics-adapter"))
}

/// One that takes lines by UDP.
fn udp() -> Sidecar {
    let sidecar = adapter().args(["--listen", "udp://127.0.0.1:0"]).spawn();
    sidecar.wait_ready();
    sidecar
}

/// One with a config file of ours: where it listens is added.
fn configured(dir: &TempDir, yaml: &str) -> Sidecar {
    let file = dir.put("config.yaml", format!("listen: ['udp://127.0.0.1:0']\n{yaml}"));
    let sidecar = adapter().args(["--config", &file]).spawn();
    sidecar.wait_ready();
    sidecar
}

/// Sends each text as a packet.
fn send(sidecar: &Sidecar, packets: &[&str]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = sidecar.port_of("statsd udp");
    for packet in packets {
        socket.send_to(packet.as_bytes(), ("127.0.0.1", port)).unwrap();
    }
}

/// Waits until a sample has a value.
#[track_caller]
fn wait_metric(sidecar: &Sidecar, sample: &str, value: f64) {
    let mut last = None;
    let has = eventually(PATIENCE, || {
        last = sidecar.metric(sample);
        last == Some(value)
    });
    assert!(has, "{sample} is {last:?}, expected {value}; the log:\n{}", sidecar.stderr());
}
