//! configmap-reload: `-volume-dir`, `-webhook-url`, port 9533, and its metrics.
//!
//! Deliberately not as it is there: a webhook that fails is tried again until it works, one that hangs is given up, a
//! directory that is missing is waited for, and equal bytes tell nobody.

use std::{path::PathBuf, sync::Arc, time::Duration};

use common::{
    CommonArgs, Failure, Sidecar,
    args::Listen,
    prometheus::{CounterVec, GaugeVec, IntCounter, IntCounterVec, Opts},
};
use http_client::{Client, Expect, Target};
use values::ListenAddr;

use crate::{
    act::{Done, Trouble},
    args::Environment,
    config::{Action, Config, OnStart, Timing, WhenUnverified},
    events::Observer,
    yaml::TIMEOUT,
};

pub(super) const NAME: &str = "configmap-reload";

/// configmap-reload's flags, by config-reloader
#[derive(clap::Parser, Clone, Debug)]
#[command(name = NAME, version)]
pub struct Flags {
    /// The config map volume directory to watch for updates; may be given several times
    #[arg(long, value_name = "DIR")]
    volume_dir: Vec<PathBuf>,

    /// The url to send a request to when the watched directory has been updated; may be given several times
    #[arg(long, value_name = "URL")]
    webhook_url: Vec<String>,

    /// The HTTP method to send the webhook with
    #[arg(long, value_name = "METHOD", default_value = "POST", overrides_with = "webhook_method")]
    webhook_method: String,

    /// The HTTP status code that says that the webhook worked
    #[arg(long, value_name = "CODE", default_value = "200", overrides_with = "webhook_status_code")]
    webhook_status_code: u16,

    /// Accepted, also -1 for ever; a webhook is tried again until it works or something newer changes
    #[arg(long, value_name = "N", default_value = "1", overrides_with = "webhook_retries")]
    webhook_retries: i32,

    /// Where to listen
    #[arg(
        long = "web.listen-address",
        value_name = "ADDR",
        default_value = ":9533",
        overrides_with = "listen_address"
    )]
    listen_address: ListenAddr,

    /// Under which path to expose metrics
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        overrides_with = "telemetry_path"
    )]
    telemetry_path: String,
}

impl Flags {
    pub fn settle(&self, common: &mut CommonArgs) {
        common.admin_addr = Some(Listen::At(self.listen_address.clone()));
        common.admin_flag = Some("-web.listen-address");
    }

    pub fn load(&self, environment: &Environment) -> Result<Config, Failure> {
        let mut problems = Vec::new();
        if self.volume_dir.is_empty() {
            problems.push("-volume-dir: required".into());
        }
        if self.webhook_url.is_empty() {
            problems.push("-webhook-url: required".into());
        }
        let mut tell = Vec::new();
        for url in &self.webhook_url {
            let target = Target {
                expect: Expect::codes([self.webhook_status_code]),
                timeout: TIMEOUT.into(),
                tls: Arc::new(environment.tls()),
                ..Target::new(&self.webhook_method, url)
            };
            match Client::new(target) {
                Ok(client) => tell.push(Action::Http(Box::new(client.into()))),
                Err(error) => problems.push(format!("-webhook-url: {error}")),
            }
        }
        let target = |path: &PathBuf| file_watch::Target { path: path.clone(), recursive: false };
        let config = Config {
            watch: self.volume_dir.iter().map(target).collect(),
            timing: Timing::default(),
            state_file: None,
            on_start: OnStart::Never,
            once: false,
            prepare: Vec::new(),
            check: Vec::new(),
            tell,
            verify: Vec::new(),
            verify_within: Duration::ZERO,
            when_unverified: WhenUnverified::RollBack,
        };
        super::complete(config, problems)
    }

    pub fn attach(&self, sidecar: &Sidecar) -> Result<Box<dyn Observer>, Failure> {
        sidecar.metrics_at(&self.telemetry_path);
        Metrics::new(sidecar)
            .map(|metrics| Box::new(metrics) as Box<dyn Observer>)
            .map_err(|error| Failure::bug(error.to_string()))
    }
}

/// The peer's metrics, under its names.
struct Metrics {
    last_error: GaugeVec,
    last_duration: GaugeVec,
    successes: CounterVec,
    requests: IntCounterVec,
    errors: IntCounterVec,
}

impl Metrics {
    fn new(sidecar: &Sidecar) -> common::prometheus::Result<Self> {
        let registry = sidecar.metrics();
        let named = |name: &str, help: &str| Opts::new(format!("configmap_reload_{name}"), help);
        let metrics = Self {
            last_error: GaugeVec::new(
                named("last_reload_error", "Whether the last reload resulted in an error (1 for error, 0 for success)"),
                &["webhook"],
            )?,
            last_duration: GaugeVec::new(
                named("last_request_duration_seconds", "Duration of last webhook request"),
                &["webhook"],
            )?,
            successes: CounterVec::new(named("success_reloads_total", "Total success reload calls"), &["webhook"])?,
            requests: IntCounterVec::new(
                named("requests_total", "Total requests by response status code"),
                &["webhook", "status_code"],
            )?,
            errors: IntCounterVec::new(
                named("request_errors_total", "Total request errors by reason"),
                &["webhook", "reason"],
            )?,
        };
        // Lost events only make us look at everything again; the series is there for those who plot it.
        let watcher_errors = IntCounter::with_opts(named("watcher_errors_total", "Total filesystem watcher errors"))?;
        registry.register(Box::new(metrics.last_error.clone()))?;
        registry.register(Box::new(metrics.last_duration.clone()))?;
        registry.register(Box::new(metrics.successes.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        registry.register(Box::new(watcher_errors))?;
        Ok(metrics)
    }
}

impl Observer for Metrics {
    fn told(&self, action: &Action, result: Result<Done, &Trouble>, took: Duration) {
        let Action::Http(http) = action else { return };
        // `POST http://...`: the label is the URL alone.
        let webhook = http.client.place().split_once(' ').map_or("", |(_, url)| url);
        self.last_error.with_label_values(&[webhook]).set(f64::from(u8::from(result.is_err())));
        let status = match result {
            Ok(done) => {
                self.last_duration.with_label_values(&[webhook]).set(took.as_secs_f64());
                self.successes.with_label_values(&[webhook]).inc();
                done.status
            }
            Err(trouble) => {
                let reason = match (trouble.status, trouble.kind) {
                    (Some(_), _) => "client_response",
                    (None, "create_request") => "client_request_create",
                    _ => "client_request_do",
                };
                self.errors.with_label_values(&[webhook, reason]).inc();
                trouble.status
            }
        };
        if let Some(status) = status {
            self.requests.with_label_values(&[webhook, &status.to_string()]).inc();
        }
    }
}
