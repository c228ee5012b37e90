//! Durations in Go's spelling: `300ms`, `1.5h`, `1h30m`, and a bare `0`.

use std::{fmt, str::FromStr, time::Duration};

use crate::number::scaled;

/// A length of time as people write it in manifests. Converts to and from [`Duration`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

const EXPECTED: &str = "expected a duration such as 500ms, 30s or 1h30m";

/// Nanoseconds in one unit. `d` and `w` are Prometheus' spelling, the rest is Go's.
fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 604_800_000_000_000,
        _ => return None,
    })
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self(Duration::ZERO));
        }
        if rest.is_empty() {
            return Err(EXPECTED.into());
        }
        if rest.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("missing unit, did you mean \"{rest}s\"? ({EXPECTED})"));
        }
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_len);
            let unit = unit_nanos(unit).ok_or(EXPECTED)?;
            nanos = scaled(number, unit).and_then(|part| nanos.checked_add(part)).ok_or(EXPECTED)?;
            rest = tail;
        }
        let nanos = u64::try_from(nanos).map_err(|_| "expected a duration below 584 years")?;
        Ok(Self(Duration::from_nanos(nanos)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let mut rest = nanos;
        for unit in ["h", "m", "s", "ms", "us", "ns"] {
            let size = unit_nanos(unit).map_or(1, u128::from);
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        text.parse::<Span>().ok().map(|span| span.0)
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("60s", 60_000),
            ("1m30s", 90_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("2d", 172_800_000),
            ("100us", 0),
        ] {
            assert_eq!(parsed(text).map(|d| d.as_millis()), Some(millis), "{text}");
        }
    }

    #[test]
    fn refuses_what_it_would_have_to_guess() {
        for text in ["", "5", "s", "-1s", "1x", "1..5s", ".s", "1e3s", "99999999999999999999s", "1 s", "１s"] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert!("30".parse::<Span>().unwrap_err().contains("\"30s\""));
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["0s", "250ms", "30s", "1m30s", "1h30m", "1s500ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
    }
}
