//! Numbers as lines have them.

use std::borrow::Cow;

/// Why a text is no number that can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    NotANumber,
    NotFinite,
}

/// Up to this many digits a number is exact in a double, and so is its division by a power of ten.
const EXACT_DIGITS: usize = 15;
const POWERS: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// What most lines have is read without the machinery for all others.
pub fn float(text: &[u8]) -> Result<f64, Bad> {
    match short_decimal(text) {
        Some(value) => Ok(value),
        None => any(text),
    }
}

fn short_decimal(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.len() > EXACT_DIGITS + 1 {
        return None;
    }
    let (mut mantissa, mut seen, mut after_point) = (0_u64, 0, None);
    for byte in digits {
        match (byte, after_point) {
            (b'0'..=b'9', _) => {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                seen += 1;
            }
            (b'.', None) => after_point = Some(seen),
            _ => return None,
        }
    }
    if seen == 0 || seen > EXACT_DIGITS {
        return None;
    }
    let value = mantissa as f64 / POWERS[after_point.map_or(0, |at| seen - at)];
    Some(if negative { -value } else { value })
}

fn any(text: &[u8]) -> Result<f64, Bad> {
    let text = std::str::from_utf8(text).map_err(|_| Bad::NotANumber)?;
    let text = &*without_underscores(text).ok_or(Bad::NotANumber)?;
    let value: f64 = match text.parse() {
        Ok(value) => value,
        Err(_) => hexadecimal(text).ok_or(Bad::NotANumber)?,
    };
    // A number too large for a double is as wrong as one that says that it is infinite, but it is not the same mistake.
    let is_written = text.bytes().any(|byte| byte.is_ascii_digit());
    match value.is_finite() {
        true => Ok(value),
        false if is_written => Err(Bad::NotANumber),
        false => Err(Bad::NotFinite),
    }
}

/// `1_000`, as Go takes it: an underscore is between two digits, or after `0x`.
fn without_underscores(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(text.into());
    }
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let is_prefix = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|byte| matches!(byte, b'x' | b'X'));
    let is_fine = |at: usize| (is_digit(at.checked_sub(1)) || is_prefix(at.checked_sub(1))) && is_digit(Some(at + 1));
    let mut places = text.match_indices('_').map(|(at, _)| at);
    places.all(is_fine).then(|| text.replace('_', "").into())
}

/// `0x1.8p3`, as C and Go print with `%a`.
fn hexadecimal(text: &str) -> Option<f64> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"))?;
    let (digits, exponent) = digits.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 13 {
        return None;
    }
    let mantissa = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    Some(sign * mantissa as f64 * 2_f64.powi(exponent.checked_sub(4 * fraction.len() as i32)?))
}

/// Below this a single line would count for more than a day of traffic.
const LEAST_RATE: f64 = 1e-9;

/// How many lines one of them stands for: `0.1` is 10.
pub fn rate(text: &[u8]) -> Option<f64> {
    let rate = float(text).ok()?;
    match rate {
        // Some clients send 0 for "not sampled".
        0.0 => Some(1.0),
        LEAST_RATE..=1.0 => Some(rate),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        for (text, value) in [
            ("1", 1.0),
            ("-10", -10.0),
            ("+4", 4.0),
            ("0.111090", 0.11109),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("123456789012345", 123_456_789_012_345.0),
            ("1234567890123456789", 1_234_567_890_123_456_800.0),
            ("0.1234567890123456789", 0.123_456_789_012_345_68),
            ("0x10p0", 16.0),
            ("-0x1.8p1", -3.0),
            ("1e-400", 0.0),
            ("1_000.5", 1000.5),
            ("0x_1p0", 1.0),
        ] {
            assert_eq!(float(text.as_bytes()), Ok(value), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_number_or_stays_for_ever() {
        for text in ["", "-", ".", "1o", "1__0", "_1", "1_", "1_.5", " 1", "1 ", "0x10", "--1", "1e400", "1,5"] {
            assert_eq!(float(text.as_bytes()), Err(Bad::NotANumber), "{text}");
        }
        for text in ["NaN", "nan", "Inf", "+Inf", "-infinity"] {
            assert_eq!(float(text.as_bytes()), Err(Bad::NotFinite), "{text}");
        }
    }

    #[test]
    fn rates_are_between_nothing_and_one() {
        assert_eq!(rate(b"0.1"), Some(0.1));
        assert_eq!(rate(b"0"), Some(1.0));
        for text in ["2", "-1", "NaN", "Inf", "1e-30", "bar", ""] {
            assert_eq!(rate(text.as_bytes()), None, "{text}");
        }
    }
}
