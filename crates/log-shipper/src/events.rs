//! Everything that an operator can see: one function per happening, which is one log line and its metrics.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::{
    Failure, kept,
    prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry},
};
use values::Span;

use crate::{config::TooLong, fill::Batch, follow::Followed};

/// Somebody else who is told of files, in words of his own.
pub trait Observer: Send + Sync {
    /// A new one, or one that was cut and begins anew.
    fn found(&self, file: &Followed);
    /// It is not there any more, or another one is.
    fn gone(&self, file: &Followed);
}

pub struct Events {
    observer: Option<Box<dyn Observer>>,
    records: IntCounterVec,
    read_bytes: IntCounterVec,
    sent_bytes: IntCounterVec,
    retries: IntCounterVec,
    dropped: IntCounterVec,
    durations: HistogramVec,
    too_long: IntCounterVec,
    not_understood: IntCounter,
    files: IntGauge,
    polling: IntGauge,
    found: IntCounter,
    rotated: IntCounter,
    cut: IntCounter,
    cut_bytes: IntCounter,
    positions_saved: IntGauge,
    /// What was said already, and is not news.
    said: Mutex<HashSet<String>>,
    /// Why an output delivers nothing, as it was said last.
    troubles: Mutex<HashMap<String, String>>,
}

impl Events {
    pub fn new(registry: &Registry, observer: Option<Box<dyn Observer>>) -> Result<Self, Failure> {
        Self::registered(registry, observer).map_err(|error| Failure::bug(error.to_string()))
    }

    fn registered(registry: &Registry, observer: Option<Box<dyn Observer>>) -> common::prometheus::Result<Self> {
        let name = |suffix: &str| format!("log_shipper_{suffix}");
        let gauge = |suffix: &str, help: &str| kept(registry, IntGauge::new(name(suffix), help)?);
        let counter = |suffix: &str, help: &str| kept(registry, IntCounter::new(name(suffix), help)?);
        let counters = |suffix: &str, help: &str, labels: &[&str]| {
            kept(registry, IntCounterVec::new(Opts::new(name(suffix), help), labels)?)
        };
        let durations = HistogramOpts::new(name("send_duration_seconds"), "How long an output took for a batch.")
            .buckets(vec![0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0]);
        let events = Self {
            observer,
            records: counters("records_total", "Records that an output has for good.", &["output"])?,
            read_bytes: counters("read_bytes_total", "Bytes of the files that an output has for good.", &["output"])?,
            sent_bytes: counters("sent_bytes_total", "Bytes of the bodies that were sent.", &["output"])?,
            retries: counters("retries_total", "Attempts that have to be made again.", &["output"])?,
            dropped: counters("dropped_records_total", "Records that were given up.", &["output", "reason"])?,
            durations: kept(registry, HistogramVec::new(durations, &["output"])?)?,
            too_long: counters("long_lines_total", "Lines longer than lines may be.", &["output", "action"])?,
            not_understood: counter("unparsed_lines_total", "Lines that are shipped as text: not in their format.")?,
            files: gauge("files", "Files that are followed.")?,
            polling: gauge("polling", "1 where events cannot be had.")?,
            found: counter("files_found_total", "Files that were found.")?,
            rotated: counter("files_rotated_total", "Files that went away under their name.")?,
            cut: counter("files_cut_total", "Files that were cut and begun anew.")?,
            cut_bytes: counter("files_cut_lost_bytes_total", "Bytes that were cut off before they were read.")?,
            positions_saved: gauge("positions_saved", "1 while what was delivered is remembered on disk.")?,
            said: Mutex::default(),
            troubles: Mutex::default(),
        };
        Ok(events)
    }

    fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            tell(observer.as_ref());
        }
    }

    /// Series that exist from the start, so that an alert on their rate sees the first step too.
    pub fn output(&self, name: &str) {
        for counters in [&self.records, &self.read_bytes, &self.sent_bytes, &self.retries] {
            counters.with_label_values(&[name]);
        }
    }

    pub fn watching(&self, directories: usize, blind: Option<&str>) {
        self.polling.set(i64::from(blind.is_some()));
        match blind {
            None => tracing::info!(directories, "watching"),
            Some(why) => tracing::warn!(directories, why, "watching by polling"),
        }
    }

    pub fn following(&self, files: usize) {
        self.files.set(files as i64);
    }

    pub fn found(&self, file: &Followed) {
        self.found.inc();
        self.observe(|observer| observer.found(file));
        let from = file.starts.iter().min().copied().unwrap_or(0);
        tracing::info!(path = file.origin.path, tag = file.origin.tag, from, size = file.size(), "following");
    }

    pub fn unreadable(&self, path: &Path, error: &io::Error) {
        if self.is_news(format!("{}: {error}", path.display())) {
            tracing::warn!(path = %path.display(), %error, "cannot be read");
        }
    }

    pub fn rotated(&self, file: &Followed) {
        self.rotated.inc();
        self.observe(|observer| observer.gone(file));
        tracing::info!(path = file.origin.path, left = file.size().saturating_sub(file.least_acked()), "rotated");
    }

    pub fn let_go(&self, file: &Followed) {
        tracing::debug!(path = file.origin.path, size = file.size(), "delivered to its end, and let go");
    }

    pub fn cut(&self, file: &Followed, lost: u64) {
        self.cut.inc();
        self.cut_bytes.inc_by(lost);
        match lost {
            0 => tracing::info!(path = file.origin.path, "cut and begun anew"),
            _ => tracing::warn!(path = file.origin.path, lost_bytes = lost, "cut before it was read to its end"),
        }
    }

    pub fn goes_on_in_copy(&self, file: &Followed, copy: &Path) {
        tracing::info!(path = file.origin.path, copy = %copy.display(), "cut; its rest is read from the copy");
    }

    pub fn lost_sight(&self, path: &Path) {
        tracing::warn!(path = %path.display(), "what was left of this file is gone");
    }

    pub fn too_long(&self, output: &str, action: TooLong) {
        let action = match action {
            TooLong::Split => "split",
            TooLong::Truncate => "truncated",
            TooLong::Skip => "skipped",
        };
        self.too_long.with_label_values(&[output, action]).inc();
        tracing::warn!(output, action, "a line is longer than lines may be");
    }

    pub fn not_understood(&self) {
        self.not_understood.inc();
    }

    pub fn delivered(&self, output: &str, batch: &Batch, took: Duration) {
        self.records.with_label_values(&[output]).inc_by(batch.records);
        self.read_bytes.with_label_values(&[output]).inc_by(batch.bytes);
        self.durations.with_label_values(&[output]).observe(took.as_secs_f64());
        if self.troubles().remove(output).is_some() {
            tracing::info!(output, "delivers again");
        }
        tracing::debug!(output, records = batch.records, bytes = batch.bytes, "delivered");
    }

    pub fn sent(&self, output: &str, bytes: usize) {
        self.sent_bytes.with_label_values(&[output]).inc_by(bytes as u64);
    }

    pub fn retried(&self, output: &str, attempt: u32, why: &str, pause: Duration) {
        self.retries.with_label_values(&[output]).inc();
        let before = self.troubles().insert(output.to_owned(), why.to_owned());
        let pause = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        match before.is_some_and(|before| before == why) {
            true => tracing::debug!(output, attempt, why, again_in = %Span(pause), "not delivered"),
            false => tracing::warn!(output, attempt, why, again_in = %Span(pause), "not delivered"),
        }
    }

    pub fn dropped(&self, output: &str, reason: &'static str, records: u64, why: &str) {
        self.dropped.with_label_values(&[output, reason]).inc_by(records);
        tracing::error!(output, reason, records, why, "given up");
    }

    /// A part of a batch, of which the rest is sent again.
    pub fn arrived(&self, output: &str, records: u64) {
        self.records.with_label_values(&[output]).inc_by(records);
    }

    /// One of several; the others are tried.
    pub fn server_fails(&self, output: &str, server: &str, why: &str) {
        tracing::warn!(output, server, why, "a server takes no records");
    }

    pub fn server_works(&self, output: &str, server: &str) {
        tracing::info!(output, server, "a server takes records again");
    }

    pub fn unfinished_cut(&self, output: &str, path: &Path, bytes: u64) {
        tracing::warn!(output, path = %path.display(), bytes, "cut a line that was never finished; it is sent again");
    }

    pub fn too_many_streams(&self, output: &str, most: usize) {
        if self.is_news(format!("streams {output}")) {
            tracing::warn!(output, most, "too many different labels; further streams get those of their file only");
        }
    }

    pub fn types_turned(&self, output: &str, are_sent: bool) {
        match are_sent {
            false => tracing::warn!(output, "the server refuses _type, as all since version 8 do: sent without it"),
            true => tracing::warn!(output, "the server demands _type, as all before version 7 do: sent with it"),
        }
    }

    pub fn too_large(&self, output: &str, bytes: usize, now: usize) {
        tracing::warn!(output, bytes, now_at_most = now, "the server takes no requests so large (batch_bytes)");
    }

    pub fn positions(&self, trouble: Option<&str>) {
        self.positions_saved.set(i64::from(trouble.is_none()));
        match trouble {
            Some(why) if self.is_news("positions".into()) => {
                tracing::warn!(why, "what was delivered cannot be remembered; a restart would ship it again");
            }
            None if self.is_over("positions") => tracing::info!("what was delivered is remembered again"),
            _ => {}
        }
    }

    pub fn positions_in_memory(&self, why: &str) {
        self.positions_saved.set(0);
        tracing::warn!(why, "positions are kept in memory only; a restart ships the files again");
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_news(&self, what: String) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(what)
    }

    fn is_over(&self, what: &str) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).remove(what)
    }
}
