//! Writing MessagePack: what the forward protocol needs of it, straight into a body.
//!
//! By hand, because objects and arrays of a JSON line are written before their length is known, which no crate does.

use crate::{
    record::{Body, Field, Record, Time, Value},
    walk::{Text, Token, Walk},
};

pub(super) fn array(count: usize, body: &mut Vec<u8>) {
    sized(count, &ARRAY, body);
}

pub(super) fn map(count: usize, body: &mut Vec<u8>) {
    sized(count, &MAP, body);
}

/// Text is written as it is, also where it is no UTF-8: receivers pass it on.
pub(super) fn text(text: &[u8], body: &mut Vec<u8>) {
    sized(text.len(), &TEXT, body);
    body.extend_from_slice(text);
}

/// How a length is announced: in the first byte, or in one, two or four more.
struct Marks {
    first: u8,
    /// The largest length the first byte has room for.
    most: usize,
    one: Option<u8>,
    two: u8,
    four: u8,
}

const ARRAY: Marks = Marks { first: 0x90, most: 15, one: None, two: 0xdc, four: 0xdd };
const MAP: Marks = Marks { first: 0x80, most: 15, one: None, two: 0xde, four: 0xdf };
const TEXT: Marks = Marks { first: 0xa0, most: 31, one: Some(0xd9), two: 0xda, four: 0xdb };

fn sized(count: usize, marks: &Marks, body: &mut Vec<u8>) {
    match (count, marks.one) {
        // It fits: `most` is less than what the bits leave room for.
        (count, _) if count <= marks.most => body.push(marks.first | count as u8),
        (0..=0xff, Some(mark)) => body.extend_from_slice(&[mark, count as u8]),
        (0..=0xffff, _) => {
            body.push(marks.two);
            body.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            body.push(marks.four);
            body.extend_from_slice(&(count as u32).to_be_bytes());
        }
    }
}

/// A place for the length of what follows, four bytes of it: filled in by [`set_length`].
pub(super) fn open_binary(body: &mut Vec<u8>) -> usize {
    body.push(0xc6);
    body.extend_from_slice(&[0; 4]);
    body.len()
}

pub(super) fn open_array(body: &mut Vec<u8>) -> usize {
    body.push(ARRAY.four);
    body.extend_from_slice(&[0; 4]);
    body.len()
}

/// `at` is what opening it returned.
pub(super) fn set_length(length: usize, at: usize, body: &mut [u8]) {
    body[at - 4..at].copy_from_slice(&(length as u32).to_be_bytes());
}

pub(super) fn integer(number: i64, body: &mut Vec<u8>) {
    match number {
        0.. => unsigned(number.cast_unsigned(), body),
        -32..=-1 => body.push(number as u8),
        -0x80..=-33 => body.extend_from_slice(&[0xd0, number as u8]),
        -0x8000..=-0x81 => {
            body.push(0xd1);
            body.extend_from_slice(&(number as i16).to_be_bytes());
        }
        -0x8000_0000..=-0x8001 => {
            body.push(0xd2);
            body.extend_from_slice(&(number as i32).to_be_bytes());
        }
        _ => {
            body.push(0xd3);
            body.extend_from_slice(&number.to_be_bytes());
        }
    }
}

fn unsigned(number: u64, body: &mut Vec<u8>) {
    match number {
        0..=0x7f => body.push(number as u8),
        0x80..=0xff => body.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            body.push(0xcd);
            body.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            body.push(0xce);
            body.extend_from_slice(&(number as u32).to_be_bytes());
        }
        _ => {
            body.push(0xcf);
            body.extend_from_slice(&number.to_be_bytes());
        }
    }
}

fn float(number: f64, body: &mut Vec<u8>) {
    body.push(0xcb);
    body.extend_from_slice(&number.to_be_bytes());
}

pub(super) fn bool(value: bool, body: &mut Vec<u8>) {
    body.push(0xc2 | u8::from(value));
}

fn nil(body: &mut Vec<u8>) {
    body.push(0xc0);
}

/// The protocol's own type: seconds and nanoseconds, of 1970 to 2106.
pub(super) fn event_time(time: Time, body: &mut Vec<u8>) {
    let seconds = u32::try_from(time.0.div_euclid(1_000_000_000).max(0)).unwrap_or(u32::MAX);
    body.extend_from_slice(&[0xd7, 0x00]);
    body.extend_from_slice(&seconds.to_be_bytes());
    body.extend_from_slice(&(time.0.rem_euclid(1_000_000_000) as u32).to_be_bytes());
}

/// A record's fields as a map: those of its origin, then what the line says. `open` is memory to use.
pub(super) fn record(record: &Record<'_>, open: &mut Vec<Open>, body: &mut Vec<u8>) {
    let own = &record.origin.fields;
    match record.body {
        Body::Line(line) => named_line(record, line, body),
        Body::Fields(fields) => {
            map(own.len() + fields.len(), body);
            own.iter().for_each(|(name, said)| pair(name, said, body));
            for Field { name, value: what } in fields {
                text(name.as_bytes(), body);
                value(what, open, body);
            }
        }
        Body::Json(json) => {
            let from = body.len();
            let mut object = Transcoder::new(open, body);
            object.begin(true);
            for (name, said) in own {
                object.count();
                pair(name, said, object.body);
            }
            let is_whole = json.members.iter().all(|piece| object.all(piece)) && object.end() && object.open.is_empty();
            if !is_whole {
                // It is no JSON object after all.
                body.truncate(from);
                named_line(record, record.raw, body);
            }
        }
    }
}

