//! Push requests: five small messages of protobuf in snappy, or JSON.
//!
//! ```text
//! PushRequest { 1: repeated Stream }    Stream { 1: string labels, 2: repeated Entry }
//! Entry { 1: Timestamp { 1: int64 seconds, 2: int32 nanos }, 2: string line, 3: repeated Pair { 1: name, 2: value } }
//! ```

use std::io::Write;

use super::{
    Form,
    entries::{self, Entry},
    labels,
};
use crate::{json, output::gzip};

/// The labels of a stream as they are written, and its entries.
pub(super) type Stream<'a> = (&'a str, &'a [u8]);

/// A request's body, as it goes out.
pub(super) fn request(streams: &[Stream<'_>], form: Form, compress: bool) -> Vec<u8> {
    match form {
        // Nothing is too large for it that fits into a batch.
        Form::Protobuf => snap::raw::Encoder::new().compress_vec(&protobuf(streams)).unwrap_or_default(),
        Form::Json if compress => gzip::pack(&in_json(streams)),
        Form::Json => in_json(streams),
    }
}

const NANOS: i64 = 1_000_000_000;
/// Marks: the number of a field, and that it is a number or of a length.
const fn numeric(field: u8) -> u8 {
    field << 3
}
const fn sized(field: u8) -> u8 {
    field << 3 | 2
}

fn protobuf(streams: &[Stream<'_>]) -> Vec<u8> {
    let capacity = streams.iter().map(|(labels, entries)| labels.len() + entries.len() + 32).sum();
    let mut body = Vec::with_capacity(capacity);
    for (labels, bytes) in streams {
        let entries = entries::iter(bytes);
        let length = string_length(labels.as_bytes())
            + entries.clone().map(|entry| part_length(entry_length(&entry))).sum::<usize>();
        begin(1, length, &mut body);
        string(1, labels.as_bytes(), &mut body);
        for entry in entries {
            write_entry(&entry, &mut body);
        }
    }
    body
}

fn write_entry(entry: &Entry<'_>, body: &mut Vec<u8>) {
    begin(2, entry_length(entry), body);
    let (seconds, nanos) = timestamp(entry.time);
    begin(1, timestamp_length(entry.time), body);
    body.push(numeric(1));
    varint(seconds, body);
    body.push(numeric(2));
    varint(nanos, body);
    string(2, entry.line, body);
    for (name, value) in entry.metadata() {
        begin(3, string_length(name) + string_length(value), body);
        string(1, name, body);
        string(2, value, body);
    }
}

fn entry_length(entry: &Entry<'_>) -> usize {
    let pairs = entry.metadata().map(|(name, value)| part_length(string_length(name) + string_length(value)));
    part_length(timestamp_length(entry.time)) + string_length(entry.line) + pairs.sum::<usize>()
}

/// As protobuf has numbers that may be negative: in two's complement, however long.
fn timestamp(time: i64) -> (u64, u64) {
    (time.div_euclid(NANOS).cast_unsigned(), time.rem_euclid(NANOS).cast_unsigned())
}

fn timestamp_length(time: i64) -> usize {
    let (seconds, nanos) = timestamp(time);
    2 + varint_length(seconds) + varint_length(nanos)
}

fn begin(field: u8, length: usize, body: &mut Vec<u8>) {
    body.push(sized(field));
    varint(length as u64, body);
}

fn string(field: u8, text: &[u8], body: &mut Vec<u8>) {
    begin(field, text.len(), body);
    body.extend_from_slice(text);
}

fn string_length(text: &[u8]) -> usize {
    part_length(text.len())
}

/// Of something of this length, with what is before it.
fn part_length(length: usize) -> usize {
    1 + varint_length(length as u64) + length
}

fn varint(mut number: u64, body: &mut Vec<u8>) {
    while number >= 0x80 {
        // Seven bits at a time, and that there are more.
        body.push(number as u8 | 0x80);
        number >>= 7;
    }
    body.push(number as u8);
}

fn varint_length(number: u64) -> usize {
    let bits = (64 - number.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

fn in_json(streams: &[Stream<'_>]) -> Vec<u8> {
    let mut body = b"{\"streams\":[".to_vec();
    for (labels, bytes) in streams {
        body.extend_from_slice(b"{\"stream\":");
        object(labels::read(labels), &mut body);
        body.extend_from_slice(b",\"values\":[");
        for entry in entries::iter(bytes) {
            // A vector takes all that is written to it.
            let _ = write!(body, "[\"{}\",", entry.time);
            json::string(entry.line, &mut body);
            if entry.metadata().next().is_some() {
                body.push(b',');
                object(entry.metadata(), &mut body);
            }
            body.extend_from_slice(b"],");
        }
        close(&mut body, b"]},");
    }
    close(&mut body, b"]}");
    body
}

fn object(pairs: impl Iterator<Item = (impl AsRef<[u8]>, impl AsRef<[u8]>)>, body: &mut Vec<u8>) {
    body.push(b'{');
    for (name, value) in pairs {
        json::string(name.as_ref(), body);
        body.push(b':');
        json::string(value.as_ref(), body);
        body.push(b',');
    }
    close(body, b"}");
}

/// Ends a list, without the comma after its last item.
fn close(body: &mut Vec<u8>, end: &[u8]) {
    if body.last() == Some(&b',') {
        body.pop();
    }
    body.extend_from_slice(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: i64) -> Vec<u8> {
        let mut body = Vec::new();
        for number in 0..count {
            let beside = |put: &mut dyn FnMut(&str, &str)| {
                if number == 1 {
                    put("id", "7");
                }
            };
            entries::add(number * 150 * NANOS + 5, |out| out.extend_from_slice(b"l\"n"), beside, &mut body);
        }
        body
    }

    #[test]
    fn json_is_as_loki_documents_it() {
        let (two, one) = (entries(2), entries(1));
        let streams = [(r#"{a="b\"c",d="e"}"#, two.as_slice()), ("{}", one.as_slice())];
        let value: serde_json::Value = serde_json::from_slice(&request(&streams, Form::Json, false)).unwrap();
        let wanted = serde_json::json!({"streams": [
            {"stream": {"a": "b\"c", "d": "e"}, "values": [["5", "l\"n"], ["150000000005", "l\"n", {"id": "7"}]]},
            {"stream": {}, "values": [["5", "l\"n"]]},
        ]});
        assert_eq!(value, wanted);
    }

    #[test]
    fn protobuf_is_as_loki_defines_it() {
        let two = entries(2);
        let wanted = [
            b"\x0a\x2d\x0a\x07{a=\"b\"}".as_slice(),
            b"\x12\x0b\x0a\x04\x08\x00\x10\x05\x12\x03l\"n",
            b"\x12\x15\x0a\x05\x08\x96\x01\x10\x05\x12\x03l\"n\x1a\x07\x0a\x02id\x12\x01\x37",
        ];
        let body = request(&[("{a=\"b\"}", &two)], Form::Protobuf, false);
        let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        assert_eq!(plain, wanted.concat());
    }

    #[test]
    fn lengths_are_as_long_as_what_is_written() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut body = Vec::new();
            varint(number, &mut body);
            assert_eq!(varint_length(number), body.len(), "{number}");
        }
    }
}
