//! What kind of value a field is, where somebody said so: everything a line has is text at first.

use crate::record::Value;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    Integer,
    Float,
    Bool,
    Hex,
    #[default]
    Text,
}

/// The types of the fields that are not text, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types(Vec<(String, Type)>);

impl Types {
    /// `code:integer size:integer`; commas are as good as spaces. Says all that is wrong with it.
    pub fn parse(spec: &str) -> Result<Self, String> {
        let mut types = Vec::new();
        let mut problems = Vec::new();
        for pair in spec.split([' ', '\t', ',']).filter(|pair| !pair.is_empty()) {
            let known = pair.rsplit_once(':').filter(|(name, _)| !name.is_empty());
            match known.and_then(|(name, kind)| Some((name.to_owned(), Type::named(kind)?))) {
                Some(typed) => types.push(typed),
                None => problems.push(format!("`{pair}`: expected NAME:integer, float, bool, hex or string")),
            }
        }
        if problems.is_empty() { Ok(Self(types)) } else { Err(problems.join("; ")) }
    }

    pub fn of(&self, name: &str) -> Type {
        self.0.iter().find(|(known, _)| known == name).map_or(Type::Text, |(_, kind)| *kind)
    }
}

impl Type {
    fn named(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "integer" => Self::Integer,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "hex" => Self::Hex,
            "string" => Self::Text,
            _ => return None,
        })
    }

    /// Numbers are read as far as they go, as C does it: `12ms` is 12, and `-`, which web servers write for nothing, is
    /// 0. An index that has the field as a number refuses a record in which it is text. What no number can hold stays
    /// text all the same.
    pub fn cast(self, text: &str) -> Value<'_> {
        let known = match self {
            Self::Text => None,
            Self::Integer => Some(Value::Integer(integer(text, 10))),
            Self::Hex => hex(text).map(Value::Integer),
            Self::Float => float(text).map(Value::Float),
            Self::Bool => boolean(text).map(Value::Bool),
        };
        known.unwrap_or(Value::Text(text))
    }
}

/// Stops at the largest or smallest number there is.
fn integer(text: &str, radix: u32) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    for digit in digits.chars().map_while(|char| char.to_digit(radix)) {
        let digit = i64::from(digit);
        value = value.saturating_mul(i64::from(radix));
        value = if negative { value.saturating_sub(digit) } else { value.saturating_add(digit) };
    }
    value
}

/// With or without `0x`. Half of what 64 bits can hold is too large for the numbers we have.
fn hex(text: &str) -> Option<i64> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let end = digits.bytes().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(digits.len());
    match &digits[..end] {
        "" => Some(0),
        digits => i64::from_str_radix(digits, 16).ok(),
    }
}

fn float(text: &str) -> Option<f64> {
    let text = text.trim_ascii_start();
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let whole = digits(end);
    end += whole;
    let mut seen = whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        seen += fraction;
        end += 1 + fraction;
    }
    if seen == 0 {
        return Some(0.0);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    text[..end].parse().ok().filter(|value: &f64| value.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    let begins = |word: &str| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    if begins("true") {
        Some(true)
    } else if begins("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_what_they_are_said_to_be() {
        for (kind, text, value) in [
            (Type::Integer, "200", Value::Integer(200)),
            (Type::Integer, " -12ms", Value::Integer(-12)),
            (Type::Integer, "+7", Value::Integer(7)),
            (Type::Integer, "-", Value::Integer(0)),
            (Type::Integer, "", Value::Integer(0)),
            (Type::Integer, "é", Value::Integer(0)),
            (Type::Integer, "99999999999999999999", Value::Integer(i64::MAX)),
            (Type::Integer, "-99999999999999999999", Value::Integer(i64::MIN)),
            (Type::Integer, "-9223372036854775808", Value::Integer(i64::MIN)),
            (Type::Hex, "ff", Value::Integer(255)),
            (Type::Hex, "0xFFzz", Value::Integer(255)),
            (Type::Hex, "x", Value::Integer(0)),
            (Type::Hex, "ffffffffffffffff", Value::Text("ffffffffffffffff")),
            (Type::Float, "0.25", Value::Float(0.25)),
            (Type::Float, "1.5e3s", Value::Float(1500.0)),
            (Type::Float, "1.5e", Value::Float(1.5)),
            (Type::Float, "1.5e+", Value::Float(1.5)),
            (Type::Float, ".5", Value::Float(0.5)),
            (Type::Float, "5.", Value::Float(5.0)),
            (Type::Float, "-", Value::Float(0.0)),
            (Type::Float, ".", Value::Float(0.0)),
            (Type::Float, "nan", Value::Float(0.0)),
            (Type::Float, "1e999", Value::Text("1e999")),
            (Type::Bool, "TRUE", Value::Bool(true)),
            (Type::Bool, "False", Value::Bool(false)),
            (Type::Bool, "yes", Value::Text("yes")),
            (Type::Bool, "tru\u{e9}", Value::Text("tru\u{e9}")),
            (Type::Text, "1", Value::Text("1")),
        ] {
            assert_eq!(kind.cast(text), value, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_with_types_is_said_at_once() {
        let types = Types::parse("code:integer, took:Float  a:b:bool").unwrap();
        assert_eq!(types.of("code"), Type::Integer);
        assert_eq!(types.of("took"), Type::Float);
        assert_eq!(types.of("a:b"), Type::Bool);
        assert_eq!(types.of("else"), Type::Text);
        let wrong = Types::parse("code:number size :hex").unwrap_err();
        assert_eq!(wrong.matches("expected NAME:integer").count(), 3, "{wrong}");
        assert_eq!(Types::parse(""), Ok(Types::default()));
    }
}
