//! Patterns for hosts, paths and other texts.

use std::{fmt, str::FromStr};

use regex::bytes::{Captures, Regex, RegexBuilder};

/// What a program of regular expressions may take. A larger one is a mistake or an attack on ourselves.
const LARGEST: usize = 1 << 20;

/// A regular expression over bytes: `\d` and `\w` mean ASCII, as they do for everybody else here.
#[derive(Clone, Debug)]
pub struct Expression(Regex);

impl Expression {
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern).unicode(false).case_insensitive(ignore_case).size_limit(LARGEST).build();
        built.map(Self).map_err(|error| {
            let text = error.to_string();
            // The library draws a picture of several lines; its last line says it.
            let said = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("expected a regular expression: {said}")
        })
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }

    pub fn captures<'a>(&self, text: &'a str) -> Option<Captures<'a>> {
        self.0.captures(text.as_bytes())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.capture_names().flatten()
    }

    /// Every match replaced by what is made of its groups.
    pub fn replace_with(&self, text: &str, mut make: impl FnMut(Vec<Option<String>>) -> Vec<u8>) -> String {
        let replaced = self.0.replace_all(text.as_bytes(), |captures: &Captures<'_>| {
            let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            make(captures.iter().map(|group| group.map(|group| owned(group.as_bytes()))).collect())
        });
        String::from_utf8_lossy(&replaced).into_owned()
    }
}

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text, false)
    }
}

#[derive(Clone, Debug)]
pub enum TextPattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Expression),
    /// Whole numbers, from (included) to (not).
    Range(i64, i64),
}

impl TextPattern {
    pub fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => text == wanted,
            Self::Prefix(wanted) => text.starts_with(wanted.as_str()),
            Self::Suffix(wanted) => text.ends_with(wanted.as_str()),
            Self::Contains(wanted) => text.contains(wanted.as_str()),
            Self::Regex(expression) => expression.is_match(text),
            Self::Range(from, to) => text.trim().parse::<i64>().is_ok_and(|number| (*from..*to).contains(&number)),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub enum PathPattern {
    #[default]
    Any,
    Exact(String),
    ExactIgnoringCase(String),
    Prefix(String),
    PrefixIgnoringCase(String),
    /// `/api` and `/api/...`, but not `/apis`.
    Segments(String),
    Regex(Expression),
}

impl PathPattern {
    pub fn is_match(&self, path: &str) -> bool {
        let starts = |wanted: &str| path.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted));
        match self {
            Self::Any => true,
            Self::Exact(wanted) => path == wanted,
            Self::ExactIgnoringCase(wanted) => path.eq_ignore_ascii_case(wanted),
            Self::Prefix(wanted) => path.starts_with(wanted.as_str()),
            Self::PrefixIgnoringCase(wanted) => starts(wanted),
            Self::Segments(wanted) => {
                path.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Regex(expression) => expression.is_match(path),
        }
    }

    /// How much of a path that fits is the pattern's.
    pub fn matched_len(&self, path: &str) -> usize {
        match self {
            Self::Prefix(text) | Self::PrefixIgnoringCase(text) | Self::Segments(text) => text.len().min(path.len()),
            Self::Any => 0,
            Self::Exact(_) | Self::ExactIgnoringCase(_) | Self::Regex(_) => path.len(),
        }
    }
}

#[derive(Clone, Debug)]
pub enum HostPattern {
    Any,
    /// In lower case, with a port if that counts.
    Exact(String),
    /// `*.example.com`: `.example.com`, for any number of labels.
    Suffix(String),
    /// `mail.*`: `mail.`
    Prefix(String),
    Regex(Expression),
}

impl FromStr for HostPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a host such as example.com, *.example.com, example.* or *";
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Ok(Self::Any);
        }
        let usable = |host: &str| {
            let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '*' | '/' | '?' | '#' | '@');
            !host.is_empty() && host.chars().all(fits)
        };
        let (pattern, plain) = match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(rest), _) => (Self::Suffix(rest.into()), rest),
            (None, Some(rest)) => (Self::Prefix(rest.into()), rest),
            (None, None) => (Self::Exact(text.clone()), text.as_str()),
        };
        if usable(plain) { Ok(pattern) } else { Err(EXPECTED) }
    }
}

impl HostPattern {
    /// `host` in lower case.
    pub fn is_match(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(wanted) => host == wanted,
            Self::Suffix(wanted) => host.len() > wanted.len() && host.ends_with(wanted.as_str()),
            Self::Prefix(wanted) => host.len() > wanted.len() && host.starts_with(wanted.as_str()),
            Self::Regex(expression) => expression.is_match(host),
        }
    }
}

impl HostPattern {
    /// The higher, the fewer names fit.
    pub fn exactness(&self) -> usize {
        match self {
            Self::Any => 1,
            Self::Regex(_) => 2,
            Self::Suffix(text) | Self::Prefix(text) => 2 + text.len(),
            Self::Exact(_) => usize::MAX,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(host) => f.write_str(host),
            Self::Suffix(rest) => write!(f, "*{rest}"),
            Self::Prefix(rest) => write!(f, "{rest}*"),
            Self::Regex(Expression(regex)) => write!(f, "~{regex}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_end_where_a_segment_ends() {
        let pattern = PathPattern::Segments("/api".into());
        for (path, fits) in [("/api", true), ("/api/x", true), ("/apis", false), ("/ap", false)] {
            assert_eq!(pattern.is_match(path), fits, "{path}");
        }
    }

    #[test]
    fn hosts_fit_as_wildcards_say() {
        for (pattern, host, fits) in [
            ("*.Example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("mail.*", "mail.test", true),
            ("*", "", true),
            ("a.test", "a.test", true),
        ] {
            assert_eq!(pattern.parse::<HostPattern>().unwrap().is_match(host), fits, "{pattern} {host}");
        }
        for text in ["", "a*b", "http://a", "a b"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bad_expression_says_why_on_one_line() {
        let problem = Expression::new("(?=x)", false).unwrap_err();
        assert!(problem.contains("look-around"), "{problem}");
        assert!(!problem.contains('\n'));
    }
}
