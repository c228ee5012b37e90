//! The demo as a newcomer runs it: it passes, stops in order, and leaves nothing behind.
#![allow(clippy::disallowed_methods, reason = "tests read what their own child has written")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The demo, with a directory for temporary files that nobody else writes to.
fn demo(args: &[&str], tmp: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(args).env("TMPDIR", tmp).stdin(Stdio::null());
    command
}

/// Every process that has this directory in its command line or environment: the demo's children have both.
fn processes_with(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let path = entry.path();
        let words =
            |name: &str| String::from_utf8_lossy(&fs::read(path.join(name)).unwrap_or_default()).replace('\0', " ");
        let command = words("cmdline");
        // A zombie has neither and is nobody's trouble.
        if command.contains(&*dir) || words("environ").contains(&*dir) {
            found.push(command);
        }
    }
    found
}

#[track_caller]
fn nothing_is_left(tmp: &Path) {
    let end = Instant::now() + Duration::from_secs(2);
    while !processes_with(tmp).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(processes_with(tmp), [""; 0], "processes are left");
    let files: Vec<_> = fs::read_dir(tmp).expect("the directory").flatten().map(|entry| entry.path()).collect();
    assert!(files.is_empty(), "files are left: {files:?}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn once_passes_for_every_sidecar_and_leaves_nothing() {
    let tmp = tempfile::tempdir().expect("a directory");
    let Output { status, stdout, stderr } = demo(&["--once"], tmp.path()).output().expect("the demo runs");
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(0), "{stdout}{stderr}");
    let figures_of = |name: &str, figures: &[&str]| {
        let line = stdout.lines().find(|line| line.starts_with(&format!("PASS {name}: "))).unwrap_or_default();
        for figure in figures.iter().chain(&["ready in ", "RSS ", "SIGTERM ended it with 0"]) {
            assert!(line.contains(figure), "no \"{figure}\" in {stdout}{stderr}");
        }
    };
    figures_of("config-reloader", &["told in ", "equal bytes told nobody", "refused", "version 4 is what"]);
    figures_of("log-shipper", &["one rotation", "refused with 429", "one kill -9", " lines arrived, each once"]);
    figures_of("metrics-adapter", &["from sent to scraped", "bad lines (3 refused)", "requests were scraped"]);
    figures_of("reverse-proxy", &[" us a visit", "10 reloads", "none failed", "two lengths refused"]);
    let of_login = ["the app told \"alice\"", "strangers got 401 and 403", "a forged header 403"];
    figures_of("auth-proxy", &[&of_login[..], &["a replayed answer 403", "a cookie after sign-out 403"]].concat());
    assert!(!stdout.contains("FAIL"), "{stdout}");
    nothing_is_left(tmp.path());
}

/// Runs it live until the page is there, and returns it with its output so far.
fn live(tmp: &Path) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut child = demo(&[], tmp).stdout(Stdio::piped()).spawn().expect("the demo runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
    let mut said = String::new();
    while !said.contains("page http://") {
        let length = stdout.read_line(&mut said).expect("a line");
        assert!(length > 0, "it ended early: {said}");
    }
    (child, stdout, said)
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id() as i32).expect("a pid");
    kill_process(pid, signal).expect("it is there");
}

#[test]
fn ctrl_c_stops_the_app_first_and_leaves_nothing() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (mut child, mut stdout, mut said) = live(tmp.path());
    assert!(processes_with(tmp.path()).len() >= 4, "the demo, the app and the sidecars");
    signal(&child, Signal::INT);
    stdout.read_to_string(&mut said).expect("its last words");
    assert_eq!(child.wait().expect("its end").code(), Some(0), "{said}");
    let app = said.find("app              exit 0").unwrap_or_else(|| panic!("no end of the app: {said}"));
    for sidecar in [
        "config-reloader  exit 0",
        "log-shipper      exit 0",
        "metrics-adapter  exit 0",
        "reverse-proxy    exit 0",
        "auth-proxy       exit 0",
    ] {
        assert!(said.find(sidecar).is_some_and(|sidecar| app < sidecar), "{said}");
    }
    assert!(said.contains(" lines arrived, each once; "), "{said}");
    nothing_is_left(tmp.path());
}

#[test]
fn not_even_kill_9_leaves_an_orphan() {
    let tmp = tempfile::tempdir().expect("a directory");
    let (mut child, _stdout, _) = live(tmp.path());
    signal(&child, Signal::KILL);
    child.wait().expect("its end");
    let end = Instant::now() + Duration::from_secs(2);
    while !processes_with(tmp.path()).is_empty() {
        assert!(Instant::now() < end, "left: {:?}", processes_with(tmp.path()));
        std::thread::sleep(Duration::from_millis(20));
    }
}
