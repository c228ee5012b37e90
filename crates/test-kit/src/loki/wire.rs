//! A push request in protobuf, as `pkg/push/push.proto` of Loki defines it.

use std::collections::BTreeMap;

use super::Entry;

/// Streams. None where it is not exactly as defined.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Vec<Entry>>> {
    fields(bytes)?.into_iter().map(|field| stream(field.of(1)?)).collect()
}

fn stream(bytes: &[u8]) -> Option<Vec<Entry>> {
    let fields = fields(bytes)?;
    let (first, rest) = fields.split_first()?;
    let labels = labels(std::str::from_utf8(first.of(1)?).ok()?)?;
    rest.iter().map(|field| entry(field.of(2)?, &labels)).collect()
}

fn entry(bytes: &[u8], labels: &BTreeMap<String, String>) -> Option<Entry> {
    let fields = fields(bytes)?;
    let [time, line, pairs @ ..] = fields.as_slice() else { return None };
    let pair = |field: &Field<'_>| match self::fields(field.of(3)?)?.as_slice() {
        [name, value] => Some((text(name, 1)?, text(value, 2)?)),
        _ => None,
    };
    Some(Entry {
        labels: labels.clone(),
        time: timestamp(time.of(1)?)?,
        line: text(line, 2)?,
        metadata: pairs.iter().map(pair).collect::<Option<_>>()?,
    })
}

fn timestamp(bytes: &[u8]) -> Option<i64> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in fields(bytes)? {
        match field {
            Field::Number(1, number) => seconds = number.cast_signed(),
            Field::Number(2, number) => nanos = i64::try_from(number).ok().filter(|nanos| *nanos < 1_000_000_000)?,
            _ => return None,
        }
    }
    Some(seconds * 1_000_000_000 + nanos)
}

fn text(field: &Field<'_>, number: u64) -> Option<String> {
    String::from_utf8(field.of(number)?.to_vec()).ok()
}

/// `{a="b",c="d\"e"}`, with the escapes of Go.
fn labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let is_fit =
            |at: usize, byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (at > 0 && byte.is_ascii_digit());
        name.bytes().enumerate().all(|(at, byte)| is_fit(at, byte)).then_some(())?;
        // These escapes are JSON's as well.
        let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
        labels.insert(name.to_owned(), values.next()?.ok()?);
        rest = &value[values.byte_offset()..];
        rest = if rest.is_empty() { rest } else { rest.strip_prefix(',')? };
    }
    Some(labels)
}

enum Field<'a> {
    Number(u64, u64),
    Bytes(u64, &'a [u8]),
}

impl<'a> Field<'a> {
    fn of(&self, wanted: u64) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(number, bytes) if *number == wanted => Some(bytes),
            _ => None,
        }
    }
}

fn fields(mut bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let mark = varint(&mut bytes)?;
        let value = varint(&mut bytes)?;
        fields.push(match mark & 7 {
            0 => Field::Number(mark >> 3, value),
            2 => {
                let (inside, rest) = bytes.split_at_checked(usize::try_from(value).ok()?)?;
                bytes = rest;
                Field::Bytes(mark >> 3, inside)
            }
            _ => return None,
        });
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
