//! Everything that an operator can see: one function per happening, which is one log line and its metrics.

use std::time::Duration;

use common::{
    AUDIT, Failure, kept,
    prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry},
};
use htpasswd::News;
use values::ListenAddr;

use crate::policy_service::{OnError, Ruling};

pub struct Events {
    requests: IntCounterVec,
    logins: IntCounterVec,
    refreshes: IntCounterVec,
    logouts: IntCounterVec,
    store_failures: IntCounter,
    durations: Histogram,
    turned_away: IntCounter,
    rulings: IntCounterVec,
    on_error: IntGaugeVec,
}

/// One request, as it is audited. Nothing in it is a secret: no query, no cookie, no token.
pub struct Request<'a> {
    pub client: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub decision: &'static str,
    pub why: &'a str,
    pub by: &'static str,
    pub rule: &'a str,
    pub id: &'a str,
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
            logouts: counters("provider_logouts_total", "Logouts that providers announced.", "outcome")?,
            store_failures: kept(
                registry,
                IntCounter::new("auth_proxy_store_failures_total", "Times that the store of sessions did not answer.")?,
            )?,
            durations: kept(registry, Histogram::with_opts(durations)?)?,
            turned_away: kept(
                registry,
                IntCounter::new("auth_proxy_connections_refused_total", "Connections that came to nothing.")?,
            )?,
            rulings: counters("policy_answers_total", "What the policy service said of requests.", "outcome")?,
            on_error: kept(
                registry,
                IntGaugeVec::new(
                    Opts::new("auth_proxy_policy_info", "What holds when the policy service does not answer."),
                    &["on_error"],
                )?,
            )?,
        })
    }

    pub fn note(&self, note: &str) {
        tracing::warn!(note, "without effect");
    }

    pub fn listening(&self, what: &str, addr: &str) {
        tracing::info!(what, addr, "listening");
    }

    /// A connection came to nothing: a handshake that failed, most likely.
    pub fn turned_away(&self, listener: &str, why: &str) {
        self.turned_away.inc();
        tracing::warn!(listener, why, "a connection was turned away");
    }

    pub fn no_longer_listening(&self, addr: &ListenAddr) {
        tracing::info!(addr = %addr, "not listening any more");
    }

    /// None: there is no policy service.
    pub fn fails(&self, on_error: Option<OnError>) {
        self.on_error.reset();
        if let Some(on_error) = on_error {
            self.on_error.with_label_values(&[&*on_error.to_string()]).set(1);
        }
        if on_error == Some(OnError::Allow) {
            tracing::warn!("whoever the rules let in is let in also when the policy service does not answer");
        }
    }

    pub fn cluster_silent(&self, why: &str) {
        tracing::error!(why, "the API server of the cluster does not answer");
    }

    pub fn ruled(&self, ruling: &Ruling, on_error: OnError) {
        let outcome = match (ruling, on_error) {
            (Ruling::Allowed(_), _) => "allowed",
            (Ruling::Denied(_), _) => "denied",
            (Ruling::Unknown(_), OnError::Allow) => "failed_open",
            (Ruling::Unknown(_), OnError::Deny) => "failed_closed",
        };
        self.rulings.with_label_values(&[outcome]).inc();
        if let Ruling::Unknown(why) = ruling {
            tracing::error!(why, outcome, "the policy service does not answer");
        }
    }

    pub fn begun(&self, provider: &str, client: &str) {
        tracing::info!(provider, client, "a login begins");
    }

    pub fn signed_in(&self, provider: &str, client: &str, user: &str, email: &str) {
        self.logins.with_label_values(&["good"]).inc();
        tracing::info!(target: AUDIT, provider, client, user, email, "signed in");
    }

    pub fn not_signed_in(&self, provider: &str, client: &str, outcome: &'static str, why: &str) {
        self.logins.with_label_values(&[outcome]).inc();
        tracing::warn!(target: AUDIT, provider, client, outcome, why, "not signed in");
    }

    pub fn signed_out(&self, client: &str, user: &str) {
        tracing::info!(target: AUDIT, client, user, "signed out");
    }

    pub fn not_told(&self, provider: &str, why: &str) {
        tracing::warn!(provider, why, "the provider was not told that a session has ended");
    }

    pub fn ended_by_provider(&self, provider: &str, client: &str) {
        self.logouts.with_label_values(&["good"]).inc();
        tracing::info!(target: AUDIT, provider, client, "the provider has ended sessions");
    }

    pub fn not_ended(&self, client: &str, why: &str) {
        self.logouts.with_label_values(&["refused"]).inc();
        tracing::warn!(client, why, "no sessions ended");
    }

    /// The store of sessions does not answer.
    pub fn store_down(&self, why: &str) {
        self.store_failures.inc();
        tracing::error!(why, "sessions cannot be looked up");
    }

    pub fn not_remembered(&self) {
        tracing::error!("too many sessions were ended: a copy of this one's cookie would still be good");
    }

    pub fn refreshed(&self, user: &str) {
        self.refreshes.with_label_values(&["good"]).inc();
        tracing::info!(user, "session refreshed");
    }

    pub fn not_refreshed(&self, user: &str, ended: bool, why: &str) {
        self.refreshes.with_label_values(&[if ended { "ended" } else { "failed" }]).inc();
        tracing::warn!(user, ended, why, "session not refreshed");
    }

    /// Every decision, once; none of them is held back.
    pub fn decided(&self, request: &Request<'_>, status: u16, took: Duration, is_told: bool) {
        self.requests.with_label_values(&[request.decision]).inc();
        self.durations.observe(took.as_secs_f64());
        if !is_told {
            return;
        }
        let Request { client, method, path, decision, why, by, rule, id, user, email } = request;
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: AUDIT,
            client, method, path, decision, why, by, rule, user, email, id, status, took_ms, "request"
        );
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
