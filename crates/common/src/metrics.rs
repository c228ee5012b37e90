//! The registry that every sidecar has, and what is always in it.

use prometheus::{IntGauge, Opts, Registry, TextEncoder, core::Collector};

use crate::process::ProcessMetrics;

/// What is always exposed: who this is, how the process is, and whether its last reload worked.
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) reload_successful: IntGauge,
    pub(crate) reload_time: IntGauge,
}

impl Metrics {
    /// `name` as in `config-reloader`; metric names start with `config_reloader_`.
    pub(crate) fn new(name: &str, version: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let prefix = name.replace('-', "_");
        let gauge = |suffix: &str, help: &str| IntGauge::new(format!("{prefix}_{suffix}"), help);
        let build = IntGauge::with_opts(
            Opts::new(format!("{prefix}_build_info"), "Always 1; the version is in the label.")
                .const_label("version", version),
        )?;
        build.set(1);
        let reload_successful =
            gauge("config_last_reload_successful", "Whether the last reload of the settings worked.")?;
        let reload_time = gauge(
            "config_last_reload_success_timestamp_seconds",
            "When settings were last loaded with success, since the Unix epoch.",
        )?;
        for metric in [build, reload_successful.clone(), reload_time.clone()] {
            registry.register(Box::new(metric))?;
        }
        registry.register(Box::new(ProcessMetrics::new()?))?;
        Ok(Self { registry, reload_successful, reload_time })
    }

    pub(crate) fn reloaded(&self, worked: bool) {
        self.reload_successful.set(i64::from(worked));
        if worked && let Ok(now) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            self.reload_time.set(now.as_secs() as i64);
        }
    }
}

/// The text that Prometheus scrapes.
pub(crate) fn text(registry: &Registry) -> Result<String, String> {
    TextEncoder::new().encode_to_string(&registry.gather()).map_err(|error| error.to_string())
}

/// Registers a metric and gives it back, so that it can be made and kept in one line.
pub fn kept<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
