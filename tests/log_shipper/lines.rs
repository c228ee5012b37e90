//! From bytes to lines.

use test_kit::TempDir;

use crate::{Bench, append};

#[test]
fn every_byte_arrives_as_it_was() {
    let bench = Bench::new();
    let odd = b"nul \0 byte\ncarriage\r\ninvalid \xff\xfe\n\n\ttab\n\xe2\x82\xac\n";
    append(&bench.path("a.log"), odd);
    let _sidecar = bench.following(&[]);
    bench.wait_shipped(odd);
}

#[test]
fn a_line_without_an_end_is_shipped_after_a_while() {
    let bench = Bench::new();
    let config = bench.config("unfinished_after: 300ms");
    let _sidecar = bench.by(&config);
    append(&bench.path("a.log"), "whole\npart");
    bench.wait_shipped("whole\npart\n");
    append(&bench.path("a.log"), " of it\nnext\n");
    bench.wait_shipped("whole\npart\n of it\nnext\n");
}

#[test]
fn half_a_line_is_not_shipped_before_its_time() {
    let bench = Bench::new();
    let _sidecar = bench.following(&[]);
    append(&bench.path("a.log"), "whole\nhal");
    bench.wait_shipped("whole\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    append(&bench.path("a.log"), "f\n");
    bench.wait_shipped("whole\nhalf\n");
}

#[test]
fn a_line_longer_than_lines_may_be_is_split_and_nothing_is_lost() {
    let bench = Bench::new();
    let long = "x".repeat(2_500);
    append(&bench.path("a.log"), format!("a\n{long}\nb\n"));
    let sidecar = bench.by(&bench.config("longest_line: 1000"));
    bench.wait_shipped(format!("a\n{}\n{}\n{}\nb\n", &long[..1000], &long[..1000], &long[..500]));
    assert_eq!(sidecar.metric("log_shipper_long_lines_total{action=\"split\",output=\"stdout\"}"), Some(1.0));
}

#[test]
fn a_line_of_megabytes_is_truncated_where_that_was_asked_for() {
    let bench = Bench::new();
    let long = "y".repeat(3 << 20);
    let _sidecar = bench.by(&bench.config("longest_line: 64Ki\n    too_long: truncate"));
    append(&bench.path("a.log"), "a\n");
    // The end of it comes later.
    append(&bench.path("a.log"), &long);
    append(&bench.path("a.log"), "zzz\nb\n");
    bench.wait_shipped(format!("a\n{}\nb\n", &long[..64 << 10]));
}

#[test]
fn a_line_of_megabytes_is_skipped_where_that_was_asked_for() {
    let bench = Bench::new();
    let long = "y".repeat(3 << 20);
    append(&bench.path("a.log"), format!("a\n{long}\nb\n{long}"));
    append(&bench.path("a.log"), "\nc\n");
    let _sidecar = bench.by(&bench.config("longest_line: 64Ki\n    too_long: skip"));
    bench.wait_shipped("a\nb\nc\n");
}

#[test]
fn json_is_written_where_that_was_asked_for() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "say \"hi\"\r\n\u{20ac}\\ \u{1}\n");
    let _sidecar = bench.following(&["--json"]);
    bench.wait_lines(2);
    let shipped = String::from_utf8(bench.shipped()).unwrap();
    let lines: Vec<serde_json::Value> = shipped.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["message"], "say \"hi\"");
    assert_eq!(lines[1]["message"], "\u{20ac}\\ \u{1}");
    assert!(lines[0]["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{shipped}");
}

impl Bench {
    /// A settings file with more about its only input.
    pub(crate) fn config(&self, input: &str) -> String {
        format!(
            "inputs:\n  - paths: ['{}']\n    {input}\noutputs:\n  - stdout: {{format: raw}}\nstate_file: {}\n",
            self.path("*.log").display(),
            self.dir.join("positions").display()
        )
    }

    #[track_caller]
    pub(crate) fn by(&self, config: &str) -> test_kit::Sidecar {
        let file = self.dir.put("settings/config.yaml", config);
        let to = format!("exec \"$0\" \"$@\" >> '{}'", self.out().display());
        let start = test_kit::Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(["--config", &file]);
        let sidecar = start.under(["sh", "-c", &to]).spawn();
        sidecar.wait_ready();
        sidecar
    }

    #[track_caller]
    pub(crate) fn wait_lines(&self, count: usize) {
        let lines = || self.shipped().iter().filter(|byte| **byte == b'\n').count();
        assert!(
            test_kit::eventually(crate::PATIENCE, || lines() == count),
            "{count} lines expected, found {}",
            lines()
        );
    }
}

#[test]
fn zero_config_takes_the_directory_of_log_dir() {
    let dir = TempDir::new();
    dir.put("app.log", "from the app\n");
    let sidecar = test_kit::Sidecar::start(env!("CARGO_BIN_EXE_log-shipper"))
        .env("LOG_DIR", &*dir)
        .args(["--state-file", "/dev/null/nowhere"])
        .spawn();
    sidecar.wait_message("positions are kept in memory only; a restart ships the files again");
    assert!(test_kit::eventually(crate::PATIENCE, || sidecar.stdout() == "from the app\n"), "{}", sidecar.stdout());
}
