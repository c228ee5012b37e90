//! Which tags a `<match>` takes: `app.**`, `{a,b}.*`, several of them.

use regex::Regex;

use crate::{config::Tag, parse::pattern};

/// An expression for each of the patterns.
pub(super) fn read(argument: &str) -> Result<Vec<Regex>, String> {
    let all = if argument.is_empty() { "**" } else { argument };
    split(all).into_iter().map(one).collect()
}

/// By spaces, and by commas outside of braces.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut deep) = (Vec::new(), 0, 0);
    if text.starts_with('/') {
        return vec![text];
    }
    for (at, char) in text.char_indices() {
        match char {
            '{' => deep += 1,
            '}' => deep -= 1,
            ' ' | '\t' | ',' if deep <= 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts.retain(|part| !part.is_empty());
    parts
}

fn one(spec: &str) -> Result<Regex, String> {
    if spec.starts_with('/') {
        return pattern::text(spec);
    }
    let mut out = String::from("^");
    let mut rest = spec;
    while let Some(char) = rest.chars().next() {
        let (piece, length) = match char {
            // Any number of parts, with the dot that parts them from what is there.
            '.' if rest.starts_with(".**") => (r"(?:\..*)?".into(), 3),
            '*' if rest.starts_with("**.") => (r"(?:.*\.)?".into(), 3),
            '*' if rest.starts_with("**") => (".*".into(), 2),
            '*' => (r"[^.]+".into(), 1),
            '{' => ("(?:".into(), 1),
            '}' => (")".into(), 1),
            ',' => ("|".into(), 1),
            other => (escaped(other), other.len_utf8()),
        };
        out.push_str(&piece);
        rest = &rest[length..];
    }
    out.push('$');
    Regex::new(&out).map_err(|_| format!("\"{spec}\": expected a pattern such as app.** or {{a,b}}.*"))
}

fn escaped(char: char) -> String {
    regex::escape(&char.to_string())
}

/// What finds every tag that an input can have.
pub(super) fn of_tag(tag: &Tag) -> Option<Regex> {
    let spec = match tag {
        Tag::Fixed(tag) => format!("^{}$", regex::escape(tag)),
        Tag::WithPath(before, after) => format!("^{}.*{}$", regex::escape(before), regex::escape(after)),
        Tag::Captured(..) => ".".into(),
    };
    Regex::new(&spec).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_what_they_take_there() {
        for (spec, tag, takes) in [
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.**", "a", true),
            ("a.**", "a.b.c", true),
            ("a.**", "ab", false),
            ("**.c", "c", true),
            ("**.c", "a.b.c", true),
            ("**", "", true),
            ("{a,b}.x", "b.x", true),
            ("{a,b}.x", "c.x", false),
            ("a b.*", "b.c", true),
            ("a, b", "b", true),
            ("/^a\\d/", "a1", true),
            ("a+b", "aab", false),
        ] {
            let found = read(spec).unwrap().iter().any(|pattern| pattern.is_match(tag));
            assert_eq!(found, takes, "{spec} {tag}");
        }
        assert!(read("{a").is_err());
    }
}
