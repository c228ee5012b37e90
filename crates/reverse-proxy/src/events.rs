//! Everything that an operator can see: one function per happening, which is one log line and its metric.

use common::{
    Failure, kept,
    prometheus::{
        Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
        core::Collector, proto::MetricFamily,
    },
};
use htpasswd::News;
use http_proxy::{Flag, UpstreamEvent};

use crate::{config::LogTarget, tide::Tide};

pub struct Events {
    /// How many come and go.
    pub tide: Tide,
    requests: IntCounterVec,
    durations: HistogramVec,
    upstream_requests: IntCounterVec,
    upstream_durations: HistogramVec,
    failures: IntCounterVec,
    connections: IntGaugeVec,
    connections_total: IntCounterVec,
    refused: IntCounterVec,
    upstream_connections: IntGaugeVec,
    connect_failures: IntCounterVec,
    retries: IntCounterVec,
    resolve_failures: IntCounterVec,
    logins_refused: IntCounter,
    access_lines_dropped: IntCounter,
    certificate_reloads: IntCounterVec,
    draining: IntGauge,
}

/// Buckets from half a millisecond to half a minute.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The figures of one route, looked up once.
#[derive(Clone)]
pub struct RouteFigures {
    requests: [IntCounter; 6],
    duration: Histogram,
}

/// Those of one cluster.
#[derive(Clone)]
pub struct ClusterFigures {
    requests: [IntCounter; 6],
    duration: Histogram,
}

fn class(status: u16) -> usize {
    usize::from(status / 100).min(5)
}

impl RouteFigures {
    pub fn done(&self, status: u16, seconds: f64) {
        self.requests[class(status)].inc();
        self.duration.observe(seconds);
    }
}

impl ClusterFigures {
    pub fn answered(&self, status: u16, seconds: f64) {
        self.requests[class(status)].inc();
        self.duration.observe(seconds);
    }
}

impl Events {
    pub fn new(registry: &Registry) -> Result<Self, Failure> {
        Self::registered(registry).map_err(|error| Failure::bug(error.to_string()))
    }

    fn registered(registry: &Registry) -> common::prometheus::Result<Self> {
        let name = |suffix: &str| format!("reverse_proxy_{suffix}");
        let counter = |suffix: &str, help: &str| kept(registry, IntCounter::new(name(suffix), help)?);
        let counters = |suffix: &str, help: &str, labels: &[&str]| {
            kept(registry, IntCounterVec::new(Opts::new(name(suffix), help), labels)?)
        };
        let gauges = |suffix: &str, help: &str, labels: &[&str]| {
            kept(registry, IntGaugeVec::new(Opts::new(name(suffix), help), labels)?)
        };
        let histograms = |suffix: &str, help: &str, label: &str| {
            let options = HistogramOpts::new(name(suffix), help).buckets(SECONDS.to_vec());
            kept(registry, HistogramVec::new(options, &[label])?)
        };
        Ok(Self {
            tide: Tide::default(),
            requests: counters("requests_total", "Requests, by what the client was told.", &["route", "class"])?,
            durations: histograms("request_duration_seconds", "From a request to the end of its response.", "route")?,
            upstream_requests: counters(
                "upstream_requests_total",
                "Requests that were passed on, by what the app said.",
                &["cluster", "class"],
            )?,
            upstream_durations: histograms(
                "upstream_response_duration_seconds",
                "From a request to the head of the app's response.",
                "cluster",
            )?,
            failures: counters("failures_total", "Requests that failed, and why.", &["flag"])?,
            connections: gauges("connections", "Connections of clients that are open.", &["listener"])?,
            connections_total: counters("connections_total", "Connections of clients.", &["listener"])?,
            refused: counters("connections_refused_total", "Connections that came to nothing.", &["listener"])?,
            upstream_connections: gauges("upstream_connections", "Connections to an app that are open.", &["cluster"])?,
            connect_failures: counters("upstream_connect_failures_total", "Connects that failed.", &["cluster"])?,
            retries: counters("upstream_retries_total", "Requests that were sent again.", &["cluster"])?,
            resolve_failures: counters("upstream_resolve_failures_total", "Names without an address.", &["cluster"])?,
            logins_refused: counter("logins_refused_total", "Requests without a good user and password.")?,
            access_lines_dropped: counter("access_log_dropped_total", "Lines that nobody took in time.")?,
            certificate_reloads: counters(
                "certificate_reloads_total",
                "Certificates that were read again.",
                &["result"],
            )?,
            draining: kept(registry, IntGauge::new(name("draining"), "1 after POST /drain.")?)?,
        })
    }

    pub fn route(&self, route: &str) -> RouteFigures {
        RouteFigures {
            requests: CLASSES.map(|class| self.requests.with_label_values(&[route, class])),
            duration: self.durations.with_label_values(&[route]),
        }
    }

