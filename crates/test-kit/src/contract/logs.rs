//! Promises about the log: for machines, on stderr, and never the same line a thousand times.

use std::time::Instant;

use serde_json::Value;

use super::Subject;
use crate::{Line, Signal};

pub fn logs_are_flat_json_with_timestamp_level_message_target(subject: Subject) {
    let case = subject.case();
    let sidecar = case.with_file("").args(["--log-level", "trace"]).spawn();
    sidecar.wait_ready();
    sidecar.signal(Signal::HUP);
    sidecar.wait_message("settings reloaded");
    case.write_config("zebra: \"quotes, \\n lines\"");
    sidecar.signal(Signal::HUP);
    sidecar.wait_log(|line| line.level() == "ERROR");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    assert_eq!(sidecar.stdout(), "", "stdout is for data");
    sidecar.logs().iter().for_each(assert_is_flat_json);

    // Also when it cannot even start.
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = addr.local_addr().unwrap().to_string();
    let failed = case.with(&["--admin-addr", &taken]).own_admin().spawn();
    assert_eq!(failed.wait_exit(), 78);
    failed.logs().iter().for_each(assert_is_flat_json);
    assert_eq!(failed.logs().last().unwrap().message(), "stopped");
}

/// One object, no objects in it, and the four fields that every collector looks for.
pub fn assert_is_flat_json(line: &Line) {
    let raw = &line.raw;
    let fields = line.json.as_ref().unwrap_or_else(|| panic!("not JSON: {raw}"));
    let flat = |value: &Value| !value.is_object() && !value.is_array();
    assert!(fields.values().all(flat), "nested: {raw}");
    let timestamp = line.field("timestamp");
    let shape: String = timestamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{raw}");
    assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&line.level().as_str()), "{raw}");
    assert!(!line.message().is_empty(), "no message: {raw}");
    assert!(!line.field("target").is_empty(), "no target: {raw}");
    // A parser keeps one of two equal keys, and nobody knows which.
    for name in fields.keys() {
        assert_eq!(raw.matches(&format!("\"{name}\":")).count(), 1, "{name} is there twice: {raw}");
    }
}

pub fn repeated_messages_are_limited(subject: Subject) {
    let sidecar = subject.case().ready(&[]);
    let begun = Instant::now();
    for _ in 0..300 {
        assert_eq!(sidecar.admin_post("/-/reload").0, 200);
    }
    // 20 in each window of 10 s. What was held back is said later, as `suppressed`.
    let most = 20 * (1 + begun.elapsed().as_secs() as usize / 10 + 1);
    let said = sidecar.logs().iter().filter(|line| line.message() == "settings reloaded").count();
    assert!((20..=most).contains(&said), "{said} lines, expected 20 to {most}");
    assert!(most < 300, "the machine is too slow to show it");
}
