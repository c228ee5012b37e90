//! One line per record as somebody wants it: text, the tag, the time, the fields.

use std::{io::Write, sync::Arc};

use crate::{
    json,
    parse::time::Pattern,
    record::{Body, Record, Time, Value},
    walk::{Token, Walk},
};

/// What a line is made of, in its order.
pub type Layout = Arc<[Piece]>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Tag,
    /// The line as it was.
    Raw,
    /// Seconds since 1970, with so many digits after the point.
    Epoch(u8),
    EpochMillis,
    Date(Pattern),
    /// The fields as an object: `{"a":"b"}`.
    Object,
    /// The fields as members that come after others: `,"a":"b"`.
    Members,
    /// The fields as Ruby prints them: `{"a"=>"b"}`. For eyes only: quotes in values stay as they are.
    Arrows,
    /// How many records of this body were before it.
    Count,
}

/// Adds the line, without its end.
pub(super) fn write(layout: &[Piece], count: usize, record: &Record<'_>, out: &mut Vec<u8>) {
    for piece in layout {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Tag => out.extend_from_slice(record.origin.tag.as_bytes()),
            Piece::Raw => out.extend_from_slice(record.raw),
            Piece::Epoch(digits) => epoch(record.time, *digits, out),
            Piece::EpochMillis => number(record.time.0.div_euclid(1_000_000), out),
            Piece::Date(pattern) => {
                let mut text = String::new();
                pattern.write(record.time, &mut text);
                out.extend_from_slice(text.as_bytes());
            }
            Piece::Object => object(record, out),
            Piece::Members => json::members(record, out),
            Piece::Arrows => arrows(record, out),
            Piece::Count => number(count, out),
        }
    }
}

fn number(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    // A vector takes all that is written to it.
    let _ = write!(out, "{number}");
}

fn epoch(time: Time, digits: u8, out: &mut Vec<u8>) {
    const NANOS: i64 = 1_000_000_000;
    let (seconds, nanos) = (time.0.div_euclid(NANOS), time.0.rem_euclid(NANOS));
    number(seconds, out);
    if digits > 0 {
        let digits = u32::from(digits.min(9));
        let fraction = nanos / 10_i64.pow(9 - digits);
        let _ = write!(out, ".{fraction:0width$}", width = digits as usize);
    }
}

fn object(record: &Record<'_>, out: &mut Vec<u8>) {
    let begin = out.len();
    json::members(record, out);
    json::enclose(begin, out);
}

fn arrows(record: &Record<'_>, out: &mut Vec<u8>) {
    let mut separator: &[u8] = b"";
    let mut name = |name: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(std::mem::replace(&mut separator, b", "));
        quoted(name, out);
        out.extend_from_slice(b"=>");
    };
    out.push(b'{');
    for (key, text) in &record.origin.fields {
        name(key.as_bytes(), out);
        quoted(text.as_bytes(), out);
    }
    match record.body {
        Body::Line(line) => {
            name(record.origin.line_key.as_bytes(), out);
            quoted(line, out);
        }
        Body::Fields(fields) => {
            for field in fields {
                name(field.name.as_bytes(), out);
                value(&field.value, out);
            }
        }
        Body::Json(json) => {
            for piece in json.members {
                let mut walk = Walk::new(piece);
                while let Some(Token::Name(key)) = walk.next() {
                    let Some(said) = walk.value() else { break };
                    let mut text = Vec::new();
                    key.unescape(&mut text);
                    name(&text, out);
                    value(&Value::Json(said), out);
                }
            }
        }
    }
    out.push(b'}');
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => quoted(text.as_bytes(), out),
        Value::Integer(integer) => number(integer, out),
        Value::Float(float) => number(float, out),
        Value::Bool(yes) => number(yes, out),
        Value::Null => out.extend_from_slice(b"nil"),
        Value::Json(json) => nested(json, out),
    }
}

/// A JSON value, however deep.
fn nested(json: &str, out: &mut Vec<u8>) {
    // For each open object or array: how it ends, and whether it has something in it.
    let mut open: Vec<(u8, bool)> = Vec::new();
    let mut after_name = false;
    for token in Walk::new(json) {
        if token == Token::End {
            out.extend(open.pop().map(|(end, _)| end));
            continue;
        }
        if let Some((_, has_some)) = open.last_mut().filter(|_| !after_name)
            && std::mem::replace(has_some, true)
        {
            out.extend_from_slice(b", ");
        }
        after_name = false;
        match token {
            Token::Object => {
                out.push(b'{');
                open.push((b'}', false));
            }
            Token::Array => {
                out.push(b'[');
                open.push((b']', false));
            }
            Token::Name(name) => {
                out.push(b'"');
                name.unescape(out);
                out.extend_from_slice(b"\"=>");
                after_name = true;
            }
            Token::Text(text) => {
                out.push(b'"');
                text.unescape(out);
                out.push(b'"');
            }
            Token::Number(text) => out.extend_from_slice(text.as_bytes()),
            Token::Bool(yes) => number(yes, out),
            Token::Null => out.extend_from_slice(b"nil"),
            Token::End => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Field, Json, Origin};

    fn line(layout: &[Piece], body: Body<'_>) -> String {
        let origin = Origin {
            tag: "app".into(),
            path: "/a".into(),
            fields: vec![("host".into(), "h".into())],
            line_key: "log".into(),
        };
        let time = Time(1_795_238_396_154_218_303);
        let record = Record { origin: &origin, file: 0, offset: 0, raw: b"raw", time, body };
        let mut out = Vec::new();
        write(layout, 7, &record, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_piece_has_its_place() {
        let text = |text: &str| Piece::Text(text.into());
        let layout =
            [Piece::Count, text(" "), Piece::Tag, text(" "), Piece::Raw, text(" "), Piece::Epoch(6), Piece::Members];
        assert_eq!(line(&layout, Body::Line(b"x")), r#"7 app raw 1795238396.154218,"host":"h","log":"x""#);
        let layout = [Piece::EpochMillis, text(" "), Piece::Date(Pattern::new("%F %T.%6N").unwrap()), text(" ")];
        assert_eq!(line(&layout, Body::Line(b"")), "1795238396154 2026-11-21 05:19:56.154218 ");
        assert_eq!(line(&[Piece::Epoch(0), Piece::Object], Body::Line(b"x")), r#"1795238396{"host":"h","log":"x"}"#);
    }

    #[test]
    fn arrows_go_as_deep_as_the_record() {
        let arrows = |body| line(&[Piece::Arrows], body);
        assert_eq!(arrows(Body::Line(b"a \"b\"")), r#"{"host"=>"h", "log"=>"a "b""}"#);
        let json =
            Json { members: [r#""a":{"b":[1,2.5,true,null,{}],"c":"\u00e9"}"#, r#""d":[]"#], has_timestamp: false };
        let wanted = r#"{"host"=>"h", "a"=>{"b"=>[1, 2.5, true, nil, {}], "c"=>"é"}, "d"=>[]}"#;
        assert_eq!(arrows(Body::Json(json)), wanted);
        let fields = [Field { name: "n", value: Value::Integer(1) }, Field { name: "o", value: Value::Null }];
        assert_eq!(arrows(Body::Fields(&fields)), r#"{"host"=>"h", "n"=>1, "o"=>nil}"#);
    }
}
