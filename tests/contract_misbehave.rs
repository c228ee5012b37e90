//! The contract on `misbehave`: the suite that every sidecar runs, and what only a part that misbehaves can show.
#![allow(clippy::unwrap_used, reason = "a test that is surprised must fail loudly")]

use std::{
    fs,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use test_kit::{
    PATIENCE, Sidecar, Signal, Start, TempDir, contract::admin::answers_within_100_ms,
    contract::logs::assert_is_flat_json, eventually, http,
};

test_kit::contract! {
    name: "misbehave",
    binary: env!("CARGO_BIN_EXE_misbehave"),
    args: [],
    config: "greeting: hello",
}

fn misbehave(args: &[&str]) -> Start {
    Sidecar::start(SUBJECT.binary).args(args)
}

fn started(args: &[&str]) -> Sidecar {
    let sidecar = misbehave(args).spawn();
    sidecar.wait_ready();
    sidecar
}

// ---- ready or not ----

#[test]
fn readyz_names_closed_gates_and_can_go_back_to_503() {
    let dir = TempDir::new();
    let file = dir.join("there");
    let sidecar = misbehave(&["--gate-file", file.to_str().unwrap()]).spawn();
    let missing = format!("gate-file: {} is missing\n", file.display());
    assert!(eventually(PATIENCE, || sidecar.admin_get("/readyz") == (503, missing.clone())));
    fs::write(&file, "").unwrap();
    assert_eq!(sidecar.admin_get("/readyz"), (200, "ready\n".into()));
    sidecar.wait_message("ready");

    assert_eq!(sidecar.admin_post("/gate?close").0, 200);
    assert_eq!(sidecar.admin_get("/readyz"), (503, "by-hand: closed by hand\n".into()));
    assert_eq!(sidecar.admin_get("/livez").0, 200);
    let lost = sidecar.wait_message("not ready any more");
    assert_eq!((lost.level().as_str(), lost.field("closed").as_str()), ("WARN", "by-hand: closed by hand"));

    fs::remove_file(&file).unwrap();
    assert_eq!(sidecar.admin_get("/readyz"), (503, format!("by-hand: closed by hand\n{missing}")));
    fs::write(&file, "").unwrap();
    assert_eq!(sidecar.admin_post("/gate?open").0, 200);
    assert_eq!(sidecar.admin_get("/readyz").0, 200);
    sidecar.wait_message("ready again");
}

#[test]
fn a_check_that_panics_is_a_reason_not_to_be_ready_and_nothing_worse() {
    let sidecar = misbehave(&["--gate-file", "/nowhere/panic"]).spawn();
    assert!(eventually(PATIENCE, || sidecar.admin_get("/readyz").1 == "gate-file: panicked\n"));
    assert_eq!(sidecar.admin_get("/livez").0, 200);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
}

// ---- under load ----

#[test]
fn admin_answers_within_100_ms_while_all_workers_burn() {
    let cores = thread::available_parallelism().unwrap().get();
    let sidecar = started(&["--burn", &(cores * 2).to_string()]);
    for path in ["/livez", "/readyz", "/metrics"].repeat(4) {
        answers_within_100_ms(&sidecar, path);
    }
}

// ---- the way out ----

fn slow_request(addr: SocketAddr) -> thread::JoinHandle<u16> {
    thread::spawn(move || http::get(addr, "/").map_or(0, |answer| answer.status))
}

#[test]
fn a_lame_duck_takes_new_work_and_a_drain_finishes_it() {
    let sidecar = started(&["--listen", "127.0.0.1:0", "--drain-delay", "600ms", "--work", "400ms"]);
    let addr = SocketAddr::from(([127, 0, 0, 1], sidecar.port_of("slow")));
    let before = slow_request(addr);
    sidecar.signal(Signal::TERM);
    sidecar.wait_message("stopping");
    let during = slow_request(addr);
    assert_eq!((before.join().unwrap(), during.join().unwrap()), (200, 200));
    assert!(eventually(PATIENCE, || http::get(addr, "/").is_err()), "it still accepts");
    assert_eq!(sidecar.wait_exit(), 0);
    sidecar.wait_message("the work is done");
}

#[test]
fn deadline_with_work_left_exits_75_and_says_what() {
    let flags = ["--work", "1h", "--stuck", "--burn", "1", "--drain-delay", "10s", "--shutdown-timeout", "500ms"];
    let sidecar = started(&flags);
    let begun = Instant::now();
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 75, "the deadline counts from the signal, not from the end of the lame duck");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let left = sidecar.wait_log(|line| line.level() == "ERROR").field("left");
    assert_eq!(left, "burn-0; stuck; work; 3 parcels");
    assert_eq!(sidecar.wait_message("stopped").field("code"), "75");
}

#[test]
fn a_second_signal_exits_at_once_even_when_all_is_stuck() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut quickest = Duration::MAX;
        for _ in 0..3 {
            let sidecar = misbehave(&["--stuck", "--burn", "2", "--stuck-main"]).spawn();
            sidecar.wait_message("the main thread is stuck from here on");
            sidecar.signal(Signal::TERM);
            thread::sleep(Duration::from_millis(50));
            assert!(sidecar.is_running(), "the first one only asks");
            let begun = Instant::now();
            sidecar.signal(second);
            assert!(eventually(PATIENCE, || !sidecar.is_running()));
            quickest = quickest.min(begun.elapsed());
            assert_eq!(sidecar.wait_exit(), code);
        }
        assert!(quickest < Duration::from_millis(100), "{quickest:?}");
    }
}

