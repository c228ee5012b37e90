//! The real `config-reloader`, from outside: every promise of its section, by name. Needs nothing but Rust.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "config_reloader/bad_input.rs"]
mod bad_input;
#[path = "config_reloader/faults.rs"]
mod faults;
#[path = "config_reloader/notice.rs"]
mod notice;
#[path = "config_reloader/prepare.rs"]
mod prepare;
#[path = "config_reloader/tell.rs"]
mod tell;

use std::{thread, time::Duration};

use test_kit::{HookServer, PATIENCE, Sidecar, Start, TempDir, eventually};

fn start(args: &[&str]) -> Start {
    Sidecar::start(env!("CARGO_BIN_EXE_config-reloader")).args(args)
}

/// Started, ready, and past its first look.
#[track_caller]
fn watching(args: &[&str]) -> Sidecar {
    let sidecar = start(args).spawn();
    sidecar.wait_ready();
    sidecar.wait_log(|line| line.message().starts_with("watching"));
    sidecar
}

/// A settings file of ours.
#[track_caller]
fn watching_by(dir: &TempDir, yaml: &str) -> Sidecar {
    let file = dir.put("settings/config-reloader.yaml", yaml);
    watching(&["--config", &file])
}

/// Whether something stays untrue for long enough to be believed. Longer than settling and telling take.
fn never(condition: impl FnMut() -> bool) -> bool {
    !eventually(Duration::from_millis(700), condition)
}

/// Waits until a file holds this.
#[track_caller]
fn wait_content(path: &str, wanted: &str) {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    assert!(eventually(PATIENCE, || read() == wanted), "{path}: expected {wanted:?}, found {:?}", read());
}

/// Waits until a change was told in full so many times.
#[track_caller]
fn wait_reloads(sidecar: &Sidecar, count: usize) {
    let reloads = || sidecar.logs().iter().filter(|line| line.message() == "reloaded").count();
    assert!(eventually(PATIENCE, || reloads() >= count), "{count} reloads expected:\n{}", sidecar.stderr());
}

fn pause() {
    thread::sleep(Duration::from_millis(150));
}

/// The message of a change that was not applied.
fn wait_failure(sidecar: &Sidecar, stage: &str, words: &str) {
    sidecar.wait_log(|line| line.field("stage") == stage && line.message().contains(words));
}

fn hooked(dir: &TempDir, more: &[&str]) -> (HookServer, Sidecar, String) {
    let hook = HookServer::start();
    let file = dir.put("app.conf", "1");
    let url = hook.url("/reload");
    let args = [&["--watch", &file, "--url", &url], more].concat();
    let sidecar = watching(&args);
    (hook, sidecar, file)
}
