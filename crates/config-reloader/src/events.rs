//! Everything that an operator can see: one function per happening, which is one log line and its metrics.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use common::{
    Failure, kept,
    prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry},
};
use values::Span;

use crate::{
    act::{Done, Trouble},
    config::Action,
    snapshot::{Change, Hash, How, hex},
};

/// Somebody else who wants to know: a dialect keeps its peer's metrics up to date through this.
pub trait Observer: Send + Sync {
    fn told(&self, _action: &Action, _result: Result<Done, &Trouble>, _took: Duration) {}
    fn reloaded(&self, _worked: bool) {}
    /// How many variables were left as they stand, if it worked.
    fn prepared(&self, _unexpanded: Result<usize, ()>) {}
    fn woken(&self) {}
    /// Not for the look at the start.
    fn looking_again(&self) {}
    fn watching(&self, _directories: usize) {}
}

/// The stages at which a change can fail.
const STAGES: [&str; 5] = ["prepare", "check", "publish", "tell", "verify"];

pub struct Events {
    changes: IntCounter,
    reloads: IntCounterVec,
    failures: IntCounterVec,
    attempts: IntCounterVec,
    durations: HistogramVec,
    rollbacks: IntCounter,
    successful: IntGauge,
    success_time: IntGauge,
    pending: IntGauge,
    files: IntGauge,
    directories: IntGauge,
    polling: IntGauge,
    observer: Option<Box<dyn Observer>>,
}

impl Events {
    pub fn new(registry: &Registry, observer: Option<Box<dyn Observer>>) -> Result<Self, Failure> {
        let registered = Self::registered(registry, observer);
        registered.map_err(|error| Failure::bug(error.to_string()))
    }

    fn registered(registry: &Registry, observer: Option<Box<dyn Observer>>) -> common::prometheus::Result<Self> {
        let name = |suffix: &str| format!("config_reloader_{suffix}");
        let gauge = |suffix: &str, help: &str| kept(registry, IntGauge::new(name(suffix), help)?);
        let counter = |suffix: &str, help: &str| kept(registry, IntCounter::new(name(suffix), help)?);
        let counters = |suffix: &str, help: &str, labels: &[&str]| {
            kept(registry, IntCounterVec::new(Opts::new(name(suffix), help), labels)?)
        };
        let durations = HistogramOpts::new(name("tell_duration_seconds"), "How long telling the app took.")
            .buckets(vec![0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0]);
        let events = Self {
            changes: counter("changes_total", "Changes of content that were noticed.")?,
            reloads: counters("reloads_total", "Changes that reached their end, by how.", &["result"])?,
            failures: counters("failures_total", "Attempts that failed, by stage.", &["stage"])?,
            attempts: counters("tell_attempts_total", "Attempts to tell the app.", &["action", "result"])?,
            durations: kept(registry, HistogramVec::new(durations, &["action"])?)?,
            rollbacks: counter("rollbacks_total", "Returns to the last good files.")?,
            successful: gauge("last_reload_successful", "Whether the last change reached the app.")?,
            success_time: gauge("last_reload_success_timestamp_seconds", "When a change last reached the app.")?,
            pending: gauge("pending", "1 while the app does not have the newest content.")?,
            files: gauge("watched_files", "Files whose content is watched.")?,
            directories: gauge("watched_directories", "Directories watched for events.")?,
            polling: gauge("polling", "1 where events cannot be had, or are not wanted.")?,
            observer,
        };
        // Series that exist from the start, so that an alert on their rate sees the first step too.
        for result in ["success", "failure"] {
            events.reloads.with_label_values(&[result]);
        }
        for stage in STAGES {
            events.failures.with_label_values(&[stage]);
        }
        events.successful.set(1);
        Ok(events)
    }

    fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            tell(observer.as_ref());
        }
    }

    pub fn watching(&self, files: usize, directories: usize, mode: &file_watch::Mode) {
        self.counted(files, directories, mode);
        match mode {
            file_watch::Mode::Events => tracing::info!(files, directories, "watching"),
            file_watch::Mode::Polling { why } => tracing::warn!(files, why, "watching by polling"),
        }
    }

    /// As [`Events::watching`], without saying it again.
    pub fn counted(&self, files: usize, directories: usize, mode: &file_watch::Mode) {
        self.files.set(files as i64);
        self.directories.set(directories as i64);
        self.polling.set(i64::from(*mode != file_watch::Mode::Events));
        self.observe(|observer| observer.watching(directories));
    }

    pub fn never_updates(&self, path: &Path, why: &str) {
        tracing::warn!(path = %path.display(), why, "this file can never change here");
    }

    pub fn woken(&self) {
        self.observe(|observer| observer.woken());
    }

    pub fn looking_again(&self) {
        self.observe(|observer| observer.looking_again());
    }

    pub fn unreadable(&self, problem: &str) {
        tracing::warn!("cannot read {problem}");
    }

    pub fn state_unusable(&self, problem: &str) {
        tracing::warn!("{problem}");
    }

    pub fn changed(&self, digest: &Hash, changes: &[Change]) {
        self.changes.inc();
        self.pending.set(1);
        let of = |how: How| changes.iter().filter(|change| change.how == how).count();
        let first = changes.first().map(|change| change.path.display().to_string());
        tracing::info!(
            digest = short(digest),
            added = of(How::Added),
            changed = of(How::Changed),
            removed = of(How::Removed),
            first,
            "content changed"
        );
    }

    pub fn prepared(&self, to: &Path) {
        tracing::info!(file = %to.display(), "file put in place");
    }

    pub fn preparation(&self, unexpanded: Result<usize, ()>) {
        if let Ok(unexpanded @ 1..) = unexpanded {
            tracing::warn!(unexpanded, "variables that have no value are left as they stand");
        }
        self.observe(|observer| observer.prepared(unexpanded));
    }

    pub fn told(&self, action: &Action, done: Done, took: Duration) {
        self.attempt(action, Ok(done), took);
        tracing::info!(action = %action, ms = took.as_millis() as u64, "told");
    }

    pub fn not_told(&self, action: &Action, trouble: &Trouble, took: Duration) {
        self.attempt(action, Err(trouble), took);
        self.failures.with_label_values(&["tell"]).inc();
        tracing::error!(action = %action, "not told: {}", trouble.text);
    }

    fn attempt(&self, action: &Action, result: Result<Done, &Trouble>, took: Duration) {
        let label = action.to_string();
        let word = result.map_or_else(|trouble| trouble.kind, |_| "success");
        self.attempts.with_label_values(&[label.as_str(), word]).inc();
        self.durations.with_label_values(&[label.as_str()]).observe(took.as_secs_f64());
        self.observe(|observer| observer.told(action, result, took));
    }

    /// A stage failed. What is in place stays in place.
    pub fn failed(&self, stage: &'static str, problem: &str) {
        self.failures.with_label_values(&[stage]).inc();
        self.successful.set(0);
        // Also when it could not even be made: the app does not have it.
        self.pending.set(1);
        match stage {
            // By then the change is with the app; what becomes of it is the next line.
            "verify" => tracing::error!(stage, "the app was told and is not well: {problem}"),
            _ => tracing::error!(stage, "the change is not applied, the last good config stays: {problem}"),
        }
    }

    pub fn again_in(&self, pause: Duration) {
        self.successful.set(0);
        self.observe(|observer| observer.reloaded(false));
        self.reloads.with_label_values(&["failure"]).inc();
        let pause = Duration::from_millis(pause.as_millis() as u64);
        tracing::warn!("trying again in {}, or when something changes", Span(pause));
    }

    pub fn rolled_back(&self, files: usize) {
        self.rollbacks.inc();
        match files {
            0 => tracing::error!("nothing to go back to: the files are not ours, or these were the first"),
            files => tracing::error!(files, "went back to the last good files and told the app again"),
        }
    }

    /// Not tried again until something changes.
    pub fn given_up(&self) {
        self.successful.set(0);
        self.reloads.with_label_values(&["failure"]).inc();
        self.observe(|observer| observer.reloaded(false));
    }

    pub fn reloaded(&self, digest: &Hash, took: Duration) {
        self.reloads.with_label_values(&["success"]).inc();
        self.successful.set(1);
        self.pending.set(0);
        if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.success_time.set(now.as_secs() as i64);
        }
        self.observe(|observer| observer.reloaded(true));
        tracing::info!(digest = short(digest), ms = took.as_millis() as u64, "reloaded");
    }

    /// The bytes are what they were: nothing to say at INFO, or a remount would look like news.
    pub fn unchanged(&self) {
        self.pending.set(0);
        tracing::debug!("nothing has changed");
    }
}

/// As much of a hash as people compare by eye.
fn short(hash: &Hash) -> String {
    let mut text = hex(hash);
    text.truncate(12);
    text
}
