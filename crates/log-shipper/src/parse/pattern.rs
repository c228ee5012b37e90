//! Regular expressions as configurations of Fluent Bit and Fluentd spell them, turned into the ones of the regex crate.
//!
//! Theirs are Ruby's. `^` and `$` are the ends of a line, `\d \w \s \b` are about ASCII: so they are here, which is why
//! the engine comes without its tables of Unicode, half a MiB of them. What that leaves out: `\p{..}`, `[[:alpha:]]`
//! beyond ASCII, and letters beyond ASCII in two cases. What no engine does in a time that grows with the line alone
//! is refused by name: looking around, back-references, atomic groups.

mod class;

use std::{fmt::Write, iter::Peekable, str::Chars};

use ::regex::{Regex, RegexBuilder, bytes};

/// An expression with more states than fit in here is a mistake, or an attack.
const LARGEST: usize = 4 << 20;

pub(crate) fn text(spec: &str) -> Result<Regex, String> {
    let translated = translate(spec)?;
    let mut builder = RegexBuilder::new(&translated);
    builder.multi_line(true).size_limit(LARGEST).build().map_err(|error| problem(spec, &error))
}

/// For lines that may hold any byte.
pub(super) fn of_bytes(spec: &str) -> Result<bytes::Regex, String> {
    let translated = translate(spec)?;
    let mut builder = bytes::RegexBuilder::new(&translated);
    // Without it, a dot stands for any byte too.
    builder.unicode(!translated.is_ascii());
    builder.multi_line(true).size_limit(LARGEST).build().map_err(|error| problem(spec, &error))
}

/// In one line: the last one of what the engine says has the reason.
fn problem(spec: &str, error: &::regex::Error) -> String {
    let said = error.to_string();
    let reason = said.lines().last().unwrap_or_default();
    format!("`{spec}`: {}", reason.trim_start_matches("error: "))
}

fn translate(spec: &str) -> Result<String, String> {
    let (pattern, flags) = unslash(spec);
    let mut translation = Translation {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len() + 16),
        flags,
        outer: Vec::new(),
        repeatable: Repeatable::Nothing,
    };
    if flags.dot_all {
        translation.out.push_str("(?s)");
    }
    translation.all().map_err(|reason| format!("`{spec}`: {reason}"))?;
    Ok(translation.out)
}

#[derive(Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    dot_all: bool,
    extended: bool,
}

/// `/expression/flags`, or the expression alone.
fn unslash(spec: &str) -> (&str, Flags) {
    let mut flags = Flags::default();
    let parts = spec.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    let Some((pattern, letters)) = parts else { return (spec, flags) };
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignore_case = true,
            'm' => flags.dot_all = true,
            'x' => flags.extended = true,
            'o' => {}
            // It is not what it looks like.
            _ => return (spec, Flags::default()),
        }
    }
    (pattern, flags)
}

/// Whether a `+` that follows repeats something, or forbids giving back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeatable {
    Nothing,
    Something,
    Repeated,
}

struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    flags: Flags,
    /// What was in force before each open group.
    outer: Vec<Flags>,
    repeatable: Repeatable,
}

