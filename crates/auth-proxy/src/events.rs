//! Everything that an operator can see: one function per happening, which is one log line and its metrics.

use std::time::Duration;

use common::{
    Failure, kept,
    prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry},
};
use htpasswd::News;

pub struct Events {
    requests: IntCounterVec,
    logins: IntCounterVec,
    refreshes: IntCounterVec,
    durations: Histogram,
}

/// One request, as it is audited. Nothing in it is a secret: no query, no cookie, no token.
pub struct Request<'a> {
    pub client: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub decision: &'static str,
    pub why: &'a str,
    pub user: &'a str,
    pub email: &'a str,
}

impl Events {
    pub fn new(registry: &Registry) -> Result<Self, Failure> {
        Self::registered(registry).map_err(|error| Failure::bug(error.to_string()))
    }

    fn registered(registry: &Registry) -> common::prometheus::Result<Self> {
        let counters = |name: &str, help: &str, label: &str| {
            kept(registry, IntCounterVec::new(Opts::new(format!("auth_proxy_{name}"), help), &[label])?)
        };
        let durations = HistogramOpts::new("auth_proxy_request_duration_seconds", "From the request to its last byte.")
            .buckets(vec![0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0]);
        Ok(Self {
            requests: counters("requests_total", "Requests, by what was decided.", "decision")?,
            logins: counters("logins_total", "Logins that came to an end.", "outcome")?,
            refreshes: counters("refreshes_total", "Sessions that were refreshed at the provider.", "outcome")?,
            durations: kept(registry, Histogram::with_opts(durations)?)?,
        })
    }

    pub fn note(&self, note: &str) {
        tracing::warn!(note, "without effect");
    }

    pub fn listening(&self, addr: &str) {
        tracing::info!(what = "proxy", addr, "listening");
    }

    pub fn begun(&self, provider: &str, client: &str) {
        tracing::info!(provider, client, "a login begins");
    }

    pub fn signed_in(&self, provider: &str, client: &str, user: &str, email: &str) {
        self.logins.with_label_values(&["good"]).inc();
        tracing::info!(provider, client, user, email, "signed in");
    }

    pub fn not_signed_in(&self, provider: &str, client: &str, outcome: &'static str, why: &str) {
        self.logins.with_label_values(&[outcome]).inc();
        tracing::warn!(provider, client, outcome, why, "not signed in");
    }

    pub fn signed_out(&self, client: &str, user: &str) {
        tracing::info!(client, user, "signed out");
    }

    pub fn refreshed(&self, user: &str) {
        self.refreshes.with_label_values(&["good"]).inc();
        tracing::info!(user, "session refreshed");
    }

    pub fn not_refreshed(&self, user: &str, ended: bool, why: &str) {
        self.refreshes.with_label_values(&[if ended { "ended" } else { "failed" }]).inc();
        tracing::warn!(user, ended, why, "session not refreshed");
    }

    /// Every decision, once.
    pub fn decided(&self, request: &Request<'_>, status: u16, took: Duration) {
        self.requests.with_label_values(&[request.decision]).inc();
        self.durations.observe(took.as_secs_f64());
        let Request { client, method, path, decision, why, user, email } = request;
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(client, method, path, decision, why, user, email, status, took_ms, "request");
    }

    pub fn users(news: &News<'_>) {
        match news {
            News::Read { path, users } => tracing::info!(path = %path.display(), users, "users read"),
            News::Unusable { path, problems } => {
                let problems = problems.join("; ");
                tracing::error!(path = %path.display(), problems, "nobody of this file is let in");
            }
        }
    }
}
