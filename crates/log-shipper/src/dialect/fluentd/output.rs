//! `<match>` and `<store>`: where records go, and how often it is tried.

use std::{sync::Arc, time::Duration};

use super::{forward, http, search, seconds};
use crate::{
    config::{Batch, Output, Retry},
    dialect::section::{Entry, Section},
    output::{Discard, Shape, Ship, Stdout, file::File, layout::Piece},
    parse::time::Pattern,
    select::{Only, Select},
};

pub(super) fn read(mut section: Section, kind: &Entry, name: String, selects: Select) -> Option<Output> {
    let (batch, retry) = buffer(&mut section);
    let id = section.text("@id");
    section.no_effect(&["@log_level"]);
    for inside in section.children_of("secondary") {
        inside.problem("nothing is given up, so there is nothing for it: expected no <secondary>");
        inside.forget();
    }
    for inside in section.children_of("inject") {
        inside.problem("fields are added by <filter> with record_transformer");
        inside.forget();
    }
    let ship: Option<Arc<dyn Ship>> = match kind.value.as_str() {
        "forward" => forward::read(&mut section),
        "elasticsearch" | "opensearch" => search::elasticsearch(&mut section),
        "loki" => search::loki(&mut section),
        "http" => http::read(&mut section),
        "stdout" => stdout(&mut section),
        "file" => file(&mut section),
        "null" => Some(Arc::new(Discard)),
        _ => {
            section.wrong(kind, "expected forward, elasticsearch, opensearch, loki, http, stdout, file, copy or null");
            section.forget();
            return None;
        }
    };
    let pause = if matches!(kind.value.as_str(), "stdout" | "null") { Duration::ZERO } else { batch.pause };
    let only = Only::default();
    Some(Output { name: id.unwrap_or(name), selects, only, ship: ship?, batch: Batch { pause, ..batch }, retry })
}

/// The files are the buffer: of what is said about it, how long a line may wait and how often it is tried counts.
const BUFFER: [&str; 21] = [
    "@type",
    "path",
    "flush_mode",
    "flush_thread_count",
    "flush_thread_interval",
    "flush_thread_burst_interval",
    "flush_at_shutdown",
    "delayed_commit_timeout",
    "chunk_limit_size",
    "chunk_limit_records",
    "chunk_full_threshold",
    "total_limit_size",
    "queue_limit_length",
    "queued_chunks_limit_size",
    "overflow_action",
    "compress",
    "timekey",
    "timekey_wait",
    "timekey_use_utc",
    "timekey_zone",
    "disable_chunk_backup",
];
/// What is given up is lost: it is tried on after that.
const LIMITS: [&str; 6] = [
    "retry_timeout",
    "retry_type",
    "retry_exponential_backoff_base",
    "retry_randomize",
    "retry_secondary_threshold",
    "retry_forever",
];

fn buffer(section: &mut Section) -> (Batch, Retry) {
    let (mut batch, mut retry) = (Batch::default(), Retry::default());
    let mut read = |from: &mut Section| {
        if let Some(flush) = from.read("flush_interval", seconds) {
            batch.pause = batch.pause.min(flush);
        }
        retry.first = from.read("retry_wait", seconds).unwrap_or(retry.first);
        retry.most = from.read("retry_max_interval", seconds).unwrap_or(retry.most);
        let forever = from.switch("retry_forever").unwrap_or(false);
        retry.limit = from.parsed("retry_max_times").filter(|_| !forever).or(retry.limit);
        from.no_effect(&LIMITS);
    };
    // As old versions have it: in the output itself.
    read(section);
    section.no_effect(&["buffer_type", "buffer_path", "buffer_chunk_limit", "buffer_queue_limit", "num_threads"]);
    if let Some(mut inside) = section.child("buffer") {
        read(&mut inside);
        inside.no_effect(&BUFFER);
    }
    (batch, retry)
}

fn text(text: &str) -> Piece {
    Piece::Text(text.into())
}

fn date(spec: &str) -> Piece {
    Pattern::new(spec).map_or_else(|_| text(""), Piece::Date)
}

/// What `<format>` says, or else this.
fn shape(section: &mut Section, default: Vec<Piece>) -> Shape {
    let Some(mut inside) = section.child("format") else { return Shape::Layout(default.into()) };
    let kind = inside.entry("@type");
    match kind.as_ref().map(|kind| kind.value.as_str()) {
        Some("json") => Shape::Layout([Piece::Object].into()),
        Some("single_value") => {
            inside.no_effect(&["message_key"]);
            Shape::Raw
        }
        Some("stdout" | "out_file") | None => Shape::Layout(default.into()),
        Some(_) => {
            if let Some(kind) = &kind {
                inside.wrong(kind, "expected json or single_value");
            }
            Shape::Raw
        }
    }
}

fn stdout(section: &mut Section) -> Option<Arc<dyn Ship>> {
    let line = vec![date("%Y-%m-%d %H:%M:%S.%9N +0000 "), Piece::Tag, text(": "), Piece::Object];
    Some(Arc::new(Stdout { shape: shape(section, line), names: None }))
}

fn file(section: &mut Section) -> Option<Arc<dyn Ship>> {
    let line = vec![date("%Y-%m-%dT%H:%M:%S+00:00\t"), Piece::Tag, text("\t"), Piece::Object];
    let path = section.text("path").unwrap_or_else(|| {
        section.problem("path: required");
        "none".into()
    });
    let path = path.replace("${tag}", "{tag}");
    let has_suffix = section.switch("add_path_suffix").unwrap_or(true);
    let suffix = section.text("path_suffix").unwrap_or_else(|| ".log".into());
    // One file for each day, where the path does not say otherwise.
    let path = match (path.contains('%'), has_suffix) {
        (true, _) => path,
        (false, true) => format!("{path}.%Y%m%d{suffix}"),
        (false, false) => format!("{path}.%Y%m%d"),
    };
    section.no_effect(&["append", "symlink_path", "recompress", "time_slice_format", "time_slice_wait"]);
    section.refused(&["compress"], "files are written as they are");
    let path = path.parse().map_err(|expected| section.problem(format_args!("\"{path}\": {expected}"))).ok();
    Some(Arc::new(File { path: path?, shape: shape(section, line), sync: true, rotate: None }))
}
