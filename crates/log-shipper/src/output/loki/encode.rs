//! Records as entries of streams.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Loki,
    entries::{self, Last},
    line,
    streams::Streams,
};
use crate::{
    output::{
        Encode,
        parts::{self, Parts},
    },
    record::Record,
};

/// By its default settings Loki takes nothing larger than 4 MiB from the part of it that receives to the part that
/// keeps. A batch is full before that, whatever it is configured to be.
const LARGEST: usize = 3 << 20;
/// The last times of so many streams are remembered.
const MOST_STREAMS: usize = 10_000;

pub(super) struct Encoder {
    loki: Loki,
    parts: Parts,
    streams: Streams,
    /// To say that there are more of them than there may be.
    is_crowded: Arc<AtomicBool>,
    last: HashMap<String, Last>,
    scratch: String,
}

impl Encoder {
    pub(super) fn new(loki: Loki, is_crowded: Arc<AtomicBool>) -> Self {
        Self {
            parts: Parts::default(),
            streams: Streams::new(loki.labels.clone(), loki.most_streams),
            is_crowded,
            last: HashMap::new(),
            scratch: String::new(),
            loki,
        }
    }
}

impl Encode for Encoder {
    fn record(&mut self, record: &Record<'_>) {
        let Self { loki, parts, streams, scratch, .. } = self;
        let stream = streams.of(record);
        let write = |body: &mut Vec<u8>| {
            entries::add(
                record.time.0,
                |out| line::write(loki.line, record, out),
                |put| loki.metadata.each(record, scratch, put),
                body,
            );
        };
        parts.add(stream, |_| {}, write);
    }

    fn size(&self) -> usize {
        match self.parts.size() {
            size @ ..LARGEST => size,
            _ => usize::MAX,
        }
    }

    fn seal(&mut self) -> Vec<u8> {
        let mut parts = self.parts.take();
        self.is_crowded.fetch_or(self.streams.were_too_many(), Ordering::Relaxed);
        if self.last.len() > MOST_STREAMS {
            self.last.clear();
        }
        for part in &mut parts {
            let mut last = self.last.get(&part.name).copied();
            entries::order(&mut part.bytes, &mut last);
            if let Some(last) = last {
                self.last.insert(part.name.clone(), last);
            }
        }
        parts::join(parts)
    }
}
