//! The name of the index: fixed, by the date, or by what the record says.

use std::{fmt, str::FromStr};

use crate::{
    parse::time::Pattern,
    record::{Record, Time, Value},
};

/// `nginx-logs`, `logs-%Y.%m.%d`, `logs-{service}`, `logs-{service:other}-%Y.%m`, `logs-{tag}`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Index {
    spelled: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As strftime has it; also what is fixed.
    Date(Pattern),
    /// What a field says, made fit for a name.
    Field { name: String, otherwise: String },
}

/// What a name has where its field is not in the record.
const OTHERWISE: &str = "unknown";
/// The server takes 255 bytes, and templates and rollover add some.
const LONGEST: usize = 200;
/// How often it is looked whether the date is another: no pattern of an index is finer than a minute.
const MINUTE: i64 = 60 * 1_000_000_000;

impl Index {
    /// A name that is the same for all records.
    pub fn fixed(name: &str) -> Result<Self, String> {
        name.replace('%', "%%").parse()
    }

    /// Whether what a record says makes a difference.
    pub fn is_of_the_record(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Field { .. }))
    }

    /// Whether the time makes a difference.
    fn has_date(&self) -> bool {
        let dates = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Date(pattern) => Some(pattern),
            Piece::Field { .. } => None,
        });
        let written = |time: i64| {
            let mut text = String::new();
            dates.clone().for_each(|pattern| pattern.write(Time(time), &mut text));
            text
        };
        // Two moments that have nothing in common, down to the weekday.
        written(0) != written(1_795_238_396_154_000_000)
    }

    fn write(&self, record: &Record<'_>, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Date(pattern) => pattern.write(record.time, out),
                Piece::Field { name, otherwise } => {
                    let before = out.len();
                    said(record, name, out);
                    if out.len() == before {
                        out.push_str(otherwise);
                    }
                }
            }
        }
        if let Some((end, _)) = out.char_indices().find(|(at, char)| at + char.len_utf8() > LONGEST) {
            out.truncate(end);
        }
    }
}

impl FromStr for Index {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((date, field)) = rest.split_once('{') {
            let (field, after) =
                field.split_once('}').ok_or_else(|| format!("`{{{field}` has no end, expected {{FIELD}}"))?;
            let (name, otherwise) = field.split_once(':').unwrap_or((field, OTHERWISE));
            if name.is_empty() || !is_fit(otherwise) {
                return Err(format!("`{{{field}}}`: expected {{FIELD}}, or {{FIELD:WHAT-ELSE}} in lower case"));
            }
            pieces.push(Piece::Date(Pattern::new(date)?));
            pieces.push(Piece::Field { name: name.into(), otherwise: otherwise.into() });
            rest = after;
        }
        pieces.push(Piece::Date(Pattern::new(rest)?));
        let index = Self { spelled: text.into(), pieces };
        let mut name = String::new();
        let date = |piece: &Piece| match piece {
            Piece::Date(pattern) => Some(pattern.clone()),
            Piece::Field { .. } => None,
        };
        // What a field says is made fit; what was typed has to be.
        index.pieces.iter().filter_map(date).for_each(|pattern| pattern.write(Time(0), &mut name));
        let starts_with_field = matches!(index.pieces.get(..2), Some([first, Piece::Field { .. }])
            if date(first).is_some_and(|pattern| Pattern::new("").is_ok_and(|empty| empty == pattern)));
        let begins_badly = name.starts_with(['-', '_', '+']) && !starts_with_field;
        if begins_badly
            || !is_fit(&name)
            || (name.is_empty() && !index.is_of_the_record())
            || name == "."
            || name == ".."
        {
            return Err("expected an index name: lower case, without spaces, quotes and any of \\/*?<>|,#: \
                        and not beginning with - _ or +"
                .into());
        }
        Ok(index)
    }
}

/// As it was typed.
impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

/// Whether every character can stand in the name of an index.
fn is_fit(text: &str) -> bool {
    text.chars().all(|char| fit(char) == Some(char))
}

/// The character as it can stand in the name of an index, if there is a way.
fn fit(char: char) -> Option<char> {
    match char {
        '\\' | '/' | '*' | '?' | '"' | '<' | '>' | '|' | ',' | '#' | ':' => None,
        char if char.is_whitespace() || char.is_control() => None,
        char if char.is_uppercase() => char.to_lowercase().next().filter(|lower| !lower.is_uppercase()),
        char => Some(char),
    }
}

/// Where no field has this name, it is the tag.
const TAG: &str = "tag";

/// Adds what a field says, as far as it can be part of a name.
fn said(record: &Record<'_>, name: &str, out: &mut String) {
    let before = out.len();
    record.look_up(name, |value| match &value {
        Value::Text(text) => add_fit(text, out),
        Value::Integer(number) => add_fit(&number.to_string(), out),
        Value::Float(number) => add_fit(&number.to_string(), out),
        Value::Bool(yes) => add_fit(&yes.to_string(), out),
        Value::Json(_) | Value::Null => {}
    });
    if name == TAG && out.len() == before {
        add_fit(&record.origin.tag, out);
    }
}

