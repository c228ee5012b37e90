//! `<system>`: what is said about the whole process.

use common::args::LogLevel;

use crate::dialect::section::Section;

#[derive(Default)]
pub(super) struct System {
    pub(super) level: Option<LogLevel>,
}

/// There is one process, with a log of its own form.
const NO_EFFECT: [&str; 17] = [
    "root_dir",
    "process_name",
    "suppress_repeated_stacktrace",
    "suppress_config_dump",
    "ignore_repeated_log_interval",
    "ignore_same_log_interval",
    "emit_error_log_interval",
    "without_source",
    "rpc_endpoint",
    "enable_get_dump",
    "file_permission",
    "dir_permission",
    "strict_config_value",
    "disable_shared_socket",
    "enable_msgpack_time_support",
    "enable_input_metrics",
    "enable_size_metrics",
];

pub(super) fn read(section: &mut Section) -> System {
    let level = section.read("log_level", |text| match text {
        "fatal" => "error".parse(),
        "error" | "warn" | "info" | "debug" | "trace" => text.parse(),
        _ => Err("expected fatal, error, warn, info, debug or trace"),
    });
    if let Some(entry) = section.entry("workers").filter(|entry| entry.value != "1") {
        section.wrong(&entry, "one process has capacity for it: expected 1");
    }
    section.no_effect(&NO_EFFECT);
    for inside in section.children_of("log") {
        inside.forget();
    }
    System { level }
}
