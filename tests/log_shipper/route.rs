//! Several outputs: what goes to which, and that none holds up another.

use std::fs;

use crate::{Bench, PATIENCE, append, numbered};
use test_kit::{Signal, eventually};

impl Bench {
    /// Inputs and outputs for `a.log` and `b.log`; `DIR` is where everything is.
    fn routing(&self, outputs: &[&str]) -> test_kit::Sidecar {
        let outputs: String = outputs.iter().map(|output| format!("  - {{{output}}}\n")).collect();
        let config = format!(
            "inputs:\n  - {{tag: a, paths: [DIR/logs/a.log]}}\n  - {{tag: b, paths: [DIR/logs/b.log], format: json}}\n\
             outputs:\n{outputs}state_file: DIR/positions\n"
        );
        self.by(&config.replace("DIR", &self.dir.display().to_string()))
    }

    #[track_caller]
    fn wait_file(&self, name: &str, wanted: &str) {
        let read = || fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        assert!(eventually(PATIENCE, || read() == wanted), "{name}: expected {wanted:?}, found {:?}", read());
    }
}

#[test]
fn records_go_where_their_tag_and_their_fields_say() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "one\nan error\n");
    append(&bench.path("b.log"), "{\"level\":\"info\",\"n\":1}\n{\"level\":\"error\",\"n\":2}\n");
    let _sidecar = bench.routing(&[
        "name: of a, tags: a, file: {path: DIR/of-a, format: raw}",
        "name: errors, where: {level: [error, fatal]}, file: {path: DIR/errors, format: raw}",
        "name: words, where: {message: '*error*'}, file: {path: DIR/words, format: raw}",
        "name: all, file: {path: DIR/all, format: raw}",
    ]);
    bench.wait_file("of-a", "one\nan error\n");
    bench.wait_file("errors", "{\"level\":\"error\",\"n\":2}\n");
    bench.wait_file("words", "an error\n");
    let all = || fs::read_to_string(bench.dir.join("all")).unwrap_or_default();
    assert!(eventually(PATIENCE, || all().lines().count() == 4), "{}", all());
}

#[test]
fn lines_that_no_output_wants_are_behind_us_after_a_restart() {
    let bench = Bench::new();
    append(&bench.path("b.log"), "{\"level\":\"info\"}\n{\"level\":\"info\"}\n");
    let outputs = ["where: {level: error}, stdout: {format: raw}"];
    let sidecar = bench.routing(&outputs);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    let sidecar = bench.routing(&outputs);
    let size = fs::metadata(bench.path("b.log")).unwrap().len();
    sidecar.wait_log(|line| line.message() == "following" && line.field("from") == size.to_string());
    append(&bench.path("b.log"), "{\"level\":\"error\"}\n");
    bench.wait_shipped("{\"level\":\"error\"}\n");
    assert_eq!(sidecar.metric("log_shipper_records_total{output=\"stdout\"}"), Some(1.0));
}

#[test]
fn an_output_that_is_down_holds_nobody_else_up() {
    const LINES: u64 = 200_000;
    let bench = Bench::new();
    let text: String = (0..LINES).map(numbered).collect();
    append(&bench.path("a.log"), &text);
    let nobody = format!("name: down, loki: {{url: 'http://127.0.0.1:{}', labels: {{job: x}}}}", test_kit::free_port());
    let sidecar = bench.routing(&[&nobody, "name: up, file: {path: DIR/up, format: raw}"]);
    bench.wait_file("up", &text);
    let waits = sidecar.metric("log_shipper_backlog_bytes{output=\"down\"}").unwrap();
    assert!(waits >= text.len() as f64, "{waits} bytes wait for the output that is down");
    let retries = || sidecar.metric("log_shipper_retries_total{output=\"down\"}").unwrap();
    assert!(eventually(PATIENCE, || retries() >= 1.0), "the output that is down was not tried");
    assert!(sidecar.rss_kib() < 32 << 10, "{} KiB", sidecar.rss_kib());
}
