//! Records as messages of the forward protocol. A message has one tag: a batch is a message for each.

use super::{
    Mode,
    ids::{self, Ids},
    msgpack::{self, Open},
};
use crate::{
    output::{
        Encode, gzip,
        parts::{self, Part, Parts},
    },
    record::{Record, Time},
};

pub(super) struct Encoder {
    pub(super) mode: Mode,
    /// Instead of the record's own.
    pub(super) tag: Option<String>,
    pub(super) whole_seconds: bool,
    pub(super) wants_ack: bool,
    pub(super) ids: Ids,
    pub(super) parts: Parts,
    pub(super) open: Vec<Open>,
}

impl Encode for Encoder {
    fn record(&mut self, record: &Record<'_>) {
        let Self { mode, whole_seconds, wants_ack, ids, parts, open, .. } = self;
        let tag = self.tag.as_ref().unwrap_or(&record.origin.tag);
        if *mode == Mode::Message {
            let id = ids.next();
            let write = |body: &mut Vec<u8>| {
                msgpack::array(if *wants_ack { 4 } else { 3 }, body);
                msgpack::text(tag.as_bytes(), body);
                time(record.time, *whole_seconds, body);
                msgpack::record(record, open, body);
                if *wants_ack {
                    msgpack::map(1, body);
                    chunk(&id, body);
                }
            };
            parts.add_alone(name(&id), write);
            return;
        }
        let write = |body: &mut Vec<u8>| {
            msgpack::array(2, body);
            time(record.time, *whole_seconds, body);
            msgpack::record(record, open, body);
        };
        let begin = |body: &mut Vec<u8>| {
            head(*mode, tag, body);
        };
        parts.add(tag, begin, write);
    }

    fn size(&self) -> usize {
        self.parts.size()
    }

    /// Parts whose names are what is acknowledged.
    fn seal(&mut self) -> Vec<u8> {
        let parts = self.parts.take();
        let parts = match self.mode {
            Mode::Message => parts,
            _ => parts.into_iter().map(|part| self.finish(part)).collect(),
        };
        parts::join(parts)
    }
}

impl Encoder {
    /// What is behind the entries of a message, and how many these are.
    fn finish(&mut self, part: Part) -> Part {
        let Part { name: tag, mut bytes, records } = part;
        let id = self.ids.next();
        let mut empty = Vec::new();
        let from = head(self.mode, &tag, &mut empty);
        match self.mode {
            Mode::Forward => msgpack::set_length(records, from, &mut bytes),
            Mode::CompressedPackedForward => {
                empty.extend_from_slice(&gzip::pack(&bytes[from..]));
                bytes = empty;
            }
            Mode::PackedForward | Mode::Message => {}
        }
        if self.mode != Mode::Forward {
            let length = bytes.len() - from;
            msgpack::set_length(length, from, &mut bytes);
        }
        let is_compressed = self.mode == Mode::CompressedPackedForward;
        msgpack::map(1 + usize::from(self.wants_ack) + usize::from(is_compressed), &mut bytes);
        msgpack::text(b"size", &mut bytes);
        msgpack::integer(records as i64, &mut bytes);
        if is_compressed {
            msgpack::text(b"compressed", &mut bytes);
            msgpack::text(b"gzip", &mut bytes);
        }
        if self.wants_ack {
            chunk(&id, &mut bytes);
        }
        Part { name: name(&id).to_owned(), bytes, records }
    }
}

/// What stands before the entries. Returns where these begin.
fn head(mode: Mode, tag: &str, body: &mut Vec<u8>) -> usize {
    msgpack::array(3, body);
    msgpack::text(tag.as_bytes(), body);
    match mode {
        Mode::Forward => msgpack::open_array(body),
        _ => msgpack::open_binary(body),
    }
}

fn chunk(id: &[u8; ids::LENGTH], body: &mut Vec<u8>) {
    msgpack::text(b"chunk", body);
    msgpack::text(id, body);
}

fn name(id: &[u8; ids::LENGTH]) -> &str {
    std::str::from_utf8(id).unwrap_or_default()
}

fn time(time: Time, whole_seconds: bool, body: &mut Vec<u8>) {
    match whole_seconds {
        true => msgpack::integer(time.0.div_euclid(1_000_000_000), body),
        false => msgpack::event_time(time, body),
    }
}
