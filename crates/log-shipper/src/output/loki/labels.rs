//! Labels: what makes a stream. Each is a text in which the tag, the path and fields of the record may stand.

use crate::{output::template::Template, record::Record};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<(String, Template)>);

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
    use crate::record::{Body, Field, Origin, Time, Value};

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
        for name in ["", "1a", "a-b", "a.b", "é"] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check("_a1").is_ok());
    }
}
