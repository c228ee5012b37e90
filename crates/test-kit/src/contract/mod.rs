//! The contract suite: what every sidecar promises, as one test per promise.
//!
//! A sidecar joins with a `[[test]]` that holds nothing but this; see [`contract!`](crate::contract!). Promises that
//! take a part that burns, hangs or panics are tested on `misbehave` alone, in `tests/contract_misbehave.rs`: they are
//! kept by the common crate, not by the part.

pub mod admin;
pub mod life;
pub mod logs;
pub mod probes;
pub mod typed;

use std::sync::Arc;

use crate::{Sidecar, Start, TempDir};

/// A sidecar that the suite is run against. `{dir}` in `args` and `config` is a directory made for the test.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub name: &'static str,
    pub binary: &'static str,
    /// The least it needs to run and become ready.
    pub args: &'static [&'static str],
    /// The same as a config file of ours.
    pub config: &'static str,
}

/// One test's own copy of the world.
pub struct Case {
    pub subject: Subject,
    pub dir: Arc<TempDir>,
}

impl Subject {
    pub fn case(self) -> Case {
        let dir = Arc::new(TempDir::new());
        Case { subject: self, dir }
    }

    /// As it appears in metric names.
    fn prefix(&self) -> String {
        self.name.replace('-', "_")
    }
}

impl Case {
    /// The binary without any arguments.
    pub fn bare(&self) -> Start {
        Sidecar::start(self.subject.binary).keeping(&self.dir)
    }

    /// With its least arguments, and these.
    pub fn with(&self, more: &[&str]) -> Start {
        let args = self.subject.args.iter().map(|arg| self.here(arg));
        self.bare().args(args).args(more)
    }

    /// Started, and ready.
    #[track_caller]
    pub fn ready(&self, more: &[&str]) -> Sidecar {
        let sidecar = self.with(more).spawn();
        sidecar.wait_ready();
        sidecar
    }

    /// With its config file, to which this is added.
    pub fn with_file(&self, addition: &str) -> Start {
        self.bare().args(["--config", &self.write_config(addition)])
    }

    /// Writes the config file and returns its path.
    pub fn write_config(&self, addition: &str) -> String {
        let text = format!("{}\n{addition}\n", self.here(self.subject.config));
        self.dir.put("config.yaml", text)
    }

    fn here(&self, text: &str) -> String {
        text.replace("{dir}", self.dir.to_str().unwrap())
    }
}

/// Declares the contract tests of one sidecar:
///
/// ```ignore
/// test_kit::contract! {
///     name: "config-reloader",
///     binary: env!("CARGO_BIN_EXE_config-reloader"),
///     args: ["--watch", "{dir}", "--touch", "{dir}/told"],
///     config: "watch: ['{dir}']\ntell: {touch: '{dir}/told'}",
/// }
/// ```
#[macro_export]
macro_rules! contract {
    (name: $name:expr, binary: $binary:expr, args: [$($arg:expr),* $(,)?], config: $config:expr $(,)?) => {
        const SUBJECT: $crate::contract::Subject = $crate::contract::Subject {
            name: $name,
            binary: $binary,
            args: &[$($arg),*],
            config: $config,
        };
        $crate::contract_tests! {
            typed: flags_beat_environment_beat_file, help_names_every_default, version_is_printed,
                every_mistake_is_reported_at_once_with_the_nearest_match, check_config_exits_0_or_78,
                a_taken_port_exits_78_and_names_port_flag_and_variable, a_closed_stdout_is_no_failure;
            probes: healthcheck_asks_the_running_sidecar, wait_comes_back_when_all_are_there,
                wait_gives_up_with_69_and_the_last_error, what_wait_starts_is_as_if_started_directly,
                probe_port_9090_is_best_effort;
            life: livez_stays_200_until_the_end, sigterm_is_lame_duck_drain_exit_0,
                a_second_signal_exits_at_once, sighup_reloads_and_a_bad_file_changes_nothing,
                quit_is_off_by_default_and_works_when_allowed, pause_does_nothing_until_told_to_stop;
            admin: state_changes_are_refused_from_other_addresses,
                slow_and_malformed_admin_clients_cannot_exhaust_it, metrics_have_build_info_process_and_reload,
                idle_has_no_wakeups_and_at_most_two_threads;
            logs: logs_are_flat_json_with_timestamp_level_message_target, repeated_messages_are_limited;
        }
    };
}

/// One `#[test]` per promise.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($($module:ident: $($promise:ident),+;)+) => {
        $($(
            #[test]
            fn $promise() {
                $crate::contract::$module::$promise(SUBJECT);
            }
        )+)+
    };
}
