//! The settings that every sidecar has: flag before environment before file before default.

use std::time::Duration;

use values::{ListenAddr, Span};

use crate::{
    args::{CommonArgs, Listen, LogFormat, LogLevel},
    config::Section,
};

/// What differs from sidecar to sidecar.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// The admin port, so chosen that five sidecars fit in one pod.
    pub admin_port: u16,
    /// How long to keep serving after SIGTERM: 5 s for proxies, nothing for the rest.
    pub drain_delay: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) admin_addr: Listen,
    pub(crate) probe_addr: Listen,
    pub(crate) log_level: LogLevel,
    pub(crate) log_format: LogFormat,
    pub(crate) drain_delay: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) allow_quit: bool,
    pub(crate) check_config: bool,
}

/// 25 s: inside the 30 s that Kubernetes gives by default.
pub(crate) const SHUTDOWN_TIMEOUT: Span = Span::from_secs(25);

impl Settings {
    /// For the rest of a file whose `sidecar:` section is wrong.
    pub(crate) fn only_to_check(args: &CommonArgs, defaults: Defaults) -> Self {
        Self { check_config: true, ..Self::resolve(args, &mut Section::empty(), defaults) }
    }

    /// `file` is the `sidecar:` section of a config file, if there is one.
    pub(crate) fn resolve(args: &CommonArgs, file: &mut Section, defaults: Defaults) -> Self {
        // Read every key before choosing: a wrong value in the file is reported even when a flag outranks it.
        let file_admin = file.parsed::<Listen>("admin_addr");
        let file_probe = file.parsed::<Listen>("probe_addr");
        let file_level = file.parsed::<LogLevel>("log_level");
        let file_format = file.parsed::<LogFormat>("log_format");
        let file_delay = file.parsed::<Span>("drain_delay");
        let file_timeout = file.parsed::<Span>("shutdown_timeout");
        let file_quit = file.parsed::<bool>("allow_quit");
        let admin_chosen = args.admin_addr.clone().or(file_admin);
        Self {
            // Who names the admin address has decided where probes go; the extra one is for those who said nothing.
            probe_addr: args.probe_addr.clone().or(file_probe).unwrap_or_else(|| {
                if admin_chosen.is_some() { Listen::Off } else { Listen::At(ListenAddr::Any(9090)) }
            }),
            admin_addr: admin_chosen.unwrap_or(Listen::At(ListenAddr::Any(defaults.admin_port))),
            log_level: args.log_level.or(file_level).unwrap_or_default(),
            log_format: args.log_format.or(file_format).unwrap_or_default(),
            drain_delay: args.drain_delay.or(file_delay).map_or(defaults.drain_delay, Duration::from),
            shutdown_timeout: args.shutdown_timeout.or(file_timeout).unwrap_or(SHUTDOWN_TIMEOUT).into(),
            allow_quit: args.allow_quit.or(file_quit).unwrap_or(false),
            check_config: args.check_config,
        }
    }
}
