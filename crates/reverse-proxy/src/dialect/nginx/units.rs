//! Times and sizes as nginx writes them.

use std::time::Duration;

/// `60`, `60s`, `1m 30s`, `500ms`.
pub fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("invalid value \"{text}\"");
    let mut total: u64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let scale = match &rest[..end] {
            "ms" => 1,
            "s" | "" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "M" => 2_592_000_000,
            "y" => 31_536_000_000,
            _ => return Err(wrong()),
        };
        rest = rest[end..].trim_start();
        total = number.checked_mul(scale).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
    }
    Ok(Duration::from_millis(total))
}

/// `8k`, `10m`, `1g`, or bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("invalid value \"{text}\"");
    let (number, scale) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale)).ok_or_else(wrong)
}

pub fn flag(name: &str, text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("invalid value \"{text}\" in \"{name}\" directive, it must be \"on\" or \"off\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_sizes() {
        for (text, millis) in
            [("60", 60_000), ("1m", 60_000), ("1m30s", 90_000), ("1m 30s", 90_000), ("500ms", 500), ("0", 0)]
        {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, bytes) in [("1m", 1 << 20), ("8k", 8192), ("0", 0), ("123", 123), ("1G", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "1x", "-1", "99999999999999999999g"] {
            assert!(time(text).is_err() && size(text).is_err(), "{text}");
        }
    }
}
