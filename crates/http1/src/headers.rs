//! The header list: in the order it came, one allocation for all text, looked up without regard to case.

use std::fmt;
use std::ops::Range;

use crate::name::Name;
use crate::token::{is_field_name, is_value_byte, trim};

/// Fields in order. All lines lie in one buffer as `Name: value\r\n`, ready to be sent; removing a field forgets it and
/// leaves its text, so a list is for one message and then cleared.
#[derive(Clone, Default)]
pub struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
    /// Which of the known names may be among them: most messages have few, and are asked for all.
    kinds: u16,
}

#[derive(Clone, Copy)]
struct Field {
    start: u32,
    /// Of the line, with its CRLF.
    end: u32,
    name: u16,
    kind: Name,
}

impl Headers {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.kinds = 0;
    }

    /// Bytes that it holds on to, for whoever keeps lists for later.
    pub fn memory(&self) -> usize {
        self.text.capacity() + self.fields.capacity() * size_of::<Field>()
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Adds at the end, beside what has the same name already. False: not a field name, and nothing was added. What a
    /// value must not hold (CR, LF, NUL, other controls) becomes a space, as RFC 9110 section 5.5 has it.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> bool {
        match self.line(name.as_bytes(), value.as_ref()) {
            Some(field) => {
                self.fields.push(field);
                true
            }
            None => false,
        }
    }

    /// Replaces every field of the name by one, at the place of the first.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> bool {
        let Some(field) = self.line(name.as_bytes(), value.as_ref()) else { return false };
        match self.position(name) {
            None => self.fields.push(field),
            Some(at) => {
                self.fields[at] = field;
                let (text, mut index) = (&self.text, 0);
                self.fields.retain(|other| {
                    index += 1;
                    index - 1 <= at || !other.name_in(text).eq_ignore_ascii_case(name.as_bytes())
                });
            }
        }
        true
    }

    /// Removes every field of the name; how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let before = self.fields.len();
        let text = &self.text;
        self.fields.retain(|field| !field.name_in(text).eq_ignore_ascii_case(name.as_bytes()));
        before - self.fields.len()
    }

    /// Whether there were any.
    pub fn remove_where(&mut self, unwanted: impl Fn(&[u8]) -> bool) -> bool {
        let before = self.fields.len();
        let text = &self.text;
        self.fields.retain(|field| !unwanted(field.name_in(text)));
        before > self.fields.len()
    }

    /// The first value.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The first value, when it is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let wanted = name.as_bytes();
        self.fields
            .iter()
            .filter(move |field| field.name_in(&self.text).eq_ignore_ascii_case(wanted))
            .map(|field| field.value_in(&self.text))
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Name and value of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        // Names are tokens, thus ASCII: from_utf8 does not fail.
        self.fields.iter().map(|field| {
            (std::str::from_utf8(field.name_in(&self.text)).unwrap_or_default(), field.value_in(&self.text))
        })
    }

    /// The buffer that all lines lie in, for whoever makes one copy of it and shares its pieces.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// What each field is to a proxy, and where its name and value lie in the text.
    pub fn places(&self) -> impl Iterator<Item = (Name, Range<usize>, Range<usize>)> {
        self.fields.iter().map(|field| (field.kind, field.name_place(), field.value_place()))
    }

    /// The first value of a field that the proxy itself knows.
    pub fn known(&self, kind: Name) -> Option<&[u8]> {
        self.all_known(kind).next()
    }

    pub fn all_known(&self, kind: Name) -> impl Iterator<Item = &[u8]> {
        let fields = if self.kinds & kind.bit() == 0 { &[] } else { &self.fields[..] };
        fields.iter().filter(move |field| field.kind == kind).map(|field| field.value_in(&self.text))
    }

    /// Whether anything may be here that is for the next machine only.
    pub(crate) fn has_hop_by_hop(&self) -> bool {
        const ALL: [Name; 5] = [Name::Connection, Name::KeepAlive, Name::ProxyConnection, Name::Te, Name::Upgrade];
        ALL.iter().any(|kind| self.kinds & kind.bit() != 0)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Name, &[u8]) -> bool) {
        let text = &self.text;
        self.fields.retain(|field| keep(field.kind, field.name_in(text)));
    }

    /// Whole lines, in order, with what each is.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (Name, &[u8])> {
        self.fields.iter().map(|field| (field.kind, &self.text[field.start as usize..field.end as usize]))
    }

    /// Room for a few fields more than are there, which is what a proxy adds.
    pub(crate) fn reserve(&mut self, fields: usize, bytes: usize) {
        self.fields.reserve(fields + 8);
        self.text.reserve(bytes + 256);
    }

    /// For the parser, which has checked both already.
    pub(crate) fn push_checked(&mut self, name: &[u8], value: &[u8]) -> Name {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
        let kind = Name::of(name);
        self.kinds |= kind.bit();
        let field = Field { start: start as u32, end: self.text.len() as u32, name: name.len() as u16, kind };
        self.fields.push(field);
        kind
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name_in(&self.text).eq_ignore_ascii_case(name.as_bytes()))
    }

    fn line(&mut self, name: &[u8], value: &[u8]) -> Option<Field> {
        let (value, start) = (trim(value), self.text.len());
        let fits = name.len() <= u16::MAX as usize && start + name.len() + value.len() + 4 <= u32::MAX as usize;
        if !fits || !is_field_name(name) {
            return None;
        }
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b": ");
        // All of them, and not up to the first bad one: that can be done for many at once.
        if value.iter().fold(true, |good, byte| good & is_value_byte(*byte)) {
            self.text.extend_from_slice(value);
        } else {
            self.text.extend(value.iter().map(|byte| if is_value_byte(*byte) { *byte } else { b' ' }));
        }
        self.text.extend_from_slice(b"\r\n");
        let (end, kind) = (self.text.len() as u32, Name::of(name));
        self.kinds |= kind.bit();
        Some(Field { start: start as u32, end, name: name.len() as u16, kind })
    }
}

