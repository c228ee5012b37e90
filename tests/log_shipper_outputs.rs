//! The real `log-shipper` and what it ships to: files of its own, and doubles of Loki and of forward servers that are as
//! bad as they are told to be. Needs nothing but Rust.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "log_shipper_outputs/file.rs"]
mod file;
#[path = "log_shipper_outputs/forward.rs"]
mod forward;
#[path = "log_shipper_outputs/forward_faults.rs"]
mod forward_faults;
#[path = "log_shipper_outputs/loki.rs"]
mod loki;
#[path = "log_shipper_outputs/loki_faults.rs"]
mod loki_faults;
#[path = "log_shipper_outputs/several.rs"]
mod several;

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    ops::Range,
    path::PathBuf,
};

use test_kit::{Sidecar, Start, TempDir};

/// Goes into an output's settings, so that tests need not wait.
const QUICK: &str = "retry: {first: 20ms, most: 100ms}";

/// A directory of logs, settings, and a place for positions.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new();
        fs::create_dir(dir.join("logs")).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Appends to `logs/app.log`.
    fn log(&self, text: &str) {
        self.log_to("app", text);
    }

    fn log_to(&self, name: &str, text: &str) {
        let path = self.path(&format!("logs/{name}.log"));
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Follows `logs/*.log` under the tag `app` and ships to these outputs, which are YAML list items.
    fn start(&self, outputs: &str) -> Start {
        self.start_with("", outputs)
    }

    /// The same, with more to say about the input.
    fn start_with(&self, input: &str, outputs: &str) -> Start {
        let dir = self.dir.display();
        let mut text = format!("state_file: {dir}/positions\ninputs:\n- {{tag: app, paths: [{dir}/logs/*.log]");
        write!(text, "{}{input}}}\noutputs:\n{outputs}\n", if input.is_empty() { "" } else { ", " }).unwrap();
        let config = self.dir.put("log-shipper.yaml", text);
        Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(["--config", &config])
    }

    #[track_caller]
    fn following(&self, outputs: &str) -> Sidecar {
        ready(self.start(outputs))
    }
}

#[track_caller]
fn ready(start: Start) -> Sidecar {
    let sidecar = start.spawn();
    sidecar.wait_ready();
    sidecar
}

/// Lines that are easy to check, with their line ends.
fn numbered(numbers: Range<u64>) -> String {
    numbers.map(|number| format!("line {number} {:x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// Every line of these at least once, in their order where repetitions do not count. Returns how many came again.
#[track_caller]
fn assert_all(found: &[String], wanted: Range<u64>) -> usize {
    let text = numbered(wanted);
    let mut seen = std::collections::HashSet::new();
    let first: Vec<&str> = found.iter().map(String::as_str).filter(|line| seen.insert(*line)).collect();
    let wanted = lines(&text);
    let differs = first.iter().zip(&wanted).position(|(found, wanted)| found != wanted);
    assert!(first == wanted, "{} of {} lines, different from number {differs:?} on", first.len(), wanted.len());
    found.len() - first.len()
}