#[test]
fn a_panicking_part_is_named_and_the_rest_drained_exit_70() {
    let sidecar = started(&["--panic-after", "200ms", "--work", "300ms", "--drain-delay", "20s"]);
    let begun = Instant::now();
    assert_eq!(sidecar.wait_exit(), 70);
    assert!(begun.elapsed() < Duration::from_secs(10), "a lame duck that is broken is of no use");
    sidecar.wait_message("the work is done");
    let named = sidecar.wait_log(|line| line.field("part") == "fragile");
    assert_eq!((named.level().as_str(), named.message().as_str()), ("ERROR", "panicked: as asked for"));
    let place = sidecar.wait_log(|line| !line.field("place").is_empty());
    assert!(place.field("place").contains("misbehave.rs:"), "{}", place.raw);
    sidecar.logs().iter().for_each(assert_is_flat_json);
}

#[test]
fn a_failing_part_is_named_and_the_rest_drained_exit_70() {
    let sidecar = started(&["--fail-after", "200ms", "--work", "100ms", "--drain-delay", "20s"]);
    assert_eq!(sidecar.wait_exit(), 70);
    sidecar.wait_message("the work is done");
    let named = sidecar.wait_log(|line| line.field("part") == "unlucky");
    assert_eq!((named.level().as_str(), named.message().as_str()), ("ERROR", "as asked for"));
}

#[test]
fn a_part_that_fails_in_the_lame_duck_phase_ends_it() {
    let sidecar = started(&["--fail-after", "1s", "--drain-delay", "25s"]);
    sidecar.signal(Signal::TERM);
    let begun = Instant::now();
    assert_eq!(sidecar.wait_exit(), 70);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn a_panic_while_starting_exits_70_in_json() {
    let sidecar = misbehave(&["--panic-at-start"]).spawn();
    assert_eq!(sidecar.wait_exit(), 70);
    sidecar.logs().iter().for_each(assert_is_flat_json);
    assert_eq!(sidecar.wait_message("stopped").field("code"), "70");
}

// ---- what changes while it runs ----

#[test]
fn sighup_reloads_and_a_bad_file_keeps_the_old_value() {
    let dir = TempDir::new();
    let file = dir.put("config.yaml", "greeting: hello");
    let sidecar = started(&["--config", &file]);
    let greets = |expected: &str| eventually(PATIENCE, || sidecar.admin_get("/greeting").1 == format!("{expected}\n"));
    assert!(greets("hello"));
    dir.put("config.yaml", "greeting: good day");
    sidecar.signal(Signal::HUP);
    assert!(greets("good day"));
    // The last one panics in the reader: a bug, but not one that may end the process.
    for bad in ["greting: bye", "greeting: [bye", "greeting: bye\nsidecar: {zebra: 1}", "greeting: panic"] {
        dir.put("config.yaml", bad);
        let (status, why) = sidecar.admin_post("/-/reload");
        assert_eq!(status, 500, "{bad}: {why}");
        assert!(greets("good day"), "{bad}: nothing of a bad file is taken");
        assert_eq!(sidecar.metric("misbehave_config_last_reload_successful"), Some(0.0));
    }
    dir.put("config.yaml", "greeting: bye");
    assert_eq!(sidecar.admin_post("/-/reload").0, 200);
    assert!(greets("bye"));
}

// ---- what must never be seen ----

#[test]
fn secrets_appear_nowhere() {
    let secret = "hunter2-the-secret";
    let sidecar = misbehave(&["--log-level", "trace", "--secret", secret]).env("SECRET", secret).spawn();
    sidecar.wait_ready();
    sidecar.wait_message("these are the arguments");
    let pages = ["/", "/metrics", "/readyz", "/greeting", "/nowhere"].map(|path| sidecar.admin_get(path).1).concat();
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    let mut seen = pages + &sidecar.stderr() + &sidecar.stdout();
    for args in [
        vec!["--help"],
        vec!["--version"],
        vec!["--check-config", "--secret", secret],
        vec!["--zebra", "--secret", secret, "--log-level=loud"],
        vec!["--sercet", secret],
        vec!["--secert=hunter2-the-secret"],
        vec!["--secret", secret, "--config", "/nowhere"],
    ] {
        let output = misbehave(&args).env("SECRET", secret).run();
        seen += &(output.stdout + &output.stderr);
    }
    assert!(seen.contains("[secret]"), "the arguments were logged");
    assert!(!seen.contains("hunter2"), "{seen}");
}

// ---- as root ----

/// Needs a PID namespace, so it is behind the feature `privileged`: never skipped in silence.
#[cfg(feature = "privileged")]
#[test]
fn reaps_orphans_as_pid_1() {
    let namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let sidecar = misbehave(&["--orphans", "50"]).under(namespace).spawn();
    sidecar.wait_ready();
    assert_eq!(sidecar.wait_message("starting").field("pid"), "1");
    let init = sidecar.children()[0].0;
    let left = || test_kit::children(init);
    assert!(eventually(PATIENCE, || left().is_empty()), "not reaped: {:?}", left());
    // A reaper at work is no reason to be late.
    test_kit::signal(init, Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
}