impl Translation<'_> {
    fn all(&mut self) -> Result<(), String> {
        while let Some(char) = self.rest.next() {
            let before = std::mem::replace(&mut self.repeatable, Repeatable::Something);
            match char {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => {
                    self.repeatable = Repeatable::Nothing;
                    self.group()?;
                }
                ')' => {
                    self.flags = self.outer.pop().unwrap_or(self.flags);
                    self.out.push(')');
                }
                '*' | '+' | '?' => self.repetition(char, before)?,
                '{' => self.counted(),
                '}' => self.out.push_str("\\}"),
                '|' | '^' => {
                    self.repeatable = Repeatable::Nothing;
                    self.out.push(char);
                }
                '#' if self.flags.extended => {
                    self.repeatable = before;
                    while self.rest.next().is_some_and(|char| char != '\n') {}
                }
                char if self.flags.extended && char.is_ascii_whitespace() => self.repeatable = before,
                '.' | '$' => self.out.push(char),
                char => self.literal(char),
            }
        }
        Ok(())
    }

    /// A character that stands for itself.
    fn literal(&mut self, char: char) {
        if self.flags.ignore_case && char.is_ascii_alphabetic() {
            let _ = write!(self.out, "[{}{}]", char.to_ascii_lowercase(), char.to_ascii_uppercase());
        } else if char.is_ascii_punctuation() || char.is_ascii_control() || char == ' ' {
            let _ = write!(self.out, "\\x{:02x}", u32::from(char));
        } else {
            self.out.push(char);
        }
    }

    fn repetition(&mut self, char: char, before: Repeatable) -> Result<(), String> {
        self.repeatable = Repeatable::Repeated;
        if char == '+' && before == Repeatable::Repeated {
            return Err("possessive repetitions (`a++`) are not supported".into());
        }
        if before == Repeatable::Repeated {
            // Lazy, and then done.
            self.repeatable = Repeatable::Something;
        }
        self.out.push(char);
        Ok(())
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`; or a brace that is just a brace, as in expressions for JSON.
    fn counted(&mut self) {
        let inside: String = self.rest.clone().take_while(|char| *char != '}').take(16).collect();
        let is_closed = self.rest.clone().nth(inside.chars().count()) == Some('}');
        let (least, most) = inside.split_once(',').unwrap_or((&inside, "0"));
        let is_count = |text: &str| text.chars().all(|char| char.is_ascii_digit());
        let is_some = !least.is_empty() || (inside.contains(',') && !most.is_empty());
        if !(is_closed && is_count(least) && is_count(most) && is_some) {
            self.out.push_str("\\{");
            return;
        }
        let zero = if least.is_empty() { "0" } else { "" };
        let _ = write!(self.out, "{{{zero}{inside}}}");
        self.rest.nth(inside.len());
        // A `+` after it repeats once more, a `?` makes it lazy.
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(char) = self.rest.next() else { return Err("it ends in the middle of an escape".into()) };
        match char {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'h' | 'H' => {
                let inside = class::shorthand(char);
                let _ = write!(self.out, "[{inside}]");
            }
            'b' | 'B' => {
                let _ = write!(self.out, "(?-u:\\{char})");
            }
            'A' | 'z' => {
                let _ = write!(self.out, "\\{char}");
            }
            'Z' => self.out.push_str("\\n?\\z"),
            'k' => return Err("back-references (`\\k<name>`) are not supported".into()),
            '1'..='9' => return Err(format!("back-references (`\\{char}`) are not supported")),
            'g' => return Err("calls of groups (`\\g<name>`) are not supported".into()),
            _ => {
                let char = class::escaped(char, &mut self.rest)?;
                self.literal(char);
            }
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        class::translate(&mut self.rest, self.flags.ignore_case, &mut self.out)
    }

    fn group(&mut self) -> Result<(), String> {
        let outside = self.flags;
        if self.rest.next_if_eq(&'?').is_none() {
            // Where some have names, those without are not captured; and only names make fields.
            self.out.push_str("(?:");
            self.outer.push(outside);
            return Ok(());
        }
        let refused = |what: &str| Err(format!("{what} not supported"));
        match self.rest.next() {
            Some(':') => self.out.push_str("(?:"),
            Some('=' | '!') => return refused("look-ahead (`(?=` and `(?!`) is"),
            Some('>') => return refused("atomic groups (`(?>`) are"),
            Some('~') => return refused("absence operators (`(?~`) are"),
            Some('(') => return refused("conditions (`(?(`) are"),
            Some('#') => {
                while self.rest.next().is_some_and(|char| char != ')') {}
                return Ok(());
            }
            Some('P') if self.rest.next_if_eq(&'<').is_some() => self.name('>')?,
            Some('<') if matches!(self.rest.peek(), Some('=' | '!')) => {
                return refused("look-behind (`(?<=` and `(?<!`) is");
            }
            Some('<') => self.name('>')?,
            Some('\'') => self.name('\'')?,
            Some(first) => return self.flags(first),
            None => return Err("a group is not closed".into()),
        }
        self.outer.push(outside);
        Ok(())
    }

    fn name(&mut self, end: char) -> Result<(), String> {
        let name: String = self.rest.by_ref().take_while(|char| *char != end).collect();
        let is_name = |char: char| char.is_alphanumeric() || char == '_';
        if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|char: char| char.is_ascii_digit()) {
            return Err(format!("`{name}` is no name for a group"));
        }
        let _ = write!(self.out, "(?<{name}>");
        Ok(())
    }

    /// `(?i)` for the rest of the group around, `(?i:..)` for a group of its own.
    fn flags(&mut self, first: char) -> Result<(), String> {
        let outside = self.flags;
        let (mut on, mut next) = (true, Some(first));
        loop {
            match next {
                Some('-') => on = false,
                Some('i') => self.flags.ignore_case = on,
                Some('m') => self.flags.dot_all = on,
                Some('x') => self.flags.extended = on,
                Some(end @ (':' | ')')) => {
                    self.out.push_str(if self.flags.dot_all { "(?s" } else { "(?-s" });
                    self.out.push(end);
                    if end == ':' {
                        self.outer.push(outside);
                    }
                    return Ok(());
                }
                Some(other) => return Err(format!("`(?{other}` is not supported")),
                None => return Err("a group is not closed".into()),
            }
            next = self.rest.next();
        }
    }
}

#[cfg(test)]
mod tests;
