//! Promises about what is typed: flags, variables, files, and the mistakes in them.

use std::{
    fs::File,
    io,
    net::TcpListener,
    process::{Command, Stdio},
};

use super::Subject;

/// Seen by the format of the first log line, which needs no port.
pub fn flags_beat_environment_beat_file(subject: Subject) {
    let case = subject.case();
    let is_json = |env: &[(&str, &str)], flags: &[&str]| {
        let start = case.with_file("sidecar: {log_format: text}").args(flags);
        let start = env.iter().fold(start, |start, (name, value)| start.env(name, value));
        let first = start.spawn().wait_log(|line| line.raw.contains("starting"));
        first.json.is_some()
    };
    assert!(!is_json(&[], &[]), "the file beats the default");
    let env = [("SIDECAR_LOG_FORMAT", "json")];
    assert!(is_json(&env, &[]), "the environment beats the file");
    assert!(!is_json(&env, &["--log-format", "text"]), "a flag beats the environment");
    assert!(!is_json(&env, &["--log-format=text"]), "in both spellings");
}

pub fn help_names_every_default(subject: Subject) {
    let help = subject.case().bare().env("SIDECAR_ADMIN_ADDR", ":4711").arg("--help").run();
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    for name in ["admin-addr", "probe-addr", "log-level", "log-format", "drain-delay", "shutdown-timeout"] {
        let flag = format!("--{name} ");
        let variable = format!("[env: SIDECAR_{}]", name.to_uppercase().replace('-', "_"));
        let described = help.stdout.lines().find(|line| line.trim_start().starts_with(&flag));
        let described = described.unwrap_or_else(|| panic!("{flag} is missing in\n{}", help.stdout));
        assert!(described.contains("[default: "), "no default: {described}");
        assert!(described.contains(&variable), "no variable, or its value: {described}");
    }
}

pub fn version_is_printed(subject: Subject) {
    let version = subject.case().bare().arg("--version").run();
    assert_eq!((version.code, version.stderr.as_str()), (0, ""));
    let number = version.stdout.trim_end().strip_prefix(subject.name).unwrap().trim();
    assert!(number.split('.').count() == 3 && number.starts_with(|c: char| c.is_ascii_digit()), "{number}");
}

pub fn every_mistake_is_reported_at_once_with_the_nearest_match(subject: Subject) {
    let case = subject.case();
    let flags = ["--admin-adr", ":1", "--log-level=loud", "--drain-delay", "5", "--shutdown-timeout"];
    let typed = case.bare().env("SIDECAR_LOG_FORMAT", "xml").env("SIDECAR_ALLOW_QUIT", "perhaps").args(flags).run();
    assert_eq!((typed.code, typed.stdout.as_str()), (64, ""), "{}", typed.stderr);
    for problem in [
        "--admin-adr: unknown flag, did you mean --admin-addr?",
        "--log-level \"loud\": expected error, warn, info, debug, trace or off",
        "--drain-delay \"5\": missing unit, did you mean \"5s\"?",
        "--shutdown-timeout: expected a value",
        "SIDECAR_LOG_FORMAT \"xml\": expected json, text or auto",
        "SIDECAR_ALLOW_QUIT \"perhaps\": expected ",
    ] {
        assert_eq!(typed.stderr.matches(problem).count(), 1, "{problem} is not there once:\n{}", typed.stderr);
    }
    let place = format!("{}: ", subject.name);
    assert!(typed.stderr.lines().all(|line| line.starts_with(&place)), "{}", typed.stderr);

    let file = case.write_config("no_such_key: 1\nsidecar:\n  log_levle: info\n  drain_delay: soon");
    let lines = std::fs::read_to_string(&file).unwrap().lines().count();
    let written = case.bare().args(["--config", &file]).run();
    assert_eq!(written.code, 78, "{}", written.stderr);
    for (from_end, problem) in [
        (3, "no_such_key: unknown key"),
        (1, "sidecar.log_levle: unknown key, did you mean log_level?"),
        (0, "sidecar.drain_delay: \"soon\": expected a duration"),
    ] {
        let problem = format!("{file}:{}: {problem}", lines - from_end);
        assert_eq!(written.stderr.matches(&problem).count(), 1, "{problem} is not there once:\n{}", written.stderr);
    }
}

pub fn check_config_exits_0_or_78(subject: Subject) {
    let case = subject.case();
    for good in [case.with(&["--check-config"]), case.with_file("").arg("--check-config")] {
        let good = good.run();
        assert_eq!((good.code, good.stderr.as_str()), (0, ""));
        assert!(good.stdout.contains("good"), "{}", good.stdout);
    }
    // The port is not even looked at: the same check must work beside the running sidecar.
    let running = case.ready(&[]);
    let beside = case.with(&["--check-config", "--admin-addr", &running.admin().to_string()]).run();
    assert_eq!(beside.code, 0, "{}", beside.stderr);

    for (what, bad) in [
        ("an unknown flag", case.with(&["--check-config", "--zebra"])),
        ("a bad variable", case.with(&["--check-config"]).env("SIDECAR_DRAIN_DELAY", "soon")),
        ("a bad key", case.with_file("zebra: 1").arg("--check-config")),
        ("no file", case.bare().args(["--check-config", "--config", "/nowhere.yaml"])),
    ] {
        let bad = bad.run();
        assert_eq!((bad.code, bad.stdout.as_str()), (78, ""), "{what}: {}", bad.stderr);
        assert!(!bad.stderr.is_empty(), "{what}");
    }
}

pub fn a_taken_port_exits_78_and_names_port_flag_and_variable(subject: Subject) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let sidecar = subject.case().with(&["--admin-addr", &addr]).own_admin().spawn();
    assert_eq!(sidecar.wait_exit(), 78);
    let problem = sidecar.wait_log(|line| line.level() == "ERROR").message();
    for part in [addr.as_str(), "--admin-addr", "SIDECAR_ADMIN_ADDR", "already in use"] {
        assert!(problem.contains(part), "{part} is missing in: {problem}");
    }
}

/// `--help | head -1` closes the pipe early.
pub fn a_closed_stdout_is_no_failure(subject: Subject) {
    let (read, write) = io::pipe().unwrap();
    drop(read);
    let mut help = Command::new(subject.binary);
    help.arg("--help").stdout(write).stderr(Stdio::null());
    assert_eq!(help.status().unwrap().code(), Some(0));
    // Nor is a closed stderr a reason to lose the exit code.
    let nowhere = File::open("/dev/null").unwrap();
    let wrong = Command::new(subject.binary).arg("--zebra").stdout(Stdio::null()).stderr(nowhere).status();
    assert_eq!(wrong.unwrap().code(), Some(64));
}
