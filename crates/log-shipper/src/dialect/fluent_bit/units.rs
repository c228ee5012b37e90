//! How times and sizes are spelled there.

use std::time::Duration;

use values::{ByteSize, Span};

/// `5`, `0.5`, `10s`, `5m`, `2h`, `1d`: a bare number is seconds.
pub(in crate::dialect) fn seconds(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a time such as 5, 0.5, 30s, 5m, 2h or 1d";
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| EXPECTED);
    }
    text.to_ascii_lowercase().parse().map(|Span(time)| time).map_err(|_| EXPECTED)
}

/// `32k`, `5MB`, `1M`, `4096`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    text.parse().map(|ByteSize(bytes)| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds() {
        for (text, millis) in [("5", 5000), ("0.2", 200), ("10s", 10_000), ("2h", 7_200_000), ("1d", 86_400_000)] {
            assert_eq!(seconds(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert!(seconds("-1").is_err() && seconds("x").is_err());
    }
}
