//! Text that is filled in for each record: what is fixed, the tag, the path, fields of the record.

use std::{fmt, str::FromStr};

use crate::record::{Record, Value};

/// `app`, `{tag}`, `{path}`, `{level}`, `{level:unknown}`, `{namespace}/{pod}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    spelled: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Tag,
    Path,
    /// What stands there instead where the record does not have it. Without that, there is no label at all.
    Field(String, Option<String>),
}

impl Template {
    pub fn tag() -> Self {
        Self { spelled: "{tag}".into(), pieces: vec![Piece::Tag] }
    }

    pub fn path() -> Self {
        Self { spelled: "{path}".into(), pieces: vec![Piece::Path] }
    }

    /// What a field of the record says.
    pub fn field(name: &str) -> Self {
        Self { spelled: format!("{{{name}}}"), pieces: vec![Piece::Field(name.into(), None)] }
    }

    /// The same for all records, whatever is in it.
    pub fn text(text: &str) -> Self {
        Self { spelled: text.into(), pieces: vec![Piece::Text(text.into())] }
    }

    /// Whether two records of one file may differ in it.
    pub(super) fn is_of_the_record(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Field(..)))
    }

    /// Whether the record has all of it.
    pub(super) fn write(&self, record: &Record<'_>, out: &mut String) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Text(text) => push(text, out),
            Piece::Tag => push(&record.origin.tag, out),
            Piece::Path => push(&record.origin.path, out),
            Piece::Field(name, otherwise) => {
                said(record, name, out) || otherwise.as_ref().is_some_and(|text| push(text, out))
            }
        })
    }
}

fn push(text: &str, out: &mut String) -> bool {
    out.push_str(text);
    true
}

fn said(record: &Record<'_>, name: &str, out: &mut String) -> bool {
    let before = out.len();
    record.look_up(name, |value| match value {
        Value::Text(text) | Value::Json(text) => out.push_str(text),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&number.to_string()),
        Value::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
        Value::Null => {}
    });
    out.len() > before
}

impl FromStr for Template {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected text with {tag}, {path}, {FIELD} or {FIELD:WHAT-ELSE} in it";
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, after) = after.split_once('}').ok_or(EXPECTED)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(match inside.split_once(':') {
                None if inside == "tag" => Piece::Tag,
                None if inside == "path" => Piece::Path,
                None => Piece::Field(inside.into(), None),
                Some((name, otherwise)) => Piece::Field(name.into(), Some(otherwise.into())),
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        let is_nameless = |piece: &Piece| matches!(piece, Piece::Field(name, _) if name.is_empty());
        if pieces.is_empty() || rest.contains('}') || pieces.iter().any(is_nameless) {
            return Err(EXPECTED);
        }
        Ok(Self { spelled: text.into(), pieces })
    }
}

/// As it was typed.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.spelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["", "{", "{}", "a}", "{a", "{:x}"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }
}
