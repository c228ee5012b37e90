//! What both text formats are made of: names, quoted texts, labels.

use std::borrow::Cow;

use crate::name::{is_plain_label, is_plain_name};

/// A line that is read from the front.
pub(super) struct Line<'a> {
    pub(super) rest: &'a str,
}

/// What a backslash before any other letter than `\`, `n` and `"` means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    Strict,
    /// It is a backslash.
    Lenient,
}

impl<'a> Line<'a> {
    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    pub(super) fn take(&mut self, char: char) -> bool {
        match self.rest.strip_prefix(char) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Up to a blank.
    pub(super) fn word(&mut self) -> &'a str {
        self.split(self.rest.find([' ', '\t']).unwrap_or(self.rest.len()))
    }

    fn split(&mut self, at: usize) -> &'a str {
        let (word, rest) = self.rest.split_at(at);
        self.rest = rest;
        word
    }

    /// A name of a metric, quoted or not. Nothing is no name.
    pub(super) fn metric_name(&mut self, escapes: Escapes) -> Result<Option<Cow<'a, str>>, String> {
        self.name(escapes, "metric name", |char| char == ':', is_plain_name)
    }

    pub(super) fn label_name(&mut self, escapes: Escapes) -> Result<Option<Cow<'a, str>>, String> {
        self.name(escapes, "label name", |_| false, is_plain_label)
    }

    fn name(
        &mut self,
        escapes: Escapes,
        what: &str,
        also: impl Fn(char) -> bool,
        is_plain: impl Fn(&str) -> bool,
    ) -> Result<Option<Cow<'a, str>>, String> {
        if self.rest.starts_with('"') {
            return self.quoted(escapes, what).map(|name| Some(name).filter(|name| !name.is_empty()));
        }
        let belongs = |char: char| char.is_ascii_alphanumeric() || char == '_' || also(char);
        let end = self.rest.find(|char| !belongs(char)).unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        if !is_plain(name) {
            return Ok(None);
        }
        Ok(Some(Cow::Borrowed(self.split(end))))
    }

    /// A text with quotes around it.
    pub(super) fn quoted(&mut self, escapes: Escapes, what: &str) -> Result<Cow<'a, str>, String> {
        if !self.take('"') {
            let found = self.peek().map_or("the end of the line".to_owned(), |char| format!("{char:?}"));
            return Err(format!("expected '\"' at the start of a {what}, found {found}"));
        }
        let text = self.rest;
        let end = memchr::memchr2(b'"', b'\\', text.as_bytes()).filter(|&at| text.as_bytes()[at] == b'"');
        if let Some(end) = end {
            self.rest = &text[end + 1..];
            return Ok(Cow::Borrowed(&text[..end]));
        }
        let mut out = String::new();
        let mut chars = text.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = &text[at + 1..];
                    return Ok(Cow::Owned(out));
                }
                '\\' => unescape(&mut out, chars.next().map(|(_, char)| char), escapes)?,
                char => out.push(char),
            }
        }
        Err(format!("a {what} that is not closed on its line"))
    }
}

fn unescape(out: &mut String, char: Option<char>, escapes: Escapes) -> Result<(), String> {
    match char {
        Some(char @ ('\\' | '"')) => out.push(char),
        Some('n') => out.push('\n'),
        Some(char) if escapes == Escapes::Lenient => out.extend(['\\', char]),
        Some(char) => return Err(format!("invalid escape sequence '\\{char}'")),
        None if escapes == Escapes::Lenient => out.push('\\'),
        None => return Err("a backslash at the end of the line".to_owned()),
    }
    Ok(())
}

/// The text of a `# HELP`.
pub(super) fn help(text: &str, escapes: Escapes) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => unescape(&mut out, chars.next(), escapes)?,
            char => out.push(char),
        }
    }
    Ok(out)
}

/// Whether a name is there twice.
pub(super) fn is_repeated(pairs: &[(Cow<'_, str>, Cow<'_, str>)]) -> bool {
    (1..pairs.len()).any(|at| pairs[..at].iter().any(|(name, _)| *name == pairs[at].0))
}
