//! The end: told to stop, or done.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use test_kit::{Sidecar, eventually};

use crate::{Bench, PATIENCE, append, numbered, opened};

#[test]
fn sigterm_with_much_unread_ships_all_of_it() {
    let bench = Bench::new();
    let text: String = (0..1_000_000).map(numbered).collect();
    append(&bench.path("a.log"), &text);
    let sidecar = bench.start(&[]).spawn();
    sidecar.wait_ready();
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    assert!(bench.shipped() == text.as_bytes(), "{} of {} bytes", bench.shipped().len(), text.len());
}

#[test]
fn a_last_line_without_an_end_is_shipped_at_the_end() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "one\ntwo");
    let sidecar = bench.following(&[]);
    bench.wait_shipped("one\n");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    bench.wait_shipped("one\ntwo\n");
}

#[test]
fn an_app_that_still_writes_is_waited_for() {
    let bench = Bench::new();
    let sidecar = bench.following(&[]);
    let mut app = opened(&bench.path("a.log"));
    app.write_all(numbered(0).as_bytes()).unwrap();
    sidecar.signal(Signal::TERM);
    for line in 1..30 {
        std::thread::sleep(Duration::from_millis(20));
        app.write_all(numbered(line).as_bytes()).unwrap();
    }
    assert_eq!(sidecar.wait_exit(), 0);
    assert_eq!(bench.wait_all(30), 0);
}

#[test]
fn when_idle_it_goes_at_once() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "1\n");
    let sidecar = bench.following(&[]);
    bench.wait_shipped("1\n");
    std::thread::sleep(Duration::from_millis(1200));
    let begun = Instant::now();
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[test]
fn one_shot_ships_what_is_there_and_ends() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "1\n2");
    append(&bench.path("b.log"), "3\n");
    let sidecar = bench.start(&["--one-shot"]).spawn();
    assert_eq!(sidecar.wait_exit(), 0);
    bench.wait_lines(3);
}

#[test]
fn ends_when_the_file_of_the_job_exists() {
    let bench = Bench::new();
    let done = bench.dir.join("done");
    let sidecar = bench.following(&["--exit-when", done.to_str().unwrap()]);
    append(&bench.path("a.log"), "1\n");
    bench.wait_shipped("1\n");
    append(&bench.path("a.log"), "2\n");
    std::fs::write(&done, "").unwrap();
    assert_eq!(sidecar.wait_exit(), 0);
    bench.wait_shipped("1\n2\n");
}

#[test]
fn standard_output_that_nobody_reads_holds_and_is_said_at_the_deadline() {
    let bench = Bench::new();
    append(&bench.path("a.log"), (0..200_000).map(numbered).collect::<String>());
    let script = "\"$0\" \"$@\" | sleep 100";
    let path = bench.path("*.log");
    let sidecar = test_kit::Sidecar::start(env!("CARGO_BIN_EXE_log-shipper"))
        .args(["--path", path.to_str().unwrap(), "--state-file", "/dev/null/x", "--shutdown-timeout", "1s"])
        .under(["sh", "-c", script])
        .spawn();
    sidecar.wait_ready();
    let shipper = sidecar.children().into_iter().map(|(pid, _)| pid).min().unwrap();
    test_kit::signal(shipper, Signal::TERM);
    let line = sidecar.wait_message("the shutdown timeout passed with work left");
    assert!(line.field("left").contains("output stdout"), "{}", line.raw);
}

#[test]
fn new_settings_go_on_where_the_old_ones_were() {
    let bench = Bench::new();
    let sidecar = bench.by(&bench.config("tag: one"));
    append(&bench.path("a.log"), "1\n");
    bench.wait_shipped("1\n");
    bench.dir.put("settings/config.yaml", bench.config("tag: two\n    exclude: ['b.log']"));
    append(&bench.path("b.log"), "no\n");
    bench.wait_shipped("1\nno\n");
    assert_eq!(sidecar.admin_post("/-/reload").0, 200);
    append(&bench.path("b.log"), "not any more\n");
    append(&bench.path("a.log"), "2\n");
    bench.wait_shipped("1\nno\n2\n");
    let (code, files) = sidecar.admin_get("/files");
    assert_eq!(code, 200);
    let files: serde_json::Value = serde_json::from_str(&files).unwrap();
    assert_eq!(files[0]["tag"], "two");
    assert_eq!(files[0]["outputs"]["stdout"], 4);
    assert_eq!(sidecar.metric("log_shipper_backlog_bytes{output=\"stdout\"}"), Some(0.0));
}

#[test]
fn status_shows_how_far_every_file_is() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "12345\n");
    let sidecar = bench.following(&[]);
    bench.wait_shipped("12345\n");
    let admin = sidecar.admin().to_string();
    let status = || {
        let asked = Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).own_admin();
        asked.args(["status", "--admin-addr", &admin]).run()
    };
    let path = bench.path("a.log").display().to_string();
    let row = |text: &str| text.lines().find(|line| line.ends_with(&path)).unwrap_or_default().to_owned();
    assert!(eventually(PATIENCE, || {
        let row = row(&status().stdout);
        row.split_whitespace().take(4).eq(["stdout", "0", "6", "6"])
    }));
    drop(sidecar);
    let gone = status();
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.contains(&format!("http://{admin}/files: ")), "{}", gone.stderr);
}
