//! Numbers as Go writes them, which is how Prometheus' own libraries do: `1e+06`, `1.23456789e+08`, `NaN`, `+Inf`.

/// The shortest text that reads back as the same number.
pub(crate) fn push(out: &mut Vec<u8>, number: f64) {
    // Most numbers of a scrape are small and whole.
    if number.abs() < 1e6 && number.fract() == 0.0 {
        if number == 0.0 && number.is_sign_negative() {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(number as i32).as_bytes());
    } else if number.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        push_digits(out, number);
    }
}

/// As [`push`], and with a point in it, so that nobody takes it for a whole number.
pub(crate) fn push_with_point(out: &mut Vec<u8>, number: f64) {
    let start = out.len();
    push(out, number);
    if number.is_finite() && !out[start..].iter().any(|byte| matches!(byte, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// A count: whole as long as it is one.
pub(crate) fn push_count(out: &mut Vec<u8>, number: f64) {
    match whole(number) {
        Some(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        None => push(out, number),
    }
}

/// A count, if it is a whole number.
pub(crate) fn whole(number: f64) -> Option<u64> {
    let is_whole = number.fract() == 0.0 && number >= 0.0 && number < u64::MAX as f64;
    is_whole.then_some(number as u64)
}

fn push_digits(out: &mut Vec<u8>, number: f64) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(number.abs());
    if number.is_sign_negative() {
        out.push(b'-');
    }
    let (digits, power) = digits(text);
    // Where the point is: after the first digit it is 1.
    let point = power + digits.len as i32;
    let digits = &digits.bytes[..digits.len];
    let exponent = point - 1;
    if !(-4..SHORTEST).contains(&exponent) {
        push_exponent(out, digits, exponent);
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + point.unsigned_abs() as usize, b'0');
        out.extend_from_slice(digits);
    } else if digits.len() as i32 <= point {
        out.extend_from_slice(digits);
        out.resize(out.len() + (point as usize - digits.len()), b'0');
    } else {
        let (whole, rest) = digits.split_at(point as usize);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(rest);
    }
}

/// With so many digits before the point there is an exponent.
const SHORTEST: i32 = 6;

fn push_exponent(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.abs() < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(exponent.abs()).as_bytes());
}

/// The digits that count, and the power of ten of the last.
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

fn digits(text: &str) -> (Digits, i32) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = Digits { bytes: [0; 32], len: 0 };
    let mut power = exponent - fraction.len() as i32;
    for byte in whole.bytes().chain(fraction.bytes()) {
        // Zeros in front do not count, and no shortest number has more than 17 digits that do.
        if (digits.len > 0 || byte != b'0') && digits.len < digits.bytes.len() {
            digits.bytes[digits.len] = byte;
            digits.len += 1;
        }
    }
    while digits.len > 1 && digits.bytes[digits.len - 1] == b'0' {
        digits.len -= 1;
        power += 1;
    }
    (digits, power)
}

/// A number as Prometheus reads it: decimal, or one of the words for what is none.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_word = || ["inf", "infinity", "nan"].iter().any(|word| unsigned.eq_ignore_ascii_case(word));
    let is_decimal = unsigned.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_decimal || is_word() { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(number: f64) -> String {
        let mut out = Vec::new();
        push(&mut out, number);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_look_as_go_writes_them() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15"),
            (1e21, "1e+21"),
            (1e100, "1e+100"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_123, "0.000123"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (5e-324, "5e-324"),
            (123_456.789, "123456.789"),
            (1_756_047.3, "1.7560473e+06"),
            (172.8, "172.8"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (3.14e42, "3.14e+42"),
        ] {
            assert_eq!(written(number), expected);
        }
    }

    proptest! {
        #[test]
        fn a_number_reads_back_as_itself(bits: u64) {
            let number = f64::from_bits(bits);
            let read: f64 = written(number).parse().unwrap();
            prop_assert!(read == number || read.is_nan() && number.is_nan());
        }
    }
}
