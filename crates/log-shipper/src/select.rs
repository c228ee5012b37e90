//! Which records go to which output.

use std::borrow::Cow;

use regex::Regex;

use crate::record::{Body, Record, Value};

/// Which tags an output takes.
#[derive(Clone, Debug)]
pub enum Select {
    All,
    /// Any of these; `*` stands for anything.
    Tags(Vec<String>),
    /// What any of the first and none of the second finds something in.
    Matching {
        any: Vec<Regex>,
        none: Vec<Regex>,
    },
}

impl Select {
    pub fn takes(&self, tag: &str) -> bool {
        match self {
            Self::All => true,
            Self::Tags(patterns) => is_any(patterns, tag),
            Self::Matching { any, none } => {
                let found = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(tag));
                found(any) && !found(none)
            }
        }
    }
}

/// Of the records with these tags, only those of which every one of these fields says one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only(pub Vec<(String, Vec<String>)>);

impl Only {
    pub fn takes(&self, record: &Record<'_>) -> bool {
        self.0.iter().all(|(name, wanted)| match record.body {
            Body::Line(line) if record.origin.line_key == *name => is_any(wanted, &String::from_utf8_lossy(line)),
            _ => says_any(record, name, wanted),
        })
    }
}

fn says_any(record: &Record<'_>, name: &str, wanted: &[String]) -> bool {
    let mut says = false;
    record.look_up(name, |value| {
        let text = match value {
            Value::Text(text) | Value::Json(text) => Cow::Borrowed(text),
            Value::Integer(number) => number.to_string().into(),
            Value::Float(number) => number.to_string().into(),
            Value::Bool(yes) => yes.to_string().into(),
            Value::Null => "null".into(),
        };
        says = is_any(wanted, &text);
    });
    says
}

fn is_any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| wildcard(pattern.as_bytes(), text.as_bytes()))
}

/// `*` is any number of bytes, everything else is itself.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            retry = Some((p + 1, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            (p, t) = (p + 1, t + 1);
        } else if let Some((star, from)) = retry {
            (p, t) = (star, from + 1);
            retry = Some((star, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Field, Json, Origin, Time};

    #[test]
    fn tags_are_selected_by_wildcards() {
        for (pattern, tag, takes) in [
            ("*", "", true),
            ("*", "nginx.access", true),
            ("nginx.*", "nginx.access.log", true),
            ("nginx.*", "nginx", false),
            ("*.log", "a.log.log", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("app", "app", true),
            ("app", "apps", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Select::Tags(vec![pattern.into()]).takes(tag), takes, "{pattern} {tag}");
        }
    }

    #[test]
    fn records_are_selected_by_what_their_fields_say() {
        let origin = Origin {
            tag: "app".into(),
            path: "/a".into(),
            fields: vec![("pod".into(), "p-1".into())],
            line_key: "message".into(),
        };
        let record = |body| Record { origin: &origin, file: 1, offset: 0, raw: b"", time: Time(0), body };
        let fields = [
            Field { name: "level", value: Value::Text("error") },
            Field { name: "code", value: Value::Integer(500) },
            Field { name: "ok", value: Value::Bool(false) },
        ];
        let json = Json { members: [r#""level":"err\u006fr","code":500,"ok":false"#, ""], has_timestamp: false };
        let line = Body::Line(b"an error occurred");
        let only = |name: &str, values: &[&str]| {
            Only(vec![(name.into(), values.iter().map(|value| (*value).into()).collect())])
        };
        for (only, of_fields, of_line) in [
            (only("level", &["warn", "error"]), true, false),
            (only("level", &["warn"]), false, false),
            (only("code", &["5*"]), true, false),
            (only("ok", &["false"]), true, false),
            (only("pod", &["p-*"]), true, true),
            (only("message", &["*error*"]), false, true),
            (Only::default(), true, true),
        ] {
            assert_eq!(only.takes(&record(Body::Fields(&fields))), of_fields, "{only:?}");
            assert_eq!(only.takes(&record(Body::Json(json))), of_fields, "{only:?}");
            assert_eq!(only.takes(&record(line)), of_line, "{only:?}");
        }
        let both = Only([only("level", &["error"]).0, only("code", &["404"]).0].concat());
        assert!(!both.takes(&record(Body::Fields(&fields))));
    }
}
