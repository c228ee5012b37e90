//! One message, looked at closely.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use rmpv::{Value, decode::read_value};

use super::Received;

/// How the records of a message are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Message,
    Forward,
    PackedForward,
    CompressedPackedForward,
}

/// Its records and its chunk.
pub(super) fn read(message: &Value, connection: usize) -> Result<(Vec<Received>, Option<String>), String> {
    let parts = message.as_array().ok_or_else(|| format!("expected an array, found {message}"))?;
    let tag = parts.first().and_then(Value::as_str).ok_or("expected a tag first")?;
    let (mode, entries, option) = match parts.as_slice() {
        [_, Value::Array(entries)] => (Mode::Forward, pairs(entries)?, None),
        [_, Value::Array(entries), option] => (Mode::Forward, pairs(entries)?, Some(option)),
        [_, Value::Binary(packed)] => (Mode::PackedForward, unpack(packed)?, None),
        [_, Value::Binary(packed), option] => match text(option, "compressed") {
            None => (Mode::PackedForward, unpack(packed)?, Some(option)),
            Some("gzip") => {
                let mut plain = Vec::new();
                let mut decoder = MultiGzDecoder::new(packed.as_slice());
                decoder.read_to_end(&mut plain).map_err(|error| format!("no gzip: {error}"))?;
                (Mode::CompressedPackedForward, unpack(&plain)?, Some(option))
            }
            Some(other) => return Err(format!("compressed with {other}")),
        },
        [_, time, record] => (Mode::Message, vec![(time.clone(), record.clone())], None),
        [_, time, record, option] => (Mode::Message, vec![(time.clone(), record.clone())], Some(option)),
        _ => return Err(format!("an array of {} is no message", parts.len())),
    };
    let option = option.unwrap_or(&Value::Nil);
    check(option, entries.len())?;
    let chunk = text(option, "chunk").map(str::to_owned);
    let received = entries.into_iter().map(|(time, record)| {
        Ok(Received {
            tag: tag.to_owned(),
            time: read_time(&time)?,
            record: as_json(&record),
            mode,
            chunk: chunk.clone(),
            connection,
        })
    });
    Ok((received.collect::<Result<_, String>>()?, chunk))
}

fn unpack(mut bytes: &[u8]) -> Result<Vec<(Value, Value)>, String> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        entries.push(read_value(&mut bytes).map_err(|error| format!("an entry cannot be read: {error}"))?);
    }
    pairs(&entries)
}

fn pairs(entries: &[Value]) -> Result<Vec<(Value, Value)>, String> {
    let pair = |entry: &Value| match entry.as_array().map(Vec::as_slice) {
        Some([time, record]) if record.is_map() => Ok((time.clone(), record.clone())),
        _ => Err(format!("expected a time and a record, found {entry}")),
    };
    entries.iter().map(pair).collect()
}

fn read_time(time: &Value) -> Result<(i64, Option<u32>), String> {
    match time {
        Value::Integer(seconds) => Ok((seconds.as_i64().unwrap_or_default(), None)),
        Value::Ext(0, bytes) if bytes.len() == 8 => {
            let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            let nanos = number(4);
            if nanos < 1_000_000_000 {
                Ok((number(0).into(), Some(nanos)))
            } else {
                Err(format!("{nanos} nanoseconds"))
            }
        }
        other => Err(format!("expected an EventTime or a whole number, found {other}")),
    }
}

fn check(option: &Value, entries: usize) -> Result<(), String> {
    let Some(map) = option.as_map() else {
        return if option.is_nil() { Ok(()) } else { Err(format!("expected options, found {option}")) };
    };
    for (name, value) in map {
        let is_right = match name.as_str() {
            Some("size") => value.as_u64() == Some(entries as u64),
            Some("chunk") => value.as_str().is_some_and(is_id),
            Some("compressed") => value.as_str() == Some("gzip"),
            _ => false,
        };
        if !is_right {
            return Err(format!("option {name} is {value}, of {entries} entries"));
        }
    }
    Ok(())
}

/// 128 bits in base64.
fn is_id(text: &str) -> bool {
    let digits = text.strip_suffix("==").unwrap_or_default();
    digits.len() == 22 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn text<'a>(map: &'a Value, name: &str) -> Option<&'a str> {
    map.as_map()?.iter().find(|(known, _)| known.as_str() == Some(name))?.1.as_str()
}

/// Bytes that are no text are shown as such.
fn as_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Boolean(value) => (*value).into(),
        Value::Integer(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_u64().into(),
        },
        Value::F64(number) => (*number).into(),
        Value::String(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        Value::Array(items) => items.iter().map(as_json).collect(),
        Value::Map(pairs) => {
            let named = |(name, value): &(Value, Value)| (name.as_str().unwrap_or("?").to_owned(), as_json(value));
            serde_json::Value::Object(pairs.iter().map(named).collect())
        }
        Value::Nil => serde_json::Value::Null,
        other => format!("{other:?}").into(),
    }
}