fn named_line(record: &Record<'_>, line: &[u8], body: &mut Vec<u8>) {
    let own = &record.origin.fields;
    map(own.len() + 1, body);
    own.iter().for_each(|(name, said)| pair(name, said, body));
    text(record.origin.line_key.as_bytes(), body);
    text(line, body);
}

fn pair(name: &str, said: &str, body: &mut Vec<u8>) {
    text(name.as_bytes(), body);
    text(said.as_bytes(), body);
}

fn value(value: &Value<'_>, open: &mut Vec<Open>, body: &mut Vec<u8>) {
    match value {
        Value::Text(said) => text(said.as_bytes(), body),
        Value::Integer(number) => integer(*number, body),
        Value::Float(number) => float(*number, body),
        Value::Bool(value) => bool(*value, body),
        Value::Null => nil(body),
        Value::Json(json) => {
            let from = body.len();
            let mut value = Transcoder::new(open, body);
            if !(value.all(json) && value.open.is_empty()) {
                body.truncate(from);
                text(json.as_bytes(), body);
            }
        }
    }
}

/// JSON into MessagePack, token by token. Lengths are filled in when they are known.
struct Transcoder<'b> {
    open: &'b mut Vec<Open>,
    body: &'b mut Vec<u8>,
}

/// An object or array that is not closed yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    at: usize,
    count: u32,
    has_names: bool,
}

impl<'b> Transcoder<'b> {
    fn new(open: &'b mut Vec<Open>, body: &'b mut Vec<u8>) -> Self {
        open.clear();
        Self { open, body }
    }

    /// Two bytes for the length are enough for nearly all of them.
    fn begin(&mut self, has_names: bool) {
        self.open.push(Open { at: self.body.len(), count: 0, has_names });
        self.body.extend_from_slice(&[if has_names { MAP.two } else { ARRAY.two }, 0, 0]);
    }

    fn count(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.count += 1;
        }
    }

    fn end(&mut self) -> bool {
        let Some(Open { at, count, has_names }) = self.open.pop() else { return false };
        if let Ok(count) = u16::try_from(count) {
            self.body[at + 1..at + 3].copy_from_slice(&count.to_be_bytes());
        } else {
            self.body[at] = if has_names { MAP.four } else { ARRAY.four };
            self.body.splice(at + 1..at + 3, count.to_be_bytes());
        }
        true
    }

    /// Whether it was all valid.
    fn all(&mut self, json: &str) -> bool {
        let mut walk = Walk::new(json);
        let mut awaits_value = false;
        for token in walk.by_ref() {
            let is_named = self.open.last().is_some_and(|open| open.has_names);
            let is_in_place = match token {
                Token::Name(_) | Token::End => !awaits_value && (is_named || token == Token::End),
                _ => awaits_value == is_named,
            };
            if !is_in_place {
                return false;
            }
            awaits_value = matches!(token, Token::Name(_));
            // Of a member the name counts, of an array each value.
            if awaits_value || (!is_named && token != Token::End) {
                self.count();
            }
            match token {
                Token::Object => self.begin(true),
                Token::Array => self.begin(false),
                Token::End if !self.end() => return false,
                Token::End => {}
                Token::Name(said) | Token::Text(said) => self.text(&said),
                Token::Number(number) => self.number(number),
                Token::Bool(value) => bool(value, self.body),
                Token::Null => nil(self.body),
            }
        }
        walk.is_done() && !awaits_value
    }

    fn text(&mut self, said: &Text<'_>) {
        if !said.has_escapes {
            return text(said.inside.as_bytes(), self.body);
        }
        // What it says is never longer than how it is written: the place for the longer length will do.
        let at = self.body.len();
        sized(said.inside.len(), &TEXT, self.body);
        let from = self.body.len();
        said.unescape(self.body);
        let length = self.body.len() - from;
        match from - at {
            1 => self.body[at] = TEXT.first | length as u8,
            2 => self.body[at + 1] = length as u8,
            3 => self.body[at + 1..from].copy_from_slice(&(length as u16).to_be_bytes()),
            _ => self.body[at + 1..from].copy_from_slice(&(length as u32).to_be_bytes()),
        }
    }

    fn number(&mut self, written: &str) {
        if let Some(number) = short_integer(written) {
            integer(number, self.body);
        } else if let Ok(number) = written.parse() {
            integer(number, self.body);
        } else if let Ok(number) = written.parse() {
            unsigned(number, self.body);
        } else if let Ok(number) = written.parse::<f64>() {
            float(number, self.body);
        } else {
            text(written.as_bytes(), self.body);
        }
    }
}

/// Most numbers, without the care that the others need.
fn short_integer(written: &str) -> Option<i64> {
    let (is_negative, digits) = match written.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let number = digits
        .iter()
        .try_fold(0, |number: i64, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))?;
    Some(if is_negative { -number } else { number })
}

#[cfg(test)]
mod tests;