    pub fn cluster(&self, cluster: &str) -> ClusterFigures {
        for series in [&self.connect_failures, &self.retries] {
            series.with_label_values(&[cluster]);
        }
        ClusterFigures {
            requests: CLASSES.map(|class| self.upstream_requests.with_label_values(&[cluster, class])),
            duration: self.upstream_durations.with_label_values(&[cluster]),
        }
    }

    pub fn listening(&self, listener: &str, addr: &str) {
        self.connections.with_label_values(&[listener]);
        tracing::info!(what = listener, addr, "listening");
    }

    pub fn no_longer_listening(&self, listener: &str) {
        tracing::info!(addr = listener, "no longer listening");
    }

    pub fn note(&self, note: &str) {
        tracing::warn!("{note}");
    }

    pub fn opened(&self, listener: &str) {
        self.connections.with_label_values(&[listener]).inc();
        self.connections_total.with_label_values(&[listener]).inc();
        self.tide.opened();
    }

    pub fn closed(&self, listener: &str) {
        self.connections.with_label_values(&[listener]).dec();
        self.tide.closed();
    }

    /// Connections that are open, connections there were, and requests, for status pages.
    pub fn totals(&self) -> (i64, u64, u64) {
        let gauges = self.connections.collect();
        let open: f64 = gauges.iter().flat_map(MetricFamily::get_metric).map(|m| m.get_gauge().get_value()).sum();
        let sum = |counters: &IntCounterVec| -> u64 {
            let families = counters.collect();
            families.iter().flat_map(MetricFamily::get_metric).map(|m| m.get_counter().get_value() as u64).sum()
        };
        (open as i64, sum(&self.connections_total), sum(&self.requests))
    }

    pub fn refused(&self, listener: &str, why: &str) {
        self.refused.with_label_values(&[listener]).inc();
        tracing::debug!(listener, why, "connection refused");
    }

    pub fn failed(&self, flag: Flag, error: Option<&str>, cluster: Option<&str>, upstream: Option<&str>) {
        self.failures.with_label_values(&[flag.code()]).inc();
        match flag {
            // What clients do is their business, and nobody can act on it.
            Flag::DownstreamClosed | Flag::DownstreamProtocol | Flag::DownstreamTimeout | Flag::BodyTooLarge => {
                tracing::debug!(flag = flag.code(), error, "request failed");
            }
            _ => tracing::warn!(flag = flag.code(), cluster, upstream, error, "request failed"),
        }
    }

    pub fn upstream(&self, cluster: &str, event: UpstreamEvent<'_>) {
        match event {
            UpstreamEvent::Connected { .. } => {
                self.upstream_connections.with_label_values(&[cluster]).inc();
                self.tide.opened();
            }
            UpstreamEvent::Closed { .. } => {
                self.upstream_connections.with_label_values(&[cluster]).dec();
                self.tide.closed();
            }
            UpstreamEvent::Retried => self.retries.with_label_values(&[cluster]).inc(),
            UpstreamEvent::ConnectFailed { address, error } => {
                self.connect_failures.with_label_values(&[cluster]).inc();
                tracing::debug!(cluster, address, error, "cannot connect");
            }
            UpstreamEvent::ResolveFailed { name, error } => {
                self.resolve_failures.with_label_values(&[cluster]).inc();
                tracing::warn!(cluster, name, error, "name without an address");
            }
        }
    }

    pub fn login_refused(&self) {
        self.logins_refused.inc();
    }

    pub fn users(&self, news: &News<'_>) {
        match news {
            News::Read { path, users } => tracing::info!(path = %path.display(), users, "users read"),
            News::Unusable { path, problems } => {
                for problem in *problems {
                    tracing::error!(path = %path.display(), "nobody can log in, every request for a user is refused: {problem}");
                }
            }
        }
    }

    pub fn access_line_dropped(&self) {
        self.access_lines_dropped.inc();
    }

    pub fn access_log_failed(&self, target: &LogTarget, error: &std::io::Error) {
        let target = match target {
            LogTarget::Stdout => "standard output".to_owned(),
            LogTarget::Stderr => "standard error".to_owned(),
            LogTarget::File(path) => path.display().to_string(),
        };
        tracing::warn!(target_file = target, %error, "access log not written");
    }

    pub fn certificates_reloaded(&self, listener: &str) {
        self.certificate_reloads.with_label_values(&["success"]).inc();
        tracing::info!(listener, "certificates reloaded");
    }

    pub fn certificates_kept(&self, listener: &str, problem: &str) {
        self.certificate_reloads.with_label_values(&["failure"]).inc();
        tracing::error!(listener, "certificates not reloaded, the old ones stay: {problem}");
    }

    pub fn no_longer_draining(&self) {
        self.draining.set(0);
        tracing::info!("no longer draining: inbound ports are open again");
    }

    pub fn stays_drained(&self, problems: &[String]) {
        tracing::error!(error = problems.join("; "), "inbound ports stay closed");
    }

    pub fn draining(&self) {
        self.draining.set(1);
        tracing::info!("draining: no new connections from outside; what goes out goes on");
    }
}
