//! Names and label values with captures in them: `$1`, `${1}`.
//!
//! For globs the peer replaces references one after the other in the text, so that `$1` is also replaced where it begins
//! `$10`, if it comes first. A mapping that works today must give the same names tomorrow, so this does the same. For
//! regexes it is Go's expansion, where `$1x` is a group called `1x`, and there is none. The regex crate's own takes more
//! for a reference than Go does.

use regex::Captures;

/// Stands for a capture while references are replaced; no YAML file can contain it.
const MARK: char = '\0';

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Template {
    Fixed(String),
    /// What stands between captures, and which one follows each but the last.
    Parts {
        texts: Vec<String>,
        captures: Vec<usize>,
    },
    Regex(String),
}

impl Template {
    /// For a glob with so many `*`. References to what is not there become nothing.
    pub(super) fn of_glob(text: &str, stars: usize) -> Self {
        let mut marked = text.replace(MARK, "");
        let mut captures = Vec::new();
        for (reference, name) in references(text) {
            let number = name.parse::<usize>().ok().filter(|number| (1..=stars).contains(number));
            match number {
                Some(number) => {
                    marked = marked.replace(reference, "\0");
                    captures.push(number - 1);
                }
                None => marked = marked.replace(reference, ""),
            }
        }
        if captures.is_empty() {
            return Self::Fixed(marked);
        }
        Self::Parts { texts: marked.split(MARK).map(str::to_owned).collect(), captures }
    }

    pub(super) fn of_regex(text: &str) -> Self {
        if text.contains('$') { Self::Regex(text.to_owned()) } else { Self::Fixed(text.to_owned()) }
    }

    pub(super) fn fill(&self, captured: &[&str]) -> String {
        match self {
            Self::Fixed(text) | Self::Regex(text) => text.clone(),
            Self::Parts { texts, captures } => {
                let mut filled = String::with_capacity(64);
                for (nth, text) in texts.iter().enumerate() {
                    filled.push_str(text);
                    if nth + 1 < texts.len() {
                        filled.push_str(captures.get(nth).and_then(|at| captured.get(*at)).unwrap_or(&""));
                    }
                }
                filled
            }
        }
    }

    pub(super) fn expand(&self, captures: &Captures<'_>) -> String {
        match self {
            Self::Regex(text) => {
                let mut expanded = String::with_capacity(64);
                expand(text, captures, &mut expanded);
                expanded
            }
            _ => self.fill(&[]),
        }
    }
}

/// Appends a template of Go: `$1`, `${name}` and `$$`. What is no reference stays as it is.
pub(crate) fn expand(template: &str, captures: &Captures<'_>, out: &mut String) {
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = reference(rest) else {
            out.push('$');
            continue;
        };
        rest = after;
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        let found = match name.parse().ok().filter(|_| is_number) {
            Some(number) => captures.get(number),
            None => captures.name(name),
        };
        out.push_str(found.map_or("", |found| found.as_str()));
    }
    out.push_str(rest);
}

/// The name after a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, is_braced) = text.strip_prefix('{').map_or((text, false), |text| (text, true));
    let end = name.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(name.len());
    let (name, after) = name.split_at(end);
    let after = if is_braced { after.strip_prefix('}')? } else { after };
    (!name.is_empty()).then_some((name, after))
}

/// Each `$name`, `${name}`: the whole reference, and the name in it, which may contain `$` itself.
fn references(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(dollar) = text[at..].find('$').map(|offset| at + offset) {
        let opened = dollar + 1 + usize::from(text[dollar + 1..].starts_with('{'));
        // A brace that names nothing is text; what follows the dollar may still be a reference.
        let name_end = |from: usize| {
            let is_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '$');
            from + text[from..].find(|char| !is_name(char)).unwrap_or(text.len() - from)
        };
        let end = name_end(opened);
        if end == opened {
            at = dollar + 1;
            continue;
        }
        let closed = end + usize::from(text[end..].starts_with('}'));
        found.push((&text[dollar..closed], &text[opened..end]));
        at = closed;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_expanded_as_go_does() {
        let regex = regex::Regex::new("(a)(?P<n>b)(c)?").unwrap();
        let captures = regex.captures("ab").unwrap();
        for (template, expected) in [
            ("$0-$1-${2}-$3-$4", "ab-a-b--"),
            ("$n ${n}x $nx", "b bx "),
            ("$$1 $ $- ${1 ${} $", "$1 $ $- ${1 ${} $"),
            ("$01 ${99999999999}", " "),
        ] {
            let mut out = String::new();
            expand(template, &captures, &mut out);
            assert_eq!(out, expected, "{template}");
        }
    }

    #[test]
    fn captures_are_filled_in() {
        let captured = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        for (template, expected) in [
            ("plain", "plain"),
            ("$1", "a"),
            ("${1}_$2", "a_b"),
            ("$1-$2-$1", "a-b-a"),
            ("$10", "j"),
            // The peer's corner: what begins alike is replaced alike.
            ("$1 $10", "a j0"),
            ("${1} ${10}", "a j"),
            ("$11 x", " x"),
            ("$0", ""),
            ("$1_foo", ""),
            ("${1_foo}x", "x"),
            ("$name ${name}", " "),
            ("$1$2", ""),
            ("100% of $1", "100% of a"),
            ("$", "$"),
            ("$ {1}", "$ {1}"),
            ("${}$2", "${}b"),
            ("${1", "a"),
        ] {
            assert_eq!(Template::of_glob(template, 10).fill(&captured), expected, "{template}");
        }
    }
}
