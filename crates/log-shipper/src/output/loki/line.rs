//! What a record is as one line of text.

use std::borrow::Cow;

use super::Line;
use crate::{
    json,
    record::{Body, Record, Value},
    walk::{Token, Walk},
};

/// Adds the line.
pub(super) fn write(line: Line, record: &Record<'_>, out: &mut Vec<u8>) {
    match line {
        Line::Raw => match std::str::from_utf8(record.raw) {
            Ok(_) => out.extend_from_slice(record.raw),
            Err(_) => out.extend_from_slice(String::from_utf8_lossy(record.raw).as_bytes()),
        },
        Line::Json => {
            let begin = out.len();
            json::members(record, out);
            json::enclose(begin, out);
        }
        Line::Logfmt => logfmt(record, out),
    }
}

fn logfmt(record: &Record<'_>, out: &mut Vec<u8>) {
    let mut pairs = Pairs { out, is_first: true };
    for (name, text) in &record.origin.fields {
        pairs.text(name, text);
    }
    match record.body {
        Body::Line(line) => pairs.text(&record.origin.line_key, &String::from_utf8_lossy(line)),
        Body::Fields(fields) => fields.iter().for_each(|field| pairs.value(field.name, &field.value)),
        Body::Json(json) => {
            for piece in json.members {
                let mut walk = Walk::new(piece);
                while let Some(Token::Name(name)) = walk.next() {
                    let Some(value) = walk.value() else { break };
                    let mut said = Vec::new();
                    name.unescape(&mut said);
                    pairs.value(&String::from_utf8_lossy(&said), &Value::Json(value));
                }
            }
        }
    }
}

struct Pairs<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl Pairs<'_> {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        match value {
            Value::Text(text) => self.text(name, text),
            Value::Integer(number) => self.text(name, &number.to_string()),
            Value::Float(number) => self.text(name, &number.to_string()),
            Value::Bool(yes) => self.text(name, &yes.to_string()),
            Value::Null => self.text(name, "null"),
            Value::Json(json) => match Walk::new(json).next() {
                Some(Token::Text(text)) => {
                    let mut said = Vec::new();
                    text.unescape(&mut said);
                    self.text(name, &String::from_utf8_lossy(&said));
                }
                _ => self.text(name, json),
            },
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(key(name).as_bytes());
        self.out.push(b'=');
        if text.chars().any(is_special) {
            json::string(text.as_bytes(), self.out);
        } else {
            self.out.extend_from_slice(text.as_bytes());
        }
    }
}

/// What ends a key or a value, and so has to be quoted.
fn is_special(char: char) -> bool {
    char <= ' ' || matches!(char, '=' | '"' | '\\' | '\u{7f}')
}

/// Keys cannot be quoted.
fn key(name: &str) -> Cow<'_, str> {
    match name.is_empty() || name.contains(is_special) {
        false => Cow::Borrowed(name),
        true if name.is_empty() => Cow::Borrowed("_"),
        true => Cow::Owned(name.replace(is_special, "_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Field, Json, Origin, Time};

    fn written(line: Line, raw: &[u8], body: Body<'_>) -> String {
        let origin = Origin {
            tag: "t".into(),
            path: "/p".into(),
            fields: vec![("host".into(), "h 1".into())],
            line_key: "message".into(),
        };
        let mut out = b"before ".to_vec();
        write(line, &Record { origin: &origin, file: 0, offset: 0, raw, time: Time(0), body }, &mut out);
        String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned()
    }

    #[test]
    fn a_line_is_raw_or_json_or_logfmt() {
        let fields = [
            Field { name: "a b", value: Value::Text("x=\"y\"\n") },
            Field { name: "n", value: Value::Integer(1) },
            Field { name: "e", value: Value::Text("") },
        ];
        let body = Body::Fields(&fields);
        assert_eq!(written(Line::Raw, b"as it\xff is", body), "as it\u{fffd} is");
        assert_eq!(written(Line::Json, b"", body), r#"{"host":"h 1","a b":"x=\"y\"\n","n":1,"e":""}"#);
        assert_eq!(written(Line::Logfmt, b"", body), r#"host="h 1" a_b="x=\"y\"\n" n=1 e="#);
        let members = [r#""k":"v\u0041 w","o":{"a":1},"b":true"#, r#""z":null"#];
        let body = Body::Json(Json { members, has_timestamp: false });
        assert_eq!(written(Line::Logfmt, b"", body), r#"host="h 1" k="vA w" o="{\"a\":1}" b=true z=null"#);
        assert_eq!(written(Line::Logfmt, b"", Body::Line(b"a b")), r#"host="h 1" message="a b""#);
    }
}
