//! prometheus-config-reloader: `--config-file`, `--config-envsubst-file`, `--watched-dir`, and its metrics.
//!
//! Deliberately not as it is there: every change is noticed at once and not only the first one, an output keeps the
//! permissions of its source, and a reload by signal is verified for as long as `--reload-timeout`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{
    Answer, CommonArgs, Failure, Sidecar, Usage,
    args::{Listen, LogFormat},
    kept,
    prometheus::{Gauge, IntCounter, IntGauge, Opts, Registry},
};
use http_client::{Client, Expect, Target};
use regex_lite::Regex;
use tls::ClientTls;
use values::{ListenAddr, Span};

use crate::{
    act::{Done, Trouble},
    args::Environment,
    config::{
        Action, Config, Http, OnStart, Output, Processes, Signal, Signum, Text, Timing, Undefined, WhenUnverified,
    },
    events::Observer,
    yaml::LARGEST,
};

pub(super) const NAME: &str = "prometheus-config-reloader";

/// prometheus-config-reloader's flags, by config-reloader
#[derive(clap::Parser, Clone, Debug)]
#[command(name = NAME, version)]
pub struct Flags {
    /// The config file to watch
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// The file to write the config file to, with environment variables in place
    #[arg(long, value_name = "FILE", requires = "config_file")]
    config_envsubst_file: Option<PathBuf>,

    /// How often to look where events cannot be had; 0 writes the file once and exits
    #[arg(long, value_name = "DURATION", default_value = "3m0s")]
    watch_interval: Span,

    /// How long to wait before reloading after a change
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    delay_interval: Span,

    /// How long to wait before trying again
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    retry_interval: Span,

    /// How long to wait for the reload URL
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    reload_timeout: Span,

    /// Accepted; there is no garbage collector here to tune
    #[arg(long, value_name = "RATIO", default_value = "0.0")]
    auto_gomemlimit_ratio: f64,

    /// Refused unless empty: the metrics port speaks plain HTTP without passwords here
    #[arg(long, value_name = "FILE", default_value = "")]
    web_config_file: String,

    /// A directory to watch, not recursively; may be given several times
    #[arg(long, value_name = "DIR")]
    watched_dir: Vec<PathBuf>,

    /// How to reload: http or signal
    #[arg(long, value_name = "METHOD", default_value = "http", value_parser = ["http", "signal"])]
    reload_method: String,

    /// The executable to signal
    #[arg(long, value_name = "NAME", default_value = "prometheus")]
    process_executable_name: String,

    /// The variable whose last digits become STATEFULSET_ORDINAL_NUMBER
    #[arg(long, value_name = "NAME", default_value = "POD_NAME")]
    statefulset_ordinal_from_envvar: String,

    /// Where to expose metrics and health; nowhere if not given
    #[arg(long, value_name = "ADDR")]
    listen_address: Option<ListenAddr>,

    /// The URL to reload by
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090/-/reload")]
    reload_url: String,

    /// The URL that says whether a reload by signal worked
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090/api/v1/status/runtimeinfo")]
    runtimeinfo_url: String,

    /// How to log: logfmt or json
    #[arg(long, value_name = "FORMAT", default_value = "logfmt", value_parser = ["logfmt", "json"])]
    log_format: String,

    /// What to log: all, debug, info, warn, error, none
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["all", "debug", "info", "warn", "error", "none"], ignore_case = true)]
    log_level: String,

    /// Print the number of the version alone
    #[arg(long)]
    short_version: bool,
}

impl Flags {
    /// What is printed instead of running, if that was asked for.
    pub fn asked(&self) -> Result<(), Usage> {
        if self.short_version { Err(Usage::Asked(env!("CARGO_PKG_VERSION").into())) } else { Ok(()) }
    }

    pub fn settle(&self, common: &mut CommonArgs) {
        common.admin_addr = Some(self.listen_address.clone().map_or(Listen::Off, Listen::At));
        common.admin_flag = Some("--listen-address");
        common.log_format = Some(if self.log_format == "json" { LogFormat::Json } else { LogFormat::Text });
        let level = self.log_level.to_lowercase();
        let level = match level.as_str() {
            "all" => "trace",
            "none" => "off",
            level => level,
        };
        common.log_level = level.parse().ok().or(common.log_level);
    }

    pub fn load(&self, environment: &Environment) -> Result<Config, Failure> {
        let mut problems = Vec::new();
        if !self.web_config_file.is_empty() {
            let file = &self.web_config_file;
            problems.push(format!(
                "--web-config-file \"{file}\": the metrics port speaks plain HTTP without passwords here"
            ));
        }
        let once = self.watch_interval.0.is_zero();
        let tell = if once { None } else { self.tell(&mut problems) };
        let verify = if once { None } else { self.verify(&mut problems) };
        let mut timing =
            Timing { retry_first: self.retry_interval.0, retry_most: self.retry_interval.0, ..Timing::default() };
        timing.settle(self.delay_interval.0);
        timing.watch.settle_swap = self.delay_interval.0;
        timing.watch.fallback = if once { timing.watch.fallback } else { self.watch_interval.0 };
        let mut watch: Vec<_> = self.watched_dir.iter().map(watched).collect();
        let output = self.config_envsubst_file.as_ref().zip(self.config_file.as_ref());
        let prepare = output.map(|(to, from)| self.output(from, to, environment)).into_iter().collect();
        if output.is_none() {
            watch.extend(self.config_file.as_ref().map(watched));
        }
        let config = Config {
            watch,
            timing,
            state_file: None,
            // With a config file the app is told at the start; directories alone wait for a change.
            on_start: if self.config_file.is_some() { OnStart::Always } else { OnStart::Never },
            once,
            prepare,
            check: Vec::new(),
            tell: tell.into_iter().collect(),
            verify: verify.into_iter().collect(),
            verify_within: self.reload_timeout.0,
            when_unverified: WhenUnverified::TellAgain,
        };
        super::complete(config, problems)
    }