impl Field {
    fn name_place(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.name as usize
    }

    fn value_place(self) -> Range<usize> {
        self.start as usize + self.name as usize + 2..self.end as usize - 2
    }

    fn name_in(self, text: &[u8]) -> &[u8] {
        &text[self.name_place()]
    }

    fn value_in(self, text: &[u8]) -> &[u8] {
        &text[self.value_place()]
    }
}

/// Names only: values hold passwords.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            headers.append(name.as_ref(), value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(headers: &Headers) -> Vec<(String, String)> {
        headers.iter().map(|(n, v)| (n.to_owned(), String::from_utf8_lossy(v).into_owned())).collect()
    }

    #[test]
    fn order_stays_and_case_does_not_matter() {
        let mut headers = Headers::from_iter([("B", "1"), ("a", "2"), ("b", "3"), ("C", "4")]);
        assert_eq!(headers.get("b"), Some(&b"1"[..]));
        assert_eq!(headers.get_all("B").count(), 2);
        assert!(headers.set("b", "9"));
        assert_eq!(list(&headers), [("b", "9"), ("a", "2"), ("C", "4")].map(|(n, v)| (n.into(), v.into())));
        assert_eq!((headers.remove("A"), headers.remove("x"), headers.len()), (1, 0, 2));
    }

    #[test]
    fn no_value_can_end_a_line() {
        let mut headers = Headers::new();
        assert!(headers.append("x", " a\r\nEvil: 1\0 "));
        // The NUL became a space after the trimming: harmless there.
        assert_eq!(headers.get("x"), Some(&b"a  Evil: 1 "[..]));
        for name in ["", "a b", "a:", "a\r", "\u{e4}"] {
            assert!(!headers.append(name, "1") && !headers.set(name, "1"), "{name:?}");
        }
        assert_eq!(headers.len(), 1);
    }
}
