//! Reading JSON that is known to be valid, token by token: for outputs that say it in another format.
//!
//! What is not valid ends early, and [`Walk::is_done`] is false then; nothing else goes wrong.

use memchr::{memchr, memchr2};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    Object,
    Array,
    /// Of the innermost object or array.
    End,
    /// The name of a member; its value comes next.
    Name(Text<'a>),
    Text(Text<'a>),
    Number(&'a str),
    Bool(bool),
    Null,
}

/// What stands between two quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    pub inside: &'a str,
    pub has_escapes: bool,
}

pub struct Walk<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Walk<'a> {
    /// Through a value, or through the members of an object without its braces.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// How many objects and arrays are open.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Whether everything was understood, to the end.
    pub fn is_done(&self) -> bool {
        self.at == self.text.len() && self.depth == 0
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn open(&mut self, token: Token<'a>) -> Token<'a> {
        self.at += 1;
        self.depth += 1;
        token
    }

    fn text(&mut self) -> Option<Token<'a>> {
        let from = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = from;
        let mut has_escapes = false;
        loop {
            at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
            if bytes[at] == b'"' {
                break;
            }
            has_escapes = true;
            at += 2;
        }
        let text = Text { inside: self.text.get(from..at)?, has_escapes };
        self.at = at + 1;
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        Some(if bytes.get(self.at) == Some(&b':') { Token::Name(text) } else { Token::Text(text) })
    }

    fn number(&mut self) -> Option<Token<'a>> {
        let rest = self.text.get(self.at..)?;
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let end = rest.bytes().position(|byte| !is_part(&byte)).unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| Token::Number(&rest[..end]))
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Option<Token<'a>> {
        let is_it = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        is_it.then(|| {
            self.at += word.len();
            token
        })
    }

    /// What comes next as it is written, if it is a value: to be looked at by somebody else.
    pub fn value(&mut self) -> Option<&'a str> {
        self.peek()?;
        let (from, depth) = (self.at, self.depth);
        loop {
            self.next()?;
            if self.depth <= depth {
                return self.text.get(from..self.at).map(str::trim_end);
            }
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        match self.peek()? {
            b'"' => self.text(),
            b'{' => Some(self.open(Token::Object)),
            b'[' => Some(self.open(Token::Array)),
            b'}' | b']' => {
                self.depth = self.depth.checked_sub(1)?;
                self.at += 1;
                Some(Token::End)
            }
            b't' => self.word("true", Token::Bool(true)),
            b'f' => self.word("false", Token::Bool(false)),
            b'n' => self.word("null", Token::Null),
            _ => self.number(),
        }
    }
}

impl Text<'_> {
    /// Adds what it says. Half of a surrogate pair, which is no character, becomes U+FFFD.
    pub fn unescape(&self, into: &mut Vec<u8>) {
        let mut rest = self.inside.as_bytes();
        if self.has_escapes {
            while let Some(at) = memchr(b'\\', rest) {
                into.extend_from_slice(&rest[..at]);
                rest = &rest[at + 1..];
                rest = escape(rest, into);
            }
        }
        into.extend_from_slice(rest);
    }

    pub fn is(&self, text: &str) -> bool {
        if !self.has_escapes {
            return self.inside == text;
        }
        let mut said = Vec::new();
        self.unescape(&mut said);
        said == text.as_bytes()
    }
}

/// Adds what an escape stands for, and returns what comes after it.
fn escape<'a>(rest: &'a [u8], into: &mut Vec<u8>) -> &'a [u8] {
    let Some((kind, after)) = rest.split_first() else { return rest };
    let plain = match kind {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'u' => {
            let (char, after) = unicode(after);
            into.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            return after;
        }
        other => *other,
    };
    into.push(plain);
    after
}

fn unicode(rest: &[u8]) -> (char, &[u8]) {
    let half = |text: &[u8]| {
        let digits = std::str::from_utf8(text.get(..4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let (Some(first), Some(after)) = (half(rest), rest.get(4..)) else { return (char::REPLACEMENT_CHARACTER, rest) };
    if (0xd800..0xdc00).contains(&first)
        && let Some(low) = after.strip_prefix(b"\\u")
        && let Some(second) = half(low).filter(|second| (0xdc00..0xe000).contains(second))
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), &low[4..]);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &Text<'_>) -> String {
        let mut bytes = Vec::new();
        text.unescape(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn tokens_come_in_their_order() {
        let text = r#" {"a" : [1,-2.5e3 , true,null],"b\n":{"c":"x\"y"}, "d":false} "#;
        let tokens: Vec<String> = Walk::new(text)
            .map(|token| match token {
                Token::Name(text) => format!("{}:", said(&text)),
                Token::Text(text) => said(&text),
                Token::Number(number) => number.into(),
                other => format!("{other:?}"),
            })
            .collect();
        let wanted = "Object a: Array 1 -2.5e3 Bool(true) Null End b\n: Object c: x\"y End d: Bool(false) End";
        assert_eq!(tokens.join(" "), wanted);
    }

    #[test]
    fn a_value_can_be_passed_over() {
        let mut walk = Walk::new(r#""a":{"b":[1,{}]} ,"c":"d" , "e": 1 "#);
        let mut values = Vec::new();
        while let Some(Token::Name(_)) = walk.next() {
            values.push(walk.value().unwrap());
        }
        assert_eq!(values, [r#"{"b":[1,{}]}"#, "\"d\"", "1"]);
        assert!(walk.is_done());
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,12}".prop_map(serde_json::Value::String),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
                proptest::collection::vec((".{0,6}", inner), 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn count(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(items) => 2 + items.iter().map(count).sum::<usize>(),
            serde_json::Value::Object(members) => 2 + members.values().map(|value| 1 + count(value)).sum::<usize>(),
            _ => 1,
        }
    }

    proptest! {
        #[test]
        fn every_valid_text_is_walked_to_its_end(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let mut walk = Walk::new(&text);
            prop_assert_eq!(walk.by_ref().count(), count(&value));
            prop_assert!(walk.is_done());
        }

        #[test]
        fn strings_say_what_serde_says(text in ".{0,40}") {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let quoted = serde_json::to_string(&text).unwrap();
            for inside in [escaped.as_str(), &quoted[1..quoted.len() - 1]] {
                prop_assert_eq!(said(&Text { inside, has_escapes: true }), text.clone());
            }
        }

        #[test]
        fn anything_else_ends(text in "[\\[\\]{}\",:0-9a-e\\\\ ]{0,40}") {
            for token in Walk::new(&text) {
                if let Token::Text(text) | Token::Name(text) = token {
                    text.unescape(&mut Vec::new());
                }
            }
        }
    }
}
