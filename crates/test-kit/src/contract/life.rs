//! Promises about the life of the process: reload, lame duck, drain, the way out.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::Subject;
use crate::{PATIENCE, Signal, eventually, http};

/// Kubernetes goes on asking a native sidecar for its liveness while it drains, and would kill it for a wrong answer.
pub fn livez_stays_200_until_the_end(subject: Subject) {
    let sidecar = subject.case().ready(&["--drain-delay", "1500ms"]);
    let addr = sidecar.admin();
    sidecar.signal(Signal::TERM);
    let mut asked = 0;
    while let Ok(answer) = http::get(addr, "/livez") {
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
        asked += 1;
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(sidecar.wait_exit(), 0);
    assert!(asked >= 3, "asked only {asked} times");
}

pub fn sigterm_is_lame_duck_drain_exit_0(subject: Subject) {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let sidecar = subject.case().ready(&["--drain-delay", "700ms"]);
        let begun = Instant::now();
        sidecar.signal(signal);
        let stopping = sidecar.wait_message("stopping");
        assert_eq!(stopping.field("reason"), name);
        assert_eq!(sidecar.admin_get("/readyz"), (503, "stopping\n".into()));
        assert_eq!(sidecar.wait_exit(), 0);
        assert!(begun.elapsed() >= Duration::from_millis(700), "others had no time to notice");
        let stopped = sidecar.wait_message("stopped");
        assert_eq!(stopped.field("code"), "0");
        let steps: Vec<String> = sidecar.logs().iter().map(crate::Line::message).collect();
        let at = |step: &str| steps.iter().position(|said| said == step);
        let life = ["starting", "listening", "ready", "stopping", "stopped"].map(at);
        assert!(life.iter().all(Option::is_some) && life.is_sorted(), "{steps:?}");
        assert_eq!(at("stopped"), Some(steps.len() - 1), "{steps:?}");
    }
}

pub fn a_second_signal_exits_at_once(subject: Subject) {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut quickest = Duration::MAX;
        for _ in 0..3 {
            let sidecar = subject.case().ready(&["--drain-delay", "20s"]);
            sidecar.signal(Signal::TERM);
            sidecar.wait_message("stopping");
            assert!(sidecar.is_running());
            let begun = Instant::now();
            sidecar.signal(second);
            assert!(eventually(PATIENCE, || !sidecar.is_running()));
            quickest = quickest.min(begun.elapsed());
            assert_eq!(sidecar.wait_exit(), code);
        }
        assert!(quickest < Duration::from_millis(100), "{quickest:?}");
    }
}

pub fn sighup_reloads_and_a_bad_file_changes_nothing(subject: Subject) {
    let case = subject.case();
    let sidecar = case.with_file("").spawn();
    sidecar.wait_ready();
    let worked = format!("{}_config_last_reload_successful", subject.prefix());
    assert_eq!(sidecar.metric(&worked), Some(1.0));
    let errors = || sidecar.logs().iter().filter(|line| line.level() == "ERROR").count();
    let reload = |expected: f64| {
        let said = errors();
        sidecar.signal(Signal::HUP);
        let noticed = eventually(PATIENCE, || sidecar.metric(&worked) == Some(expected));
        assert!(noticed, "no reload; the log:\n{}", sidecar.stderr());
        assert!(
            expected == 1.0 || eventually(PATIENCE, || errors() > said),
            "nothing said; the log:\n{}",
            sidecar.stderr()
        );
        assert_eq!(sidecar.admin_get("/readyz").0, 200, "the old settings stay, and it stays ready");
    };
    // What would not start must not pass a reload either: neither a key of the sidecar's own nor a common one.
    for bad in ["zebra: 1", "sidecar: {log_levle: info}", "sidecar: {drain_delay: soon}", "a: ["] {
        let file = case.write_config(bad);
        reload(0.0);
        let lines = sidecar.logs();
        let refused = lines.iter().rfind(|line| line.level() == "ERROR").unwrap();
        assert!(refused.message().contains(&format!("{file}:")), "{bad}: {}", refused.raw);
        assert_eq!(sidecar.admin_post("/-/reload").0, 500);
        case.write_config("");
        reload(1.0);
    }
    assert_eq!(sidecar.admin_post("/-/reload"), (200, "reloaded\n".into()));
    sidecar.wait_message("settings reloaded");

    // Only what was changed in the file changes, and the level is what an operator changes in a hurry.
    case.write_config("sidecar: {log_level: error}");
    reload(1.0);
    let said = sidecar.logs().len();
    reload(1.0);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(sidecar.logs().len(), said, "INFO is still logged");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
}

/// What holds the namespaces of a pod in compose: it goes when told to, and says what it takes.
pub fn pause_does_nothing_until_told_to_stop(subject: Subject) {
    let case = subject.case();
    let pausing = case.bare().own_admin().arg("pause").spawn();
    assert!(eventually(PATIENCE, || pausing.catches(Signal::TERM)));
    thread::sleep(Duration::from_millis(200));
    assert!(pausing.is_running() && pausing.threads() == 1);
    pausing.signal(Signal::TERM);
    assert_eq!((pausing.wait_exit(), pausing.stderr().as_str()), (0, ""));
    for subcommand in ["pause", "wait", "healthcheck"] {
        let help = case.bare().args([subcommand, "--help"]).run();
        assert!(help.code == 0 && help.stdout.contains("Usage: "), "{subcommand} --help: {}", help.stdout);
        assert_eq!(case.bare().args([subcommand, "--zebra"]).run().code, 64);
    }
}

pub fn quit_is_off_by_default_and_works_when_allowed(subject: Subject) {
    let case = subject.case();
    let refused = |flags: &[&str], env: &[(&str, &str)], file: &str| {
        let start = if file.is_empty() { case.with(flags) } else { case.with_file(file).args(flags) };
        let sidecar = env.iter().fold(start, |start, (name, value)| start.env(name, value)).spawn();
        sidecar.wait_ready();
        let (status, body) = sidecar.admin_post("/quitquitquit");
        assert_eq!(sidecar.admin_get("/quitquitquit").0, 405, "a link must not stop a process");
        match status {
            403 => {
                assert!(body.contains("--allow-quit") && body.contains("SIDECAR_ALLOW_QUIT"), "{body}");
                assert!(sidecar.is_running());
                true
            }
            status => {
                assert_eq!((status, body.as_str()), (200, "stopping\n"));
                assert_eq!(sidecar.wait_exit(), 0);
                assert_eq!(sidecar.wait_message("stopping").field("reason"), "POST /quitquitquit");
                false
            }
        }
    };
    let variable = "SIDECAR_ALLOW_QUIT";
    let slowly = ["--drain-delay", "500ms"];
    let slowly_and = |flag: &'static str| [&slowly[..], &[flag]].concat();
    assert!(refused(&[], &[], ""), "off by default");
    assert!(!refused(&slowly_and("--allow-quit"), &[], ""));
    assert!(!refused(&slowly, &[(variable, "true")], ""));
    assert!(!refused(&slowly, &[], "sidecar: {allow_quit: true}"));
    assert!(refused(&[], &[(variable, "false")], "sidecar: {allow_quit: true}"), "the environment beats the file");
    assert!(refused(&["--allow-quit=false"], &[(variable, "true")], ""), "a flag beats the environment");
}
