//! Writing JSON into a body: what the hot path needs, and nothing that builds a tree.

use std::io::Write;

use crate::record::{Body, Field, Record, Value};

/// Adds `text` as what stands between the quotes of a JSON string. Bytes that are not UTF-8 become U+FFFD.
pub fn escape(text: &[u8], body: &mut Vec<u8>) {
    let begin = body.len();
    // Most lines are ASCII, which is seen on the way.
    let is_ascii = escape_valid(text, body);
    if is_ascii || std::str::from_utf8(text).is_ok() {
        return;
    }
    body.truncate(begin);
    for chunk in text.utf8_chunks() {
        escape_valid(chunk.valid().as_bytes(), body);
        if !chunk.invalid().is_empty() {
            body.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Whether all of it was ASCII.
fn escape_valid(text: &[u8], body: &mut Vec<u8>) -> bool {
    let mut place = Place { from: 0, to: body.len(), seen: 0 };
    while place.from < text.len() {
        // Room for what most lines have in quotes; another round where there is more.
        body.resize(place.to + text.len() - place.from + ROOM, 0);
        escape_into(text, body, &mut place);
    }
    body.truncate(place.to);
    place.seen & HIGHS == 0
}

/// More than eight bytes and an escape, so that every round comes forward.
const ROOM: usize = 32;
const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;
const BLANKS: u64 = ONES * b' ' as u64;

/// How far it has come.
struct Place {
    from: usize,
    to: usize,
    /// All the bytes there were, one upon the other.
    seen: u64,
}

/// Until the text ends, or the room is scarce. Eight bytes are copied at once; of those that turn out to need an escape,
/// what comes after is written over.
fn escape_into(text: &[u8], out: &mut [u8], place: &mut Place) {
    let Place { mut from, mut to, mut seen } = *place;
    while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
        let (word, count) = match rest.first_chunk::<8>() {
            Some(word) => (u64::from_le_bytes(*word), 8),
            None => (last(text, rest), rest.len()),
        };
        let Some((window, _)) = out[to..].split_first_chunk_mut::<16>() else { break };
        window[..8].copy_from_slice(&word.to_le_bytes());
        seen |= word;
        let marks = specials(word);
        if marks == 0 {
            (from, to) = (from + count, to + count);
            continue;
        }
        let plain = marks.trailing_zeros() as usize / 8 % 8;
        let byte = word.to_le_bytes()[plain];
        let length = if byte >= b' ' {
            window[plain..plain + 2].copy_from_slice(&[b'\\', byte]);
            2
        } else {
            let (escape, length) = control(byte);
            window[plain..plain + 8].copy_from_slice(&escape);
            length
        };
        (from, to) = (from + plain + 1, to + plain + length);
    }
    *place = Place { from, to, seen };
}

/// The last few bytes of a text, and blanks. Without a copy in memory: reading back at once what was just written in
/// smaller pieces takes longer than all the rest of this.
fn last(text: &[u8], rest: &[u8]) -> u64 {
    match text.last_chunk::<8>() {
        Some(word) => (u64::from_le_bytes(*word) >> (8 * (8 - rest.len()))) | (BLANKS << (8 * rest.len())),
        None => rest.iter().rev().fold(BLANKS, |word, byte| (word << 8) | u64::from(*byte)),
    }
}

/// Marks the bytes that cannot stand in a JSON string as they are. Above the lowest of them others may be marked as well.
fn specials(word: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (controls | zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')))) & HIGHS
}

/// The escape of a control character, and how long it is.
#[cold]
fn control(byte: u8) -> ([u8; 8], usize) {
    let short = |letter| ([b'\\', letter, 0, 0, 0, 0, 0, 0], 2);
    match byte {
        b'\n' => short(b'n'),
        b'\r' => short(b'r'),
        b'\t' => short(b't'),
        _ => {
            let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            ([b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15), 0, 0], 6)
        }
    }
}

/// Adds `"name":`.
pub fn key(name: &str, body: &mut Vec<u8>) {
    body.push(b'"');
    escape_valid(name.as_bytes(), body);
    body.extend_from_slice(b"\":");
}

pub fn string(text: &[u8], body: &mut Vec<u8>) {
    body.push(b'"');
    escape(text, body);
    body.push(b'"');
}

pub fn value(value: &Value<'_>, body: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            body.push(b'"');
            escape_valid(text.as_bytes(), body);
            body.push(b'"');
        }
        // A vector takes all that is written to it.
        Value::Integer(number) => drop(write!(body, "{number}")),
        Value::Float(number) if number.is_finite() => drop(write!(body, "{number}")),
        Value::Bool(true) => body.extend_from_slice(b"true"),
        Value::Bool(false) => body.extend_from_slice(b"false"),
        Value::Json(text) => body.extend_from_slice(text.as_bytes()),
        // JSON has no NaN and no infinity.
        Value::Float(_) | Value::Null => body.extend_from_slice(b"null"),
    }
}

/// Makes an object of the members that were added since `begin`: the first one's comma becomes the brace.
pub fn enclose(begin: usize, body: &mut Vec<u8>) {
    match body.get_mut(begin) {
        Some(comma) => *comma = b'{',
        None => body.push(b'{'),
    }
    body.push(b'}');
}

/// Adds the members of a record, each with a comma before it: the fields of its origin, then what the line says.
pub fn members(record: &Record<'_>, body: &mut Vec<u8>) {
    for (name, text) in &record.origin.fields {
        body.push(b',');
        key(name, body);
        string(text.as_bytes(), body);
    }
    match record.body {
        Body::Line(line) => {
            body.push(b',');
            key(&record.origin.line_key, body);
            string(line, body);
        }
        Body::Json(json) => {
            for piece in json.members.iter().filter(|piece| !piece.is_empty()) {
                body.push(b',');
                on_one_line(piece.as_bytes(), body);
            }
        }
        Body::Fields(fields) => {
            for Field { name, value: what } in fields {
                body.push(b',');
                key(name, body);
                value(what, body);
            }
        }
    }
}

/// Adds valid JSON. Where it was written in several lines, these line ends stand between its tokens: as blanks they mean
/// the same, and do not end a record.
fn on_one_line(text: &[u8], body: &mut Vec<u8>) {
    let begin = body.len();
    body.extend_from_slice(text);
    if memchr::memchr(b'\n', text).is_some() {
        body[begin..].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        string(text, &mut body);
        body
    }

    #[test]
    fn json_of_several_lines_is_one() {
        let mut body = Vec::new();
        on_one_line(b"\"a\": {\n  \"b\": \"\\n\"\n}", &mut body);
        assert_eq!(body, b"\"a\": {   \"b\": \"\\n\" }");
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in ".{0,80}") {
            let back: String = serde_json::from_slice(&escaped(text.as_bytes())).unwrap();
            prop_assert_eq!(back, text);
        }

        #[test]
        fn quotes_and_controls_are_escaped_wherever_they_are(text in "[a\"\\\\\n\t\u{1}\u{1f}\u{7f}é]{0,80}") {
            let back: String = serde_json::from_slice(&escaped(text.as_bytes())).unwrap();
            prop_assert_eq!(back, text);
        }

        #[test]
        fn any_bytes_become_valid_json(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let back: String = serde_json::from_slice(&escaped(&bytes)).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&bytes));
        }
    }
}
