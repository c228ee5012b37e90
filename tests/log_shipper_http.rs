//! The real `log-shipper` and whom it tells by HTTP: Elasticsearch, OpenSearch, and anybody else. Every promise by name,
//! against doubles that are as strict as the real ones and as hostile as they are told. Needs nothing but Rust.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "log_shipper_http/bulk.rs"]
mod bulk;
#[path = "log_shipper_http/dead_letter.rs"]
mod dead_letter;
#[path = "log_shipper_http/double.rs"]
mod double;
#[path = "log_shipper_http/faults.rs"]
mod faults;
#[path = "log_shipper_http/http.rs"]
mod http;
#[path = "log_shipper_http/secure.rs"]
mod secure;
#[path = "log_shipper_http/servers.rs"]
mod servers;

use std::{collections::BTreeSet, fs::OpenOptions, io::Write};

use test_kit::{Sidecar, TempDir, elastic::Stored};

/// A log, and a place for settings and positions.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: TempDir::new() }
    }

    /// A log of so many lines.
    fn with_lines(count: u64) -> Self {
        let bench = Self::new();
        bench.append(&(0..count).map(numbered).collect::<String>());
        bench
    }

    fn append(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.dir.join("app.log")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// One output, with `more` about it beside its kind. It does not wait long before it tries again.
    fn settings(&self, kind: &str, output: &str, more: &str) -> String {
        let dir = self.dir.display();
        let retry = if more.contains("retry:") { "" } else { "retry: {first: 20ms, most: 50ms}" };
        format!(
            "state_file: {dir}/positions\ninputs:\n  - paths: ['{dir}/app.log']\n    tag: app\n{}\noutputs:\n  - {kind}: \
             {{{output}}}\n    {retry}\n    {more}\n",
            std::fs::read_to_string(self.dir.join("input")).unwrap_or_default()
        )
    }

    /// More about the input.
    fn input(&self, text: &str) {
        self.dir.put("input", format!("    {text}"));
    }

    #[track_caller]
    fn ship(&self, kind: &str, output: &str, more: &str) -> Sidecar {
        let config = self.dir.put("config.yaml", self.settings(kind, output, more));
        let sidecar = Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(["--config", &config]).spawn();
        sidecar.wait_ready();
        sidecar
    }

    #[track_caller]
    fn elastic(&self, output: &str) -> Sidecar {
        self.ship("elasticsearch", &format!("index: logs, {output}"), "")
    }
}

fn numbered(number: u64) -> String {
    format!("line {number}\n")
}

/// Each of the numbered lines is there, and none of them twice.
#[track_caller]
fn assert_each_once(documents: &[Stored], count: u64) {
    let lines: Vec<String> = documents.iter().map(|one| one.source["message"].as_str().unwrap().to_owned()).collect();
    let unique: BTreeSet<_> = lines.iter().collect();
    let missing = (0..count).find(|number| !unique.contains(&numbered(*number).trim_end().to_owned()));
    assert_eq!((missing, unique.len(), lines.len()), (None, count as usize, count as usize));
}
