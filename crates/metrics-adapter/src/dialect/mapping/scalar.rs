//! Plain values as Go's reader of YAML takes them.

use std::str::FromStr;

/// YAML 1.1: `yes` and `on` are true.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::dialect) struct Bool(pub(super) bool);

impl FromStr for Bool {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // As it is written, in capitals, or with a capital: not any mixture.
        let is = |word: &str| {
            let mut capital = word.to_owned();
            capital[..1].make_ascii_uppercase();
            text == word || text == word.to_ascii_uppercase() || text == capital
        };
        match text {
            _ if ["true", "yes", "on", "y"].into_iter().any(is) => Ok(Self(true)),
            _ if ["false", "no", "off", "n"].into_iter().any(is) => Ok(Self(false)),
            _ => Err("expected true or false"),
        }
    }
}

/// A number that is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Float(pub(super) f64);

impl FromStr for Float {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected a number";
        let infinite = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
        if infinite == ".inf" {
            return Ok(Self(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        let digits = text.replace('_', "");
        let is_decimal =
            digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-' | b'e' | b'E'));
        let number: f64 = if is_decimal { digits.parse().map_err(|_| expected)? } else { return Err(expected) };
        if number.is_finite() { Ok(Self(number)) } else { Err(expected) }
    }
}

/// What values are multiplied with: not infinite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale(pub(super) f64);

impl FromStr for Scale {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|Float(number)| number).and_then(|number| {
            if number.is_finite() { Ok(Self(number)) } else { Err("expected a number that is not infinite") }
        })
    }
}

/// A number without a sign.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count(pub(super) u32);

impl FromStr for Count {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.replace('_', "").parse().map(Self).map_err(|_| "expected a whole number, 0 or more")
    }
}
