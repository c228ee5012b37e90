//! Regular expressions as Go spells them, for the regex crate.
//!
//! Both come from RE2 and agree on what matches; the spelling differs where the engine here comes without its tables of
//! Unicode, half a MiB of them: `\d \w \s \b` are about ASCII in Go anyway, and letters in two cases are written out.
//! A brace that counts nothing is a brace, and `[` inside of a class is a bracket.

mod class;

use std::{iter::Peekable, str::Chars};

use regex::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// An expression with more states than fit in here is a mistake, or an attack.
const LARGEST: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    translated: String,
}

impl Pattern {
    pub(super) fn new(spec: &str) -> Result<Self, String> {
        let (regex, translated) = go_regex(spec)?;
        Ok(Self { regex, translated })
    }

    pub(super) fn captures<'n>(&self, name: &'n str) -> Option<Captures<'n>> {
        self.regex.captures(name)
    }
}

/// An expression of Go, and how it is spelled here.
pub(crate) fn go_regex(spec: &str) -> Result<(Regex, String), String> {
    let translated = translate(spec).map_err(|reason| format!("`{spec}`: {reason}"))?;
    let built = RegexBuilder::new(&translated).size_limit(LARGEST).build();
    let regex = built.map_err(|error| {
        // The last line has the reason, the others draw a picture.
        let said = error.to_string();
        format!("`{spec}`: {}", said.lines().last().unwrap_or_default().trim_start_matches("error: "))
    })?;
    Ok((regex, translated))
}

/// Which of several patterns match at all, found in one pass.
#[derive(Debug, Default)]
pub(super) struct Prefilter(Option<RegexSet>);

/// With fewer, asking one after the other is as fast.
const FEWEST: usize = 4;

impl Prefilter {
    pub(super) fn new<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Self {
        let patterns: Vec<_> = patterns.map(|pattern| &pattern.translated).collect();
        if patterns.len() < FEWEST {
            return Self(None);
        }
        // Too large for one automaton is no mistake: then they are asked one by one.
        Self(RegexSetBuilder::new(patterns).size_limit(8 * LARGEST).dfa_size_limit(LARGEST).build().ok())
    }

    pub(super) fn candidates(&self, name: &str) -> Candidates {
        Candidates(self.0.as_ref().map(|set| set.matches(name)))
    }
}

pub(super) struct Candidates(Option<regex::SetMatches>);

impl Candidates {
    pub(super) fn has(&self, nth: usize) -> bool {
        self.0.as_ref().is_none_or(|matches| matches.matched(nth))
    }
}

fn translate(spec: &str) -> Result<String, String> {
    let mut translation = Translation {
        rest: spec.chars().peekable(),
        out: String::with_capacity(spec.len() + 16),
        ignore_case: false,
        outer: Vec::new(),
    };
    translation.all()?;
    Ok(translation.out)
}

struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    ignore_case: bool,
    /// What was in force before each open group.
    outer: Vec<bool>,
}

