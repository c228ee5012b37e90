//! Records as the two lines each that a bulk request has: what to do, and the document.

use super::{
    Elasticsearch,
    id::{self, Place},
    index::Namer,
    types::Types,
};
use crate::{
    json,
    output::{Encode, gzip::Compression},
    parse::time::Writer,
    record::{Record, Time},
};

/// `2026-11-21T05:13:16.154Z`
const STAMP: usize = 24;
const MILLI: i64 = 1_000_000;

pub(super) struct Bulk {
    settings: Elasticsearch,
    types: Types,
    /// Whether documents of the body that is being written have one.
    typed: bool,
    namer: Namer,
    /// Everything up to the first field: most records share it with the one before, but for 12 bytes of the id.
    head: Head,
    stamps: Writer,
    body: Vec<u8>,
}

#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    /// Where in `bytes` the id is, with `ids`.
    id: usize,
    place: Option<Place>,
    /// Where the action ends, and a document that has its time already begins.
    document: usize,
    stamp: usize,
    milli: Option<i64>,
}

impl Bulk {
    pub(super) fn new(settings: Elasticsearch, types: Types) -> Self {
        let namer = Namer::new(settings.index.clone());
        let (head, stamps, body, typed) = (Head::default(), Writer::default(), Vec::new(), types.are_sent());
        Self { settings, types, typed, namer, head, stamps, body }
    }

    /// Brings the head up to date with this record.
    fn turn_to(&mut self, record: &Record<'_>) {
        if let Some(index) = self.namer.other(record) {
            self.head.begin(&self.settings, index, self.typed.then(|| self.types.name()));
        }
        let Head { bytes, id, place, stamp, milli, .. } = &mut self.head;
        if self.settings.ids {
            let now = Place::of(record);
            if place.replace(now) != Some(now) {
                bytes[*id..*id + id::HEAD].copy_from_slice(&now.head());
            }
            bytes[*id + id::HEAD..*id + id::LENGTH].copy_from_slice(&id::tail(record));
        }
        let now = record.time.0.div_euclid(MILLI);
        if milli.replace(now) != Some(now) {
            let mut text = Vec::with_capacity(STAMP);
            self.stamps.millis(Time(record.time.0), &mut text);
            bytes[*stamp..*stamp + STAMP].copy_from_slice(&text);
        }
    }

    /// A record that has its own time already, and must not have it twice.
    fn has_time(&self, record: &Record<'_>) -> bool {
        use crate::record::Body::{Fields, Json, Line};
        let key = self.settings.time_key.as_str();
        match &record.body {
            Json(json) if key == super::TIMESTAMP => json.has_timestamp,
            Line(_) | Json(_) | Fields(_) => record.says(key),
        }
    }
}

impl Head {
    fn begin(&mut self, settings: &Elasticsearch, index: &str, type_name: Option<&str>) {
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.extend_from_slice(b"{\"");
        bytes.extend_from_slice(settings.op.word().as_bytes());
        bytes.extend_from_slice(b"\":{\"_index\":");
        json::string(index.as_bytes(), bytes);
        if let Some(name) = type_name {
            bytes.extend_from_slice(&super::body::type_member(name));
        }
        if settings.ids {
            bytes.extend_from_slice(b",\"_id\":\"");
            self.id = bytes.len();
            bytes.extend_from_slice(&[b' '; id::LENGTH]);
            bytes.push(b'"');
        }
        bytes.extend_from_slice(b"}}\n");
        self.document = bytes.len();
        bytes.push(b'{');
        json::key(&settings.time_key, bytes);
        bytes.push(b'"');
        self.stamp = bytes.len();
        bytes.extend_from_slice(&[b' '; STAMP]);
        bytes.push(b'"');
        (self.place, self.milli) = (None, None);
    }
}

impl Encode for Bulk {
    fn record(&mut self, record: &Record<'_>) {
        self.turn_to(record);
        let tag = self.settings.tag_key.as_ref().filter(|key| !record.says(key));
        let without_time = self.has_time(record);
        let head = if without_time { &self.head.bytes[..self.head.document] } else { &self.head.bytes };
        self.body.extend_from_slice(head);
        let begin = self.body.len();
        if let Some(key) = tag {
            self.body.push(b',');
            json::key(key, &mut self.body);
            json::string(record.origin.tag.as_bytes(), &mut self.body);
        }
        json::members(record, &mut self.body);
        if without_time {
            // A member has a comma before it; the first one gets the brace instead.
            self.body[begin] = b'{';
        }
        self.body.extend_from_slice(b"}\n");
    }

    fn size(&self) -> usize {
        self.body.len()
    }

    fn seal(&mut self) -> Vec<u8> {
        if self.typed != self.types.are_sent() {
            // From the next body on, so that in each either all have it or none.
            self.typed = self.types.are_sent();
            self.namer = Namer::new(self.settings.index.clone());
        }
        match self.settings.web.compression {
            Compression::None => {
                // The next one will be as long.
                let next = Vec::with_capacity(self.body.len());
                std::mem::replace(&mut self.body, next)
            }
            compression => {
                let sealed = compression.pack(&self.body);
                self.body.clear();
                sealed
            }
        }
    }
}
