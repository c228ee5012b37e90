//! Labels: what makes a stream. Each is a text in which the tag, the path and fields of the record may stand.

use std::{fmt, str::FromStr};

use crate::record::{Record, Value};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<(String, Template)>);

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
    fn is_of_the_record(&self) -> bool {
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

/// Whether Loki takes a label of this name.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_fit = name.bytes().next().is_some_and(is_first) && name.bytes().all(|b| is_first(b) || b.is_ascii_digit());
    if is_fit { Ok(()) } else { Err("expected a label name of letters, digits and _, not beginning with a digit") }
}

impl Labels {
    pub(super) fn are_of_the_record(&self) -> bool {
        self.0.iter().any(|(_, template)| template.is_of_the_record())
    }

    /// Calls for each that the record has. `scratch` is memory to use.
    pub(super) fn each(&self, record: &Record<'_>, scratch: &mut String, mut take: impl FnMut(&str, &str)) {
        for (name, template) in &self.0 {
            scratch.clear();
            if template.write(record, scratch) && !scratch.is_empty() {
                take(name, scratch);
            }
        }
    }

    /// Adds them as Loki writes a stream: `{job="app",level="info"}`.
    pub(super) fn write(&self, record: &Record<'_>, scratch: &mut String, out: &mut String) {
        out.push('{');
        let mut separator = "";
        self.each(record, scratch, |name, value| {
            out.push_str(separator);
            separator = ",";
            out.push_str(name);
            out.push_str("=\"");
            for char in value.chars() {
                match char {
                    '"' | '\\' => out.extend(['\\', char]),
                    '\n' => out.push_str("\\n"),
                    char => out.push(char),
                }
            }
            out.push('"');
        });
        out.push('}');
    }
}

/// What [`Labels::write`] wrote, label by label.
pub(super) fn read(stream: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = stream.strip_prefix('{').unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, after) = rest.trim_start_matches(',').split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        loop {
            match chars.next()? {
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (at, '"') => {
                    rest = &after[at + 1..];
                    return Some((name, value));
                }
                (_, other) => value.push(other),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Body, Field, Origin, Time};

    fn stream(labels: &[(&str, &str)], fields: &[Field<'_>]) -> String {
        let labels = labels.iter().map(|(name, text)| ((*name).to_owned(), text.parse().unwrap())).collect();
        let origin = Origin {
            tag: "app".into(),
            path: "/l/a.log".into(),
            fields: vec![("host".into(), "h".into())],
            line_key: "message".into(),
        };
        let body = Body::Fields(fields);
        let record = Record { origin: &origin, file: 0, offset: 0, raw: b"", time: Time(0), body };
        let mut out = String::new();
        Labels(labels).write(&record, &mut String::new(), &mut out);
        out
    }

    #[test]
    fn labels_come_from_everywhere() {
        let fields = [
            Field { name: "level", value: Value::Text("a\"b\\c\nd") },
            Field { name: "code", value: Value::Integer(200) },
            Field { name: "none", value: Value::Null },
        ];
        let labels = [
            ("job", "x"),
            ("tag", "{tag}"),
            ("file", "{path}"),
            ("host", "{host}"),
            ("level", "{level}"),
            ("code", "{code}-{tag}"),
            ("gone", "{gone}"),
            ("none", "{none}"),
            ("other", "{gone:?}"),
        ];
        let wanted = r#"{job="x",tag="app",file="/l/a.log",host="h",level="a\"b\\c\nd",code="200-app",other="?"}"#;
        let stream = stream(&labels, &fields);
        assert_eq!(stream, wanted);
        let back: Vec<_> = read(&stream).collect();
        assert_eq!(back.len(), 7);
        assert_eq!((back[4].0, back[4].1.as_str()), ("level", "a\"b\\c\nd"));
        assert_eq!(back[6], ("other", "?".to_owned()));
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for text in ["", "{", "{}", "a}", "{a", "{:x}"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
        for name in ["", "1a", "a-b", "a.b", "é"] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check("_a1").is_ok());
    }
}
