//! The members of a JSON object, found by a scanner that lets through exactly what serde_json does.
//!
//! By hand, because serde_json does not say where a member is, and what it skips it does not check in full: half a
//! surrogate pair, 1e999, any depth. A visitor that makes it check everything takes 1.2 to 1.5 times as long.

use std::{borrow::Cow, ops::Range};

use crate::parse::scan;

/// As deep as serde_json goes. The object itself is one level.
const DEEPEST: u32 = 126;

pub(in crate::parse) struct Member<'a> {
    /// Where its name begins, with the quote.
    pub(in crate::parse) start: usize,
    pub(in crate::parse) end: usize,
    /// As they were written.
    pub(in crate::parse) name: Written<'a>,
    pub(in crate::parse) value: Written<'a>,
}

/// A valid JSON value, for strings with the quotes.
#[derive(Clone, Copy)]
pub(in crate::parse) struct Written<'a> {
    pub(in crate::parse) json: &'a str,
    has_escapes: bool,
}

impl<'a> Member<'a> {
    pub(in crate::parse) fn is(&self, name: &str) -> bool {
        match self.name.has_escapes {
            false => self.name.inside() == Some(name),
            true => self.name.text().is_some_and(|own| own == name),
        }
    }
}

impl<'a> Written<'a> {
    /// What a string says, or how a number is written.
    pub(in crate::parse) fn text(self) -> Option<Cow<'a, str>> {
        match self.json.as_bytes().first()? {
            b'"' if self.has_escapes => serde_json::from_str(self.json).ok().map(Cow::Owned),
            b'"' => self.inside().map(Cow::Borrowed),
            b'-' | b'0'..=b'9' => Some(Cow::Borrowed(self.json)),
            _ => None,
        }
    }

    /// What stands between the quotes, escapes and all.
    pub(in crate::parse) fn inside(self) -> Option<&'a str> {
        self.json.strip_prefix('"')?.strip_suffix('"')
    }
}

/// Whether this, which begins with a quote, is one JSON string.
pub(in crate::parse) fn is_string(text: &str) -> bool {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 1 };
    text.starts_with('"') && scanner.string().is_some() && scanner.at == text.len()
}

/// Calls for each member, and says where they are: from the first to the last, without the space around. `None` where
/// the line is no valid JSON object; what was called for by then means nothing.
pub(in crate::parse) fn members<'a>(line: &'a str, mut each: impl FnMut(Member<'a>)) -> Option<Range<usize>> {
    let mut scanner = Scanner { text: line, bytes: line.as_bytes(), at: 0 };
    scanner.space();
    scanner.expect(b'{')?;
    scanner.space();
    let from = scanner.at;
    let mut end = from;
    if scanner.peek()? == b'}' {
        scanner.at += 1;
    } else {
        loop {
            let start = scanner.at;
            let name = scanner.name()?;
            let value_start = scanner.at;
            let has_escapes = scanner.value()?;
            end = scanner.at;
            let value = Written { json: line.get(value_start..end)?, has_escapes };
            each(Member { start, end, name, value });
            scanner.space();
            match scanner.next()? {
                b',' => scanner.space(),
                b'}' => break,
                _ => return None,
            }
        }
    }
    scanner.space();
    (scanner.at == line.len()).then_some(from..end)
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// A name and the colon after it, up to the value.
    fn name(&mut self) -> Option<Written<'a>> {
        let start = self.at;
        self.expect(b'"')?;
        let has_escapes = self.string()?;
        let json = self.text.get(start..self.at)?;
        self.space();
        self.expect(b':')?;
        self.space();
        Some(Written { json, has_escapes })
    }

    /// Any value. Says whether it is a string with escapes.
    fn value(&mut self) -> Option<bool> {
        match self.next()? {
            b'{' => self.container(true).map(|()| false),
            b'[' => self.container(false).map(|()| false),
            first => self.scalar(first),
        }
    }

    /// After its opening bracket, past the closing one.
    fn container(&mut self, is_object: bool) -> Option<()> {
        // Which of the containers around are objects, the innermost in the lowest bit.
        let (mut objects, mut depth) = (u128::from(is_object), 1);
        let mut is_first = true;
        loop {
            let is_object = objects & 1 == 1;
            self.space();
            match self.peek()? {
                b'}' if is_object => self.at += 1,
                b']' if !is_object => self.at += 1,
                _ => {
                    if !is_first {
                        self.expect(b',')?;
                        self.space();
                    }
                    if is_object {
                        self.name()?;
                    }
                    is_first = false;
                    match self.next()? {
                        open @ (b'{' | b'[') => {
                            objects = objects << 1 | u128::from(open == b'{');
                            depth += 1;
                            is_first = true;
                            if depth > DEEPEST {
                                return None;
                            }
                        }
                        first => {
                            self.scalar(first)?;
                        }
                    }
                    continue;
                }
            }
            (objects, depth, is_first) = (objects >> 1, depth - 1, false);
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// What is no container. Says whether it is a string with escapes.
    fn scalar(&mut self, first: u8) -> Option<bool> {
        match first {
            b'"' => return self.string(),
            b't' => self.word(b"rue")?,
            b'f' => self.word(b"alse")?,
            b'n' => self.word(b"ull")?,
            _ => self.number(first)?,
        }
        Some(false)
    }

    /// After the opening quote, past the closing one. Says whether there are escapes.
    fn string(&mut self) -> Option<bool> {
        let mut has_escapes = false;
        loop {
            self.at = scan::plain_until(self.bytes, self.at);
            match self.next()? {
                b'"' => return Some(has_escapes),
                b'\\' => self.escape()?,
                _ => return None,
            }
            has_escapes = true;
        }
    }

    /// After the backslash.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.unit()? {
                0xd800..0xdc00 => {
                    self.expect(b'\\')?;
                    self.expect(b'u')?;
                    (0xdc00..0xe000).contains(&self.unit()?).then_some(())
                }
                0xdc00..0xe000 => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | (*digit as char).to_digit(16)?))
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(rest).then(|| self.at += rest.len())
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let start = self.at - 1;
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        let has_exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if has_exponent {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        // The only numbers that may be too large for anybody.
        if has_exponent || self.at - start > 300 {
            serde_json::from_str::<f64>(self.text.get(start..self.at)?).ok()?;
        }
        Some(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let from = self.at;
        self.digits();
        (self.at > from).then_some(())
    }
}
