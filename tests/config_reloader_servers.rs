//! The real `config-reloader` with real servers: nginx, HAProxy, Prometheus and OpenSSL as Debian packs them, and what only
//! root can do to a machine. Behind the feature `real-servers`; `.ci/install-servers` installs what is needed.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "config_reloader_servers/haproxy.rs"]
mod haproxy;
#[path = "config_reloader_servers/nginx.rs"]
mod nginx;
#[path = "config_reloader_servers/pod.rs"]
mod pod;
#[path = "config_reloader_servers/prometheus.rs"]
mod prometheus;
#[path = "config_reloader_servers/system.rs"]
mod system;
#[path = "config_reloader_servers/tls.rs"]
mod tls;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use test_kit::{PATIENCE, Sidecar, Start, TempDir, eventually, http};

const BINARY: &str = env!("CARGO_BIN_EXE_config-reloader");

/// Where a program of Debian's is. It may be in a directory that only root looks into.
#[track_caller]
fn program(name: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut found = path.split(':').chain(["/usr/sbin", "/usr/bin"]).map(|dir| Path::new(dir).join(name));
    match found.find(|path| path.is_file()) {
        Some(path) => path.to_str().unwrap().to_owned(),
        None => panic!("{name} is not on this machine: run .ci/install-servers"),
    }
}

/// Started, ready, and past its first look.
#[track_caller]
fn watching(start: Start) -> Sidecar {
    let sidecar = start.spawn();
    sidecar.wait_ready();
    sidecar.wait_log(|line| line.message().starts_with("watching"));
    sidecar
}

/// Arguments that name a settings file of ours.
fn settings(dir: &TempDir, yaml: &str) -> [String; 2] {
    ["--config".to_owned(), dir.put("settings/config-reloader.yaml", yaml)]
}

/// A file of a recipe in `manifests/`, as its ConfigMap has it, with the pod's places replaced by the test's.
#[track_caller]
fn recipe(name: &str, key: &str, places: &[(&str, &str)]) -> String {
    let path = format!("{}/../../manifests/config-reloader/recipes/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let head = format!("  {key}: |");
    let block = manifest.lines().skip_while(|line| *line != head).skip(1);
    let block = block.take_while(|line| line.starts_with("    ") || line.is_empty());
    let text: String = block.map(|line| format!("{}\n", line.get(4..).unwrap_or_default())).collect();
    assert!(!text.is_empty(), "{path}: expected a ConfigMap with {key}");
    places.iter().fold(text, |text, (theirs, ours)| {
        assert!(text.contains(theirs), "{path}: {key}: expected {theirs} in it:\n{text}");
        text.replace(theirs, ours)
    })
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Status and body of a server's first page; what went wrong if there is none.
fn page(port: u16) -> (u16, String) {
    match http::get(local(port), "/") {
        Ok(answer) => (answer.status, answer.body),
        Err(error) => (0, error.to_string()),
    }
}

/// Waits until a server answers 200 with exactly this.
#[track_caller]
fn wait_page(port: u16, wanted: &str) {
    let wanted = (200, wanted.to_owned());
    let mut last = page(port);
    let answered = eventually(PATIENCE, || {
        last = page(port);
        last == wanted
    });
    assert!(answered, "expected {wanted:?}, found {last:?}");
}

/// Waits until a file holds this.
#[track_caller]
fn wait_content(path: &str, wanted: &str) {
    let read = || fs::read_to_string(path).unwrap_or_default();
    assert!(eventually(PATIENCE, || read() == wanted), "{path}: expected {wanted:?}, found {:?}", read());
}

/// Waits until a change was told in full so many times.
#[track_caller]
fn wait_reloads(sidecar: &Sidecar, count: usize) {
    assert!(eventually(PATIENCE, || said(sidecar, "reloaded") >= count), "{count} expected:\n{}", sidecar.stderr());
}

/// Waits for the message of a change that was not applied, and returns it.
#[track_caller]
fn wait_failure(sidecar: &Sidecar, stage: &str, words: &str) -> String {
    sidecar.wait_log(|line| line.field("stage") == stage && line.message().contains(words)).message()
}

/// How often the sidecar has logged this message.
fn said(sidecar: &Sidecar, message: &str) -> usize {
    sidecar.logs().iter().filter(|line| line.message() == message).count()
}

/// How many lines of a server have these words.
fn lines_with(server: &Sidecar, words: &str) -> usize {
    server.logs().iter().filter(|line| line.raw.contains(words)).count()
}

/// Waits until a server has said these words so often, and not more.
#[track_caller]
fn wait_lines(server: &Sidecar, words: &str, count: usize) {
    let exactly = || lines_with(server, words) == count;
    assert!(eventually(PATIENCE, exactly), "\"{words}\", {count} times expected:\n{}", server.stderr());
}

/// Whether something stays untrue for long enough to be believed. Longer than settling and telling take.
fn never(condition: impl FnMut() -> bool) -> bool {
    !eventually(Duration::from_millis(700), condition)
}
