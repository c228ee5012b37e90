//! `config-reloader` in the place of its peers, from outside: their flags, metrics and habits, and each of their known
//! failures as a test that ours does not have.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "config_reloader_dialects/configmap_reload.rs"]
mod configmap_reload;
#[path = "config_reloader_dialects/inotifyd.rs"]
mod inotifyd;
#[path = "config_reloader_dialects/prometheus.rs"]
mod prometheus;

use std::time::Duration;

use test_kit::{HookServer, Sidecar, Signal, Start, TempDir, eventually};

const PEERS: [&str; 3] = ["configmap-reload", "prometheus-config-reloader", "inotifyd"];

fn ours() -> Start {
    Sidecar::start(env!("CARGO_BIN_EXE_config-reloader")).own_admin()
}

/// Called by the name of the peer. What the peer has no flag for comes from the environment.
fn called(name: &str) -> Start {
    ours().argv0(format!("/usr/bin/{name}")).env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0")
}

/// Started, and past its first look.
#[track_caller]
fn watching(start: Start) -> Sidecar {
    let sidecar = start.spawn();
    sidecar.wait_log(|line| line.message().starts_with("watching"));
    sidecar
}

/// Whether something stays untrue for long enough to be believed. Longer than settling and telling take.
fn never(condition: impl FnMut() -> bool) -> bool {
    !eventually(Duration::from_millis(700), condition)
}

/// The least arguments with which each of them runs and watches `dir`.
fn least(name: &str, dir: &str) -> Vec<String> {
    let args: &[&str] = match name {
        "configmap-reload" => {
            &["-volume-dir", dir, "-webhook-url=http://127.0.0.1:9/", "-web.listen-address=127.0.0.1:0"]
        }
        "prometheus-config-reloader" => &["--watched-dir", dir, "--log-format=json"],
        _ => &["-", dir],
    };
    args.iter().map(ToString::to_string).collect()
}

#[test]
fn the_name_of_the_binary_and_dialect_do_the_same() {
    for name in PEERS {
        let dir = TempDir::new();
        let args = least(name, dir.to_str().unwrap());
        watching(called(name).args(&args));
        let asked = ours().env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0");
        watching(asked.args(["--dialect", name]).args(&args));
        watching(ours().env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0").arg(format!("--dialect={name}")).args(&args));
    }
}

#[test]
fn an_unknown_dialect_is_refused_with_those_there_are() {
    let output = ours().args(["--dialect", "reloader"]).run();
    assert_eq!(output.code, 64, "{}", output.stderr);
    assert!(PEERS.iter().all(|name| output.stderr.contains(name)), "{}", output.stderr);
}

#[test]
fn arguments_without_a_name_are_recognised_by_their_shape() {
    // As in the old Prometheus chart, which leaves the command to the image.
    let (dir, hook) = (TempDir::new(), HookServer::start());
    dir.put("prometheus.yml", "1");
    let volume = format!("--volume-dir={}", dir.display());
    let webhook = format!("--webhook-url={}", hook.url("/-/reload"));
    let _reload = watching(ours().args([&volume, &webhook, "--web.listen-address=127.0.0.1:0"]));
    dir.put("prometheus.yml", "2");
    assert_eq!(hook.wait_requests(1)[0].path, "/-/reload");

    let watched = format!("--watched-dir={}", dir.display());
    let url = format!("--reload-url={}", hook.url("/pcr"));
    let _pcr = watching(ours().args([&watched, &url, "--delay-interval=50ms", "--log-format=json"]));
    dir.put("prometheus.yml", "3");
    assert!(hook.wait_requests(3)[1..].iter().any(|request| request.path == "/pcr"));
}

#[test]
fn mistakes_are_said_under_the_name_that_was_called() {
    for name in PEERS {
        let output = called(name).args(["--zebra"]).run();
        let said: Vec<_> = output.stderr.lines().collect();
        assert!(!said.is_empty() && said.iter().all(|line| line.starts_with(&format!("{name}: "))), "{said:?}");
    }
    let output = ours().args(["--dialect=inotifyd", "--zebra"]).run();
    assert!(output.stderr.starts_with("config-reloader: "), "{}", output.stderr);
}

#[test]
fn sigterm_exits_0() {
    for name in PEERS {
        let dir = TempDir::new();
        let sidecar = watching(called(name).args(least(name, dir.to_str().unwrap())));
        sidecar.signal(Signal::TERM);
        assert_eq!(sidecar.wait_exit(), 0, "{name}: {}", sidecar.stderr());
    }
}