fn add_fit(text: &str, out: &mut String) {
    let text = if out.is_empty() { text.trim_start_matches(['-', '_', '+', '.']) } else { text };
    out.extend(text.chars().map(|char| fit(char).unwrap_or('-')));
}

/// Names of indices, one record after the other: written anew only when they change.
pub(super) struct Namer {
    index: Index,
    has_date: bool,
    is_of_the_record: bool,
    minute: Option<i64>,
    name: String,
    next: String,
}

impl Namer {
    pub(super) fn new(index: Index) -> Self {
        let (has_date, is_of_the_record) = (index.has_date(), index.is_of_the_record());
        Self { index, has_date, is_of_the_record, minute: None, name: String::new(), next: String::new() }
    }

    /// The name for this record, if it is not that of the one before.
    pub(super) fn other(&mut self, record: &Record<'_>) -> Option<&str> {
        let minute = if self.has_date { record.time.0.div_euclid(MINUTE) } else { 0 };
        if !self.is_of_the_record && self.minute == Some(minute) {
            return None;
        }
        let is_first = self.minute.replace(minute).is_none();
        self.next.clear();
        self.index.write(record, &mut self.next);
        if self.next == self.name && !is_first {
            return None;
        }
        std::mem::swap(&mut self.next, &mut self.name);
        Some(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Body, Field, Json, Origin};

    fn names(index: &str, bodies: &[(i64, Body<'_>)]) -> Vec<Option<String>> {
        let origin = Origin {
            tag: "app".into(),
            path: "/a".into(),
            fields: vec![("cluster".into(), "East 1".into())],
            line_key: "message".into(),
        };
        let mut namer = Namer::new(index.parse().unwrap());
        let record = |(seconds, body): &(i64, Body<'_>)| {
            let time = Time(seconds * 1_000_000_000);
            let record = Record { origin: &origin, file: 1, offset: 0, raw: b"", time, body: *body };
            namer.other(&record).map(str::to_owned)
        };
        bodies.iter().map(record).collect()
    }

    #[test]
    fn a_name_is_told_once() {
        let line = Body::Line(b"x");
        assert_eq!(names("nginx-logs", &[(0, line), (999_999, line)]), [Some("nginx-logs".into()), None]);
    }

    #[test]
    fn a_new_day_is_a_new_name() {
        let line = Body::Line(b"x");
        let days = [(86_399, line), (86_399, line), (86_400, line), (86_460, line), (0, line)];
        let wanted = [Some("logs-1970.01.01"), None, Some("logs-1970.01.02"), None, Some("logs-1970.01.01")];
        assert_eq!(names("logs-%Y.%m.%d", &days), wanted.map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn what_a_record_says_is_made_fit() {
        let fields = [Field { name: "service", value: Value::Text("Order Desk/2") }];
        let number = [Field { name: "service", value: Value::Integer(7) }];
        let json = Json { members: [r#""a":{"service":"no"},"service":"\u0041b""#, ""], has_timestamp: false };
        let bodies = [
            Body::Fields(&fields),
            Body::Fields(&fields),
            Body::Fields(&number),
            Body::Json(json),
            Body::Line(b"service"),
        ]
        .map(|body| (0, body));
        let wanted =
            [Some("logs-order-desk-2-1970"), None, Some("logs-7-1970"), Some("logs-ab-1970"), Some("logs-other-1970")];
        assert_eq!(names("logs-{service:other}-%Y", &bodies), wanted.map(|name| name.map(str::to_owned)));
        assert_eq!(names("{cluster}", &[(0, Body::Line(b""))]), [Some("east-1".into())]);
        assert_eq!(names("{tag}-%Y", &[(0, Body::Line(b""))]), [Some("app-1970".into())]);
        assert_eq!(names("{nothing}", &[(0, Body::Line(b""))]), [Some("unknown".into())]);
    }

    #[test]
    fn what_no_index_can_be_called_is_refused() {
        for index in ["", "Logs", "a b", "-a", "_a", "a/b", "a*", "..", "{", "{}", "{a", "{a:B}", "%!", "a:b", "a\"b"] {
            assert!(index.parse::<Index>().is_err(), "{index:?}");
        }
        for index in ["a", ".hidden", "logs-%Y.%m.%d", "{a}", "{a}-b", "{a:b}-%d", "é", "a-{b}_{c}"] {
            assert!(index.parse::<Index>().is_ok(), "{index:?}: {:?}", index.parse::<Index>());
        }
        assert_eq!(Index::fixed("100%").map(|index| index.has_date()), Ok(false));
    }
}
