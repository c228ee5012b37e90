//! Classes of characters, `[^\]"]`, and what an escaped character stands for.

use std::{fmt::Write, iter::Peekable, str::Chars};

/// What `\d` and its like stand for, as it can stand in a class. The capital ones, which have no end, begin with `^`.
pub(super) fn shorthand(letter: char) -> &'static str {
    match letter {
        'd' => "0-9",
        'D' => "^0-9",
        'w' => "0-9A-Za-z_",
        'W' => "^0-9A-Za-z_",
        's' => r"\t-\r\x20",
        'S' => r"^\t-\r\x20",
        'h' => "0-9A-Fa-f",
        _ => "^0-9A-Fa-f",
    }
}

const DEEPEST: u8 = 20;

/// After the opening bracket, past the closing one.
pub(super) fn translate(rest: &mut Peekable<Chars<'_>>, ignore_case: bool, out: &mut String) -> Result<(), String> {
    nested(rest, ignore_case, out, 0)
}

fn nested(rest: &mut Peekable<Chars<'_>>, ignore_case: bool, out: &mut String, depth: u8) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("classes nested more than {DEEPEST} deep are not supported"));
    }
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut is_first = true;
    loop {
        let Some(char) = rest.next() else { return Err("a class is not closed, expected `]`".into()) };
        match char {
            ']' if !is_first => break,
            '[' if rest.peek() == Some(&':') && named(rest, out)? => {}
            '[' => nested(rest, ignore_case, out, depth + 1)?,
            '&' if rest.next_if_eq(&'&').is_some() => out.push_str("&&"),
            '\\' if rest.peek().is_some_and(|letter| "dDwWsShH".contains(*letter)) => {
                let inside = shorthand(rest.next().unwrap_or('d'));
                let _ = write!(out, "[{inside}]");
            }
            char => {
                let from = single(char, rest)?;
                let to = range_end(rest)?.unwrap_or(from);
                if to < from {
                    return Err(format!("the range `{from}-{to}` is empty"));
                }
                range(from, to, out);
                if ignore_case {
                    other_case(from, to, out);
                }
            }
        }
        is_first = false;
    }
    out.push(']');
    Ok(())
}

/// `[:alpha:]` and its like, which the engine knows too.
fn named(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<bool, String> {
    const NAMES: &str = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";
    let inside: String = rest.clone().skip(1).take_while(|char| *char != ':' && *char != ']').collect();
    let length = inside.chars().count();
    if !rest.clone().skip(1 + length).take(2).eq(":]".chars()) {
        return Ok(false);
    }
    let name = inside.trim_start_matches('^');
    if !NAMES.split(' ').any(|known| known == name) {
        return Err(format!("`[:{inside}:]` is not known, expected one of {NAMES}"));
    }
    let _ = write!(out, "[:{inside}:]");
    rest.nth(length + 2);
    Ok(true)
}

fn single(char: char, rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    if char != '\\' {
        return Ok(char);
    }
    match rest.next() {
        Some('b') => Ok('\u{8}'),
        Some(letter) => escaped(letter, rest),
        None => Err("it ends in the middle of an escape".into()),
    }
}

/// The other end, where a `-` says that there is one. At the end of a class it is only itself.
fn range_end(rest: &mut Peekable<Chars<'_>>) -> Result<Option<char>, String> {
    let mut ahead = rest.clone();
    if ahead.next() != Some('-') {
        return Ok(None);
    }
    match (ahead.next(), ahead.next()) {
        (Some(']' | '[') | None, _) => Ok(None),
        (Some('\\'), Some(letter)) if "dDwWsShH".contains(letter) => Ok(None),
        (Some(char), _) => {
            rest.nth(1);
            single(char, rest).map(Some)
        }
    }
}

fn range(from: char, to: char, out: &mut String) {
    one(from, out);
    if from != to {
        out.push('-');
        one(to, out);
    }
}

fn one(char: char, out: &mut String) {
    if char.is_ascii() {
        let _ = write!(out, "\\x{:02x}", u32::from(char));
    } else {
        out.push(char);
    }
}

fn other_case(from: char, to: char, out: &mut String) {
    for (first, last, flip) in
        [('a', 'z', char::to_ascii_uppercase as fn(&char) -> char), ('A', 'Z', char::to_ascii_lowercase)]
    {
        let (from, to) = (from.max(first), to.min(last));
        if from <= to {
            range(flip(&from), flip(&to), out);
        }
    }
}

/// What a backslash and this letter stand for, together with what follows.
pub(super) fn escaped(letter: char, rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let code = match letter {
        't' => '\t'.into(),
        'n' => '\n'.into(),
        'r' => '\r'.into(),
        'v' => 0x0b,
        'f' => 0x0c,
        'a' => 0x07,
        'e' => 0x1b,
        '0' => digits(rest, 8, 2),
        'x' if rest.peek() != Some(&'{') => match digits(rest, 16, 2) {
            code @ 0..0x80 => code,
            code => return Err(format!("`\\x{code:02x}` is half a character, expected it itself or `\\u`")),
        },
        'x' => braced(rest),
        'u' if rest.peek() == Some(&'{') => braced(rest),
        'u' => digits(rest, 16, 4),
        'p' | 'P' => return Err("classes of Unicode (`\\p{..}`) are not supported".into()),
        'R' | 'X' | 'K' | 'G' | 'N' | 'O' | 'y' | 'Y' | 'M' | 'C' | 'c' => {
            return Err(format!("`\\{letter}` is not supported"));
        }
        other => other.into(),
    };
    char::from_u32(code).ok_or_else(|| format!("`\\{letter}` with {code:x} is no character"))
}

fn digits(rest: &mut Peekable<Chars<'_>>, radix: u32, most: usize) -> u32 {
    let mut code = 0;
    for _ in 0..most {
        let Some(digit) = rest.peek().and_then(|char| char.to_digit(radix)) else { break };
        rest.next();
        code = code * radix + digit;
    }
    code
}

fn braced(rest: &mut Peekable<Chars<'_>>) -> u32 {
    rest.next();
    let code = digits(rest, 16, 6);
    rest.next_if_eq(&'}');
    code
}
