//! Names: which may stand without quotes, and what becomes of the others for a reader that knows no quotes.

use std::borrow::Cow;

/// A metric's name that any reader takes.
pub fn is_plain_name(name: &str) -> bool {
    is_plain(name, |byte| byte == b':')
}

/// A label's name that any reader takes.
pub fn is_plain_label(name: &str) -> bool {
    is_plain(name, |_| false)
}

fn is_plain(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || also(byte);
    let mut bytes = name.bytes();
    bytes.next().is_some_and(&first) && bytes.all(|byte| first(byte) || byte.is_ascii_digit())
}

/// What becomes of a name that is not plain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// It is quoted.
    AllowUtf8,
    /// Each strange character becomes `_`.
    #[default]
    Underscores,
    /// Dots become `_dot_`, other strange characters `__`.
    Dots,
    /// `U__` in front, and each strange character becomes `_` its number `_`.
    Values,
}

impl Escaping {
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values].into_iter().find(|one| one.name() == name)
    }

    /// Prometheus escapes names of labels by the rule for names of metrics, in which a colon is plain.
    pub(crate) fn apply(self, name: &str) -> Cow<'_, str> {
        if name.is_empty() || self == Self::AllowUtf8 {
            return Cow::Borrowed(name);
        }
        let plain = is_plain_name(name);
        let mut out = String::new();
        let is_fine = |nth: usize, char: char| {
            char.is_ascii_alphabetic() || matches!(char, '_' | ':') || (nth > 0 && char.is_ascii_digit())
        };
        match self {
            Self::AllowUtf8 => return Cow::Borrowed(name),
            Self::Dots => {
                for (nth, char) in name.chars().enumerate() {
                    match char {
                        '_' => out.push_str("__"),
                        '.' => out.push_str("_dot_"),
                        char if is_fine(nth, char) => out.push(char),
                        _ => out.push_str("__"),
                    }
                }
            }
            _ if plain => return Cow::Borrowed(name),
            Self::Underscores => {
                out.extend(name.chars().enumerate().map(|(nth, char)| if is_fine(nth, char) { char } else { '_' }));
            }
            Self::Values => {
                out.push_str("U__");
                for (nth, char) in name.chars().enumerate() {
                    match char {
                        '_' => out.push_str("__"),
                        char if is_fine(nth, char) => out.push(char),
                        char => out.push_str(&format!("_{:x}_", u32::from(char))),
                    }
                }
            }
        }
        Cow::Owned(out)
    }
}
