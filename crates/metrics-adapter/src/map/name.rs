//! Names of metrics: what is not a letter, a digit or `_` becomes `_`.

use std::borrow::Cow;

/// As the peer does it: several `-` in a row become one `_`, and a digit in front gets one before it.
pub fn escape(name: &str) -> Cow<'_, str> {
    let digit_first = name.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    if !digit_first && name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 1);
    if digit_first {
        escaped.push('_');
    }
    let mut before = None;
    for char in name.chars() {
        if u8::try_from(char).is_ok_and(is_plain) {
            escaped.push(char);
        } else if char != '-' || before != Some('-') {
            escaped.push('_');
        }
        before = Some(char);
    }
    Cow::Owned(escaped)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_one_that_may_be_exposed() {
        for (name, expected) in [
            ("", ""),
            ("clean", "clean"),
            ("0starts_with_digit", "_0starts_with_digit"),
            ("under_score", "under_score"),
            ("with.a-dash", "with_a_dash"),
            ("foo--bar", "foo_bar"),
            ("foo---bar-", "foo_bar_"),
            ("a--.b", "a__b"),
            ("with😱emoji", "with_emoji"),
            ("1.2", "_1_2"),
            ("Björn", "Bj_rn"),
        ] {
            assert_eq!(escape(name), expected, "{name}");
        }
    }
}