    fn output(&self, from: &Path, to: &Path, environment: &Environment) -> Output {
        let mut variables = environment.0.clone();
        let name = variables.get(&self.statefulset_ordinal_from_envvar).map_or("", String::as_str);
        let ordinal = &name[name.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
        variables.insert("STATEFULSET_ORDINAL_NUMBER".into(), ordinal.to_owned());
        Output {
            from: from.into(),
            to: to.into(),
            gunzip: true,
            text: Text::Substitute { variables, undefined: Undefined::Keep },
            permissions: None,
            largest: LARGEST.0,
        }
    }

    fn tell(&self, problems: &mut Vec<String>) -> Option<Action> {
        if self.reload_method == "signal" {
            let to = Processes::Name(self.process_executable_name.clone());
            return Some(Action::Signal(Signal { signal: Signum(1), to }));
        }
        let client = self.client("--reload-url", "POST", &self.reload_url, problems)?;
        Some(Action::Http(Box::new(client.into())))
    }

    /// By signal, nobody answers: the server is asked whether its config is another than before, and good.
    fn verify(&self, problems: &mut Vec<String>) -> Option<Action> {
        if self.reload_method != "signal" {
            return None;
        }
        let client = self.client("--runtimeinfo-url", "GET", &self.runtimeinfo_url, problems)?;
        let contains = Some(r#""reloadConfigSuccess":true"#.to_owned());
        Some(Action::Http(Box::new(Http {
            client,
            contains,
            renewed: Regex::new(r#""lastConfigTime":"([^"]*)""#).ok(),
        })))
    }

    fn client(&self, flag: &str, method: &str, url: &str, problems: &mut Vec<String>) -> Option<Client> {
        // The peer never looks at certificates, and what it talks to is in the same pod.
        let tls = Arc::new(ClientTls { dangerously_skip_verification: true, ..ClientTls::default() });
        let expect = Expect::codes([200]);
        let client = Client::new(Target { expect, timeout: self.reload_timeout.0, tls, ..Target::new(method, url) });
        client.map_err(|error| problems.push(format!("{flag}: {error}"))).ok()
    }

    pub fn attach(&self, sidecar: &Sidecar) -> Result<Box<dyn Observer>, Failure> {
        let healthy =
            Answer { status: 200, content_type: "text/plain; charset=utf-8", body: r#"{"status":"up"}"#.into() };
        sidecar.admin().get("/healthz", move |_| healthy.clone());
        Metrics::new(sidecar.metrics(), &self.reload_method)
            .map(|metrics| Box::new(metrics) as Box<dyn Observer>)
            .map_err(|error| Failure::bug(error.to_string()))
    }
}

fn watched(path: impl AsRef<Path>) -> file_watch::Target {
    file_watch::Target { path: path.as_ref().into(), recursive: false }
}

/// The peer's metrics, under its names.
struct Metrics {
    reloads: IntCounter,
    failed: IntCounter,
    successful: IntGauge,
    success_time: Gauge,
    applies: IntCounter,
    failed_applies: IntCounter,
    unexpanded: IntGauge,
    watches: IntGauge,
    events: IntCounter,
}

impl Metrics {
    fn new(registry: &Registry, method: &str) -> common::prometheus::Result<Self> {
        let counter = |name: &str, help: &str| kept(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| kept(registry, IntGauge::new(name, help)?);
        let info = Opts::new("reloader_info", "A metric with a constant '1' value labeled by reload method.");
        kept(registry, IntGauge::with_opts(info.const_label("method", method))?)?.set(1);
        counter("reloader_watch_errors_total", "Total number of errors received by the reloader from the watcher.")?;
        let time = "Timestamp of the last successful reload";
        Ok(Self {
            reloads: counter("reloader_reloads_total", "Total number of reload requests.")?,
            failed: counter("reloader_reloads_failed_total", "Total number of reload requests that failed.")?,
            successful: gauge("reloader_last_reload_successful", "Whether the last reload attempt was successful")?,
            success_time: kept(registry, Gauge::new("reloader_last_reload_success_timestamp_seconds", time)?)?,
            applies: counter("reloader_config_apply_operations_total", "Total number of config apply operations.")?,
            failed_applies: counter(
                "reloader_config_apply_operations_failed_total",
                "Total number of config apply operations that failed.",
            )?,
            unexpanded: gauge(
                "reloader_config_environment_variable_expansion_errors",
                "Number of environment variable expansions that failed during the last operation.",
            )?,
            watches: gauge("reloader_watches", "Number of resources watched by the reloader.")?,
            events: counter(
                "reloader_watch_events_total",
                "Total number of events received by the reloader from the watcher.",
            )?,
        })
    }
}

impl Observer for Metrics {
    fn told(&self, _: &Action, result: Result<Done, &Trouble>, _: Duration) {
        self.reloads.inc();
        if result.is_err() {
            self.failed.inc();
        }
    }

    fn reloaded(&self, worked: bool) {
        self.successful.set(i64::from(worked));
        if worked && let Ok(now) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            self.success_time.set(now.as_secs_f64());
        }
    }

    /// As there: each look after the first one, whether or not there is something to write.
    fn looking_again(&self) {
        self.applies.inc();
    }

    fn prepared(&self, unexpanded: Result<usize, ()>) {
        match unexpanded {
            Ok(unexpanded) => self.unexpanded.set(unexpanded as i64),
            Err(()) => self.failed_applies.inc(),
        }
    }

    fn woken(&self) {
        self.events.inc();
    }

    fn watching(&self, directories: usize) {
        self.watches.set(directories as i64);
    }
}
