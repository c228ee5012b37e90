//! Classes of characters: `[a-z\d]`.

use std::{iter::Peekable, str::Chars};

/// What `\d` and its like stand for inside of a class.
pub(super) fn shorthand(letter: char) -> &'static str {
    match letter.to_ascii_lowercase() {
        'd' => "0-9",
        's' => "\\t\\n\\x0C\\r ",
        _ => "0-9A-Za-z_",
    }
}

/// After its `[`.
pub(super) fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String, ignore_case: bool) -> Result<(), String> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    // The character that a `-` may make a range of.
    let mut low: Option<char> = None;
    loop {
        let char = rest.next().ok_or("a class that is not closed")?;
        match char {
            ']' if !first => break,
            '[' if rest.peek() == Some(&':') => {
                named(rest, out)?;
                low = None;
            }
            '-' if low.is_some() && rest.peek().is_some_and(|next| *next != ']') => {
                let from = low.take().unwrap_or(char);
                let Single::Char(to) = single(rest)? else {
                    return Err("a range that ends with a class".to_owned());
                };
                if to < from {
                    return Err(format!("{from}-{to}: a range that ends before it begins"));
                }
                out.push('-');
                push(out, to);
                if ignore_case {
                    both_cases(out, from, to);
                }
            }
            '\\' => match escaped(rest)? {
                Single::Char(char) => {
                    push(out, char);
                    low = Some(char);
                    also(out, rest, char, ignore_case);
                }
                Single::Class(letter) => {
                    let (open, close) = if letter.is_ascii_uppercase() { ("[^", "]") } else { ("", "") };
                    out.extend([open, shorthand(letter), close]);
                    low = None;
                }
            },
            char => {
                push(out, char);
                low = Some(char);
                also(out, rest, char, ignore_case);
            }
        }
        first = false;
    }
    out.push(']');
    Ok(())
}

/// The other case of a letter that is not about to begin a range.
fn also(out: &mut String, rest: &Peekable<Chars<'_>>, char: char, ignore_case: bool) {
    let mut ahead = rest.clone();
    let begins_range = ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']');
    if ignore_case && !begins_range {
        both_cases(out, char, char);
    }
}

/// What of a range are letters, in both cases.
fn both_cases(out: &mut String, from: char, to: char) {
    for (first, last) in [('a', 'z'), ('A', 'Z')] {
        let (low, high) = (from.max(first), to.min(last));
        if low <= high {
            let swapped = |char: char| {
                if char.is_ascii_lowercase() { char.to_ascii_uppercase() } else { char.to_ascii_lowercase() }
            };
            out.extend([swapped(low), '-', swapped(high)]);
        }
    }
}

fn push(out: &mut String, char: char) {
    if char.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(char);
}

/// `[:alpha:]`, after its `[`.
fn named(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    let mut colons = 0;
    for char in rest.by_ref() {
        out.push(char);
        colons += usize::from(char == ':');
        if char == ']' {
            return if colons == 2 { Ok(()) } else { Err("expected a class such as [:alpha:]".to_owned()) };
        }
    }
    Err("a class that is not closed".to_owned())
}

enum Single {
    Char(char),
    Class(char),
}

fn single(rest: &mut Peekable<Chars<'_>>) -> Result<Single, String> {
    match rest.next() {
        Some('\\') => escaped(rest),
        Some(char) => Ok(Single::Char(char)),
        None => Err("a class that is not closed".to_owned()),
    }
}

fn escaped(rest: &mut Peekable<Chars<'_>>) -> Result<Single, String> {
    let char = rest.next().ok_or("a backslash at the end")?;
    Ok(match char {
        'd' | 'D' | 's' | 'S' | 'w' | 'W' => Single::Class(char),
        't' => Single::Char('\t'),
        'n' => Single::Char('\n'),
        'r' => Single::Char('\r'),
        'f' => Single::Char('\u{c}'),
        'v' => Single::Char('\u{b}'),
        'a' => Single::Char('\u{7}'),
        'x' => Single::Char(hex(rest)?),
        char if char.is_ascii_punctuation() => Single::Char(char),
        char => return Err(format!("\\{char}: not an escape inside of a class")),
    })
}

/// `\x41` and `\x{1F600}`, after the `x`.
fn hex(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let digits: String = if rest.next_if_eq(&'{').is_some() {
        rest.by_ref().take_while(|char| *char != '}').collect()
    } else {
        rest.by_ref().take(2).collect()
    };
    let number = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
    number.ok_or_else(|| format!("\\x{digits}: not a character"))
}
