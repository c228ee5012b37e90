//! Labels of a series, kept as the text they are written as: `code="200",method="GET"`.
//!
//! Both text formats write them like this, so writing a series is a copy; and a series needs one allocation for all.

use std::{borrow::Cow, fmt};

use crate::name::is_plain_label;

/// In the order they were given. Whoever makes them sorts them, and gives each name once.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Box<str>);

impl Labels {
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            push(&mut text, name.as_ref(), value.as_ref());
        }
        Self(text.into_boxed_str())
    }

    /// As it is written between braces.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn pairs(&self) -> Pairs<'_> {
        Pairs(&self.0)
    }

    /// Whether any name has to be quoted. Quick to say no.
    pub(crate) fn has_quoted_name(&self) -> bool {
        let suspicious = self.0.starts_with('"') || memchr::memmem::find(self.0.as_bytes(), b",\"").is_some();
        suspicious && self.pairs().any(|(name, _)| !is_plain_label(&name))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0)
    }
}

/// Adds a label to the text of labels.
pub(crate) fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    if is_plain_label(name) {
        text.push_str(name);
    } else {
        text.push('"');
        escape(text, name);
        text.push('"');
    }
    text.push_str("=\"");
    escape(text, value);
    text.push('"');
}

/// What may stand between quotes.
pub(crate) fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\n', '"']) {
        out.push_str(&rest[..at]);
        out.push('\\');
        out.push(match rest.as_bytes()[at] {
            b'\n' => 'n',
            other => char::from(other),
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// Names and values, unescaped.
#[derive(Clone, Debug)]
pub struct Pairs<'a>(&'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.strip_prefix(',').unwrap_or(self.0);
        let (name, rest) = match rest.strip_prefix('"') {
            Some(rest) => quoted(rest)?,
            None => {
                let end = rest.find('=')?;
                (Cow::Borrowed(&rest[..end]), &rest[end..])
            }
        };
        let (value, rest) = quoted(rest.strip_prefix("=\"")?)?;
        self.0 = rest;
        Some((name, value))
    }
}

/// Up to the closing quote, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = memchr::memchr2(b'"', b'\\', text.as_bytes())?;
    if text.as_bytes()[end] == b'"' {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::with_capacity(text.len().min(64));
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((Cow::Owned(value), &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            char => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_kept_as_they_are_written() {
        let pairs = [("a", "b"), ("path", "C:\\x\n\"y\""), ("weird.name\"", ""), ("c", "a=\"1\",b")];
        let labels = Labels::new(pairs);
        assert_eq!(labels.text(), r#"a="b",path="C:\\x\n\"y\"","weird.name\""="",c="a=\"1\",b""#);
        let read: Vec<_> = labels.pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        assert_eq!(read, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(labels.has_quoted_name());
        assert!(!Labels::new([("a", ",\"x\"=")]).has_quoted_name());
        assert!(Labels::default().is_empty() && Labels::default().pairs().next().is_none());
    }
}
