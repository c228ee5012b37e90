//! `[SERVICE]`: what is said about the whole process.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use common::{
    CommonArgs,
    args::{Listen, LogLevel},
};
use values::Span;

use super::units::seconds;
use crate::dialect::section::{Place, Section};

#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    pub(super) flush: Option<Duration>,
    pub(super) grace: Option<Duration>,
    pub(super) retry_first: Option<Duration>,
    pub(super) retry_most: Option<Duration>,
    pub(super) parsers_files: Vec<(String, Place)>,
    pub(super) level: Option<LogLevel>,
    /// Where health and metrics are asked for.
    pub(super) listen: Option<Listen>,
    pub(super) log_file: Option<PathBuf>,
}

/// There is nothing to tune: files are the buffer, and memory is bounded.
const NO_EFFECT: [&str; 12] = [
    "daemon",
    "health_check",
    "hc_errors_count",
    "hc_retry_failure_count",
    "hc_period",
    "coro_stack_size",
    "dns.mode",
    "dns.resolver",
    "dns.prefer_ipv4",
    "dns.prefer_ipv6",
    "multiline_buffer_limit",
    "json.convert_nan_to_null",
];

pub(super) fn read(section: &mut Section) -> Service {
    let is_on = section.switch("http_server").unwrap_or(false);
    let host = section.parsed::<IpAddr>("http_listen").unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let port = section.read("http_port", |text| text.parse::<u16>().map_err(|_| "expected a number 0-65535"));
    let address = std::net::SocketAddr::new(host, port.unwrap_or(2020)).to_string();
    if section.switch("daemon").unwrap_or(false) {
        section.problem("Daemon On: the process stays in the foreground: expected Off");
    }
    let level = section.read("log_level", |text| match text.to_ascii_lowercase().as_str() {
        "off" | "error" | "warn" | "warning" | "info" | "debug" | "trace" => text.parse(),
        _ => Err("expected off, error, warn, info, debug or trace"),
    });
    let entries = section.all("parsers_file");
    let service = Service {
        flush: section.read("flush", seconds),
        grace: section.read("grace", seconds),
        retry_first: section.read("scheduler.base", seconds),
        retry_most: section.read("scheduler.cap", seconds),
        parsers_files: entries.into_iter().map(|entry| (entry.value, entry.place)).collect(),
        level,
        listen: is_on.then(|| address.parse().ok()).flatten(),
        log_file: section.parsed("log_file"),
    };
    if let Some(path) = service.log_file.as_ref().filter(|path| !path.starts_with("/dev")) {
        let text = format_args!("Log_File {}: the log is on standard error", path.display()).to_string();
        section.findings().warning(&section.place, text);
    }
    section.refused(&["plugins_file"], "outputs of others cannot be loaded");
    section.refused(&["streams_file"], "there is no stream processor");
    section.no_effect(&NO_EFFECT);
    for prefix in
        ["storage.", "hot_reload", "flush.adaptive", "scheduler.", "enable_chunk_trace", "sp.", "windows.", "security."]
    {
        section.no_effect_beginning(prefix);
    }
    service
}

impl Service {
    /// What is said here counts where neither a flag nor a variable says something else.
    pub(super) fn settle(&self, common: &mut CommonArgs) {
        common.admin_addr = common.admin_addr.take().or_else(|| self.listen.clone());
        common.log_level = common.log_level.or(self.level);
        common.shutdown_timeout = common.shutdown_timeout.or(self.grace.filter(|grace| !grace.is_zero()).map(Span));
    }
}