impl Translation<'_> {
    fn all(&mut self) -> Result<(), String> {
        while let Some(char) = self.rest.next() {
            match char {
                '\\' => self.escape()?,
                '[' => class::class(&mut self.rest, &mut self.out, self.ignore_case)?,
                '(' => self.group()?,
                ')' => {
                    self.ignore_case = self.outer.pop().unwrap_or(self.ignore_case);
                    self.out.push(')');
                }
                '{' => self.count(),
                '}' => self.out.push_str("\\}"),
                char => self.literal(char),
            }
        }
        Ok(())
    }

    fn literal(&mut self, char: char) {
        if self.ignore_case && char.is_ascii_alphabetic() {
            self.out.extend(['[', char.to_ascii_lowercase(), char.to_ascii_uppercase(), ']']);
        } else {
            self.out.push(char);
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let char = self.rest.next().ok_or("a backslash at the end")?;
        match char {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                let not = if char.is_ascii_uppercase() { "^" } else { "" };
                self.out.extend(["[", not, class::shorthand(char), "]"]);
            }
            'b' | 'B' => self.out.extend(["(?-u:\\", if char == 'b' { "b" } else { "B" }, ")"]),
            'Q' => {
                let mut quoted = String::new();
                while let Some(char) = self.rest.next() {
                    if char == '\\' && self.rest.next_if_eq(&'E').is_some() {
                        break;
                    }
                    quoted.push(char);
                }
                self.out.push_str(&regex::escape(&quoted));
            }
            'p' | 'P' => return Err("\\p: tables of Unicode are not built in".to_owned()),
            'C' => return Err("\\C: expected something that matches characters, not bytes".to_owned()),
            'Z' | 'G' | '<' | '>' | '1'..='9' => return Err(format!("\\{char}: not an escape")),
            char => self.out.extend(['\\', char]),
        }
        Ok(())
    }

    /// `(`, and what may follow it: a name, flags.
    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        self.outer.push(self.ignore_case);
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        if matches!(self.rest.peek(), Some('P' | '<')) {
            // A name. Looking around and back-references are refused by the engine, with a reason.
            return Ok(());
        }
        let (mut on, mut ignore_case) = (true, self.ignore_case);
        let mut flags = String::new();
        for flag in self.rest.by_ref() {
            match flag {
                '-' => {
                    on = false;
                    flags.push('-');
                }
                'i' => ignore_case = on,
                // Stands for itself; the engine refuses what is no flag, except its own.
                'u' | 'x' | 'R' => return Err(format!("(?{flag}: not a flag")),
                ':' | ')' => {
                    // What is left may be nothing, or a minus with nothing after it.
                    self.out.push_str(flags.trim_end_matches('-'));
                    self.ignore_case = ignore_case;
                    if flag == ')' {
                        // The flags hold until the group around this one ends.
                        self.outer.pop();
                        if self.out.ends_with("(?") {
                            self.out.push_str("-x");
                        }
                    }
                    self.out.push(flag);
                    return Ok(());
                }
                flag => flags.push(flag),
            }
        }
        Err("a group that is not closed".to_owned())
    }

    /// `{2}`, `{2,}` and `{2,3}` count; other braces are braces.
    fn count(&mut self) {
        let ahead: String = self.rest.clone().take_while(|char| *char != '}').take(16).collect();
        let is_closed = self.rest.clone().nth(ahead.chars().count()) == Some('}');
        let (from, to) = ahead.split_once(',').unwrap_or((&ahead, ""));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_closed && is_number(from) && (to.is_empty() || is_number(to)) {
            self.out.push('{');
            self.out.push_str(&ahead);
            self.out.push('}');
            self.rest.nth(ahead.len());
        } else {
            self.out.push_str("\\{");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_matches_is_matched() {
        for (spec, name, expected) in [
            (r"test\.(\w+)\.(\w+)\.counter", "test.a_1.b.counter", Some("test.a_1.b.counter")),
            (r"(\w+)", "é.ab", Some("ab")),
            (r"\d{2,3}", "x12345", Some("123")),
            (r"a{b}", "a{b}", Some("a{b}")),
            (r"a{,2}", "a{,2}", Some("a{,2}")),
            (r"[[]x", "[x", Some("[x")),
            (r"[]a]+", "]a", Some("]a")),
            (r"[^]a]+", "]ab", Some("b")),
            (r"[\w-]+", "a-b.c", Some("a-b")),
            (r"[^\d]+", "12ab", Some("ab")),
            (r"[[:alpha:]]+", "12ab", Some("ab")),
            (r"[a&&b]+", "x&&", Some("&&")),
            (r"(?i)AbC", "xabcx", Some("abc")),
            (r"(?i:a)B", "AB", Some("AB")),
            (r"(?i:a)B", "Ab", None),
            (r"a(?i)b", "aB", Some("aB")),
            (r"(?i)[a-c]+", "xABC", Some("ABC")),
            (r"(?i)[^a]", "Ab", Some("b")),
            (r"(?s)a.b", "a\nb", Some("a\nb")),
            (r"a.b", "a\nb", None),
            (r"\Qa.b\E+", "xa.bb", Some("a.bb")),
            (r"\bfoo\b", "a.foo.b", Some("foo")),
            (r"^(?P<name>.)", "abc", Some("a")),
            (r"^(?<name>.)", "abc", Some("a")),
            (r".", "é", Some("é")),
            (r"(?i-s)A", "a", Some("a")),
            (r"^$|^prefix\.", "prefix.x", Some("prefix.")),
        ] {
            let pattern = Pattern::new(spec).unwrap();
            let found = pattern.captures(name).map(|captures| captures[0].to_owned());
            assert_eq!(found.as_deref(), expected, "{spec} on {name}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for spec in [
            r"*\.foo",
            "(",
            ")",
            "[",
            "[a",
            r"\",
            "a**b(",
            "(?=a)",
            "(?!a)",
            r"(a)\1",
            r"\Z",
            "(?x)a",
            "a{1001}b{1001}c{1001}(",
            "[b-a]",
            "(?<n>a)(?<n>b)",
        ] {
            assert!(Pattern::new(spec).is_err(), "{spec}");
        }
    }
}
