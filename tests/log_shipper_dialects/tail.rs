//! In the place of `tail`, beside the real one of this machine where that can be compared.

use std::{fs, process::Command};

use test_kit::{Signal, Start, eventually};

use crate::{Bench, PATIENCE, wait_stdout};

fn tail(bench: &Bench, args: &[&str]) -> Start {
    bench.called("tail").args(args).env("SIDECAR_ADMIN_ADDR", "off")
}

#[test]
fn says_what_the_real_one_says() {
    let bench = Bench::new();
    let lines = |from: u32, to: u32| (from..=to).map(|line| format!("{line}\n")).collect::<String>();
    bench.append("a", lines(1, 30));
    bench.append("b", lines(31, 33));
    let (a, b, none) = (bench.path("a"), bench.path("b"), bench.path("none"));
    for args in [
        &[a.as_str()][..],
        &["-n", "3", &a],
        &["-n", "+28", &a],
        &["-n", "0", &a],
        &["-5", &a],
        &["-c", "5", &a],
        &["-c", "+70", &a],
        &["-q", &a, &b],
        &["-v", "-n", "1", &b],
        &[&a, &b],
        &["-n2", &b, &a],
        &[&none],
    ] {
        let ours = tail(&bench, args).run();
        let theirs = Command::new("tail").args(args).output().unwrap();
        assert_eq!(ours.stdout, String::from_utf8_lossy(&theirs.stdout), "{args:?}");
        assert_eq!(ours.stderr, String::from_utf8_lossy(&theirs.stderr), "{args:?}");
        assert_eq!(Some(ours.code), theirs.status.code(), "{args:?}");
    }
}

#[test]
fn begins_with_the_last_ten_lines_and_follows_rotation() {
    let bench = Bench::new();
    bench.append("app.log", (0..20).map(|line| format!("line {line}\n")).collect::<String>());
    let sidecar = tail(&bench, &["-F", &bench.path("app.log")]).spawn();
    let mut wanted: String = (10..20).map(|line| format!("line {line}\n")).collect();
    wait_stdout(&sidecar, &wanted);
    fs::rename(bench.path("app.log"), bench.path("app.log.1")).unwrap();
    bench.append("app.log", "after\r\n\tbytes \u{e9} as they are\n");
    wanted.push_str("after\r\n\tbytes \u{e9} as they are\n");
    wait_stdout(&sidecar, &wanted);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn waits_for_a_file_that_is_not_there_and_says_so() {
    let bench = Bench::new();
    let path = bench.path("later.log");
    let sidecar = tail(&bench, &["-F", &path]).spawn();
    let said = format!("tail: cannot open '{path}' for reading: No such file or directory\n");
    assert!(eventually(PATIENCE, || sidecar.stderr() == said), "{}", sidecar.stderr());
    bench.append("later.log", "first\n");
    wait_stdout(&sidecar, "first\n");
    let said = format!("{said}tail: '{path}' has appeared;  following new file\n");
    assert!(eventually(PATIENCE, || sidecar.stderr() == said), "{}", sidecar.stderr());
}

#[test]
fn names_the_file_when_it_is_another() {
    let bench = Bench::new();
    bench.append("a", "1\n");
    bench.append("b", "2\n");
    let (a, b) = (bench.path("a"), bench.path("b"));
    let sidecar = tail(&bench, &["-f", &a, &b]).spawn();
    let wanted = format!("==> {a} <==\n1\n\n==> {b} <==\n2\n");
    wait_stdout(&sidecar, &wanted);
    bench.append("b", "3\n");
    let wanted = format!("{wanted}3\n");
    wait_stdout(&sidecar, &wanted);
    bench.append("a", "4\n");
    wait_stdout(&sidecar, &format!("{wanted}\n==> {a} <==\n4\n"));
}

#[test]
fn ends_with_the_process_it_waits_for() {
    let bench = Bench::new();
    bench.append("a", "1\n");
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = format!("--pid={}", other.id());
    let sidecar = tail(&bench, &["-f", "-s", "0.1", &pid, &bench.path("a")]).spawn();
    wait_stdout(&sidecar, "1\n");
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn remembers_no_positions() {
    let bench = Bench::new();
    bench.append("a", "1\n");
    for _ in 0..2 {
        assert_eq!(tail(&bench, &[&bench.path("a")]).run().stdout, "1\n");
    }
    assert!(!bench.dir.join("positions").exists());
}

#[test]
fn what_it_cannot_do_is_said_at_once() {
    let bench = Bench::new();
    let output = tail(&bench, &["-n", "x", "-", "--zero-terminated"]).run();
    assert_eq!(output.code, 64);
    assert!(output.stderr.lines().all(|line| line.starts_with("tail: ")), "{}", output.stderr);
    assert!(output.stderr.contains("expected a number such as 10, +3 or 1K"), "{}", output.stderr);
}
