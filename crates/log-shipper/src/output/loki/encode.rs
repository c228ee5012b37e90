//! Records as entries of streams.

use std::collections::HashMap;

use super::{
    Loki,
    entries::{self, Last},
    line,
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
    /// The stream of the record before this one, and where that came from, if that is all that matters.
    stream: String,
    origin: Option<(String, String)>,
    scratch: String,
    last: HashMap<String, Last>,
}

impl Encoder {
    pub(super) fn new(loki: Loki) -> Self {
        Self {
            loki,
            parts: Parts::default(),
            stream: String::new(),
            origin: None,
            scratch: String::new(),
            last: HashMap::new(),
        }
    }

    /// Finds out which stream it belongs to.
    fn find_stream(&mut self, record: &Record<'_>) {
        let Self { loki, stream, origin, scratch, .. } = self;
        let (tag, path) = (&record.origin.tag, &record.origin.path);
        let is_same = origin.as_ref().is_some_and(|(known, at)| known == tag && at == path);
        if is_same {
            return;
        }
        stream.clear();
        loki.labels.write(record, scratch, stream);
        *origin = (!loki.labels.are_of_the_record()).then(|| (tag.clone(), path.clone()));
    }
}

impl Encode for Encoder {
    fn record(&mut self, record: &Record<'_>) {
        self.find_stream(record);
        let Self { loki, parts, stream, scratch, .. } = self;
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
