//! By which name and with which words it is called.

use test_kit::{Sidecar, Signal};

use crate::{Bench, wait_stdout};

const CONFIG: &str = "[INPUT]\n Name tail\n Path DIR/*.log\n Read_from_Head On\n[OUTPUT]\n Name stdout\n Match *\n \
                      Format json_lines\n json_date_key false\n";

#[test]
fn the_name_of_the_binary_and_the_first_argument_do_the_same() {
    let bench = Bench::new();
    bench.append("a.log", "x\n");
    let file = bench.put("fluent-bit.conf", CONFIG);
    let wanted = "{\"log\":\"x\"}\n";
    wait_stdout(&bench.called("fluent-bit").args(["-c", &file]).spawn(), wanted);
    for (nth, words) in
        [&["fluent-bit"][..], &["--dialect", "fluent-bit"], &["--dialect=fluent-bit"]].iter().enumerate()
    {
        let own = Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).own_admin().args(*words);
        let own = own.env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0");
        let own = own.env("LOG_SHIPPER_STATE_FILE", bench.path(&format!("positions.{nth}")));
        wait_stdout(&own.args(["-c", &file]).spawn(), wanted);
    }
}

#[test]
fn an_unknown_dialect_is_refused_with_those_there_are() {
    let output = Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(["--dialect", "vector"]).run();
    assert_eq!(output.code, 64);
    assert!(output.stderr.contains("fluent-bit") && output.stderr.contains("tail"), "{}", output.stderr);
}

#[test]
fn a_file_that_was_named_and_is_not_there_is_an_error() {
    let bench = Bench::new();
    let output = bench.called("fluent-bit").args(["-c", &bench.path("none.conf")]).run();
    assert_eq!(output.code, 78);
    assert!(output.stderr.contains("none.conf: no such file or directory"), "{}", output.stderr);
}

#[test]
fn without_a_file_of_theirs_it_does_what_it_does_without_any_config() {
    let bench = Bench::new();
    bench.append("app.log", "as it was\n");
    let called = bench.called("fluent-bit").env("LOG_PATH", bench.path("app.log"));
    let sidecar = called.spawn();
    wait_stdout(&sidecar, "as it was\n");
    let line = sidecar.wait_log(|line| line.message().contains("is not there"));
    assert_eq!(line.level(), "INFO");
}

#[test]
fn a_pipeline_can_be_typed() {
    let bench = Bench::new();
    bench.append("a.log", "x\n");
    let path = format!("Path={}", bench.path("a.log"));
    let words = ["-i", "tail", "-p", &path, "-p", "read_from_head=on", "-t", "app", "-o", "file", "-p"];
    let out = format!("Path={}", bench.path(""));
    let words = words.into_iter().chain([out.as_str(), "-p", "File=out", "-p", "Format=plain", "-m", "app", "-q"]);
    let sidecar = bench.called("fluent-bit").args(words).spawn();
    bench.wait_file("out", "{\"log\":\"x\"}\n");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    assert_eq!(sidecar.stderr(), "", "-q logs errors only");
}

#[test]
fn a_dry_run_checks_and_ends() {
    let bench = Bench::new();
    let file = bench.put("fluent-bit.conf", CONFIG);
    assert_eq!(bench.called("fluent-bit").args(["-c", &file, "--dry-run"]).run().code, 0);
    let file = bench.put("bad.conf", "[INPUT]\n Name cpu\n");
    assert_eq!(bench.called("fluent-bit").args(["-D", "-c", &file]).run().code, 78);
}

#[test]
fn flags_that_are_not_known_are_refused_by_name() {
    let bench = Bench::new();
    let output = bench.called("fluent-bit").args(["--daemon", "-e", "plugin.so"]).run();
    assert_eq!(output.code, 64);
    assert!(output.stderr.contains("fluent-bit: --daemon: unknown flag"), "{}", output.stderr);
}
