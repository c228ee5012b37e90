//! Sizes in bytes as Kubernetes and people write them: `64Mi`, `512k`, `10MB`, `1.5GiB`, `4096`.

use std::{fmt, str::FromStr};

use crate::number::scaled;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const EXPECTED: &str = "expected a size such as 4096, 512Ki, 64Mi or 10MB";

fn unit_bytes(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    Some(match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        _ => return None,
    })
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit = unit_bytes(unit.trim_start()).ok_or(EXPECTED)?;
        let bytes = scaled(number, unit).and_then(|bytes| u64::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| EXPECTED.into())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_binary_and_decimal_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64Mi", 67_108_864),
            ("10MB", 10_000_000),
            ("512k", 512_000),
            ("1.5KiB", 1536),
            ("9007199254740993.0", 9_007_199_254_740_993),
        ] {
            assert_eq!(text.parse::<ByteSize>(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "Mi", "-1", "1X", "1..2k", "99999999999999999999", "99999999999999999999.0"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn prints_the_largest_whole_unit() {
        assert_eq!(ByteSize(67_108_864).to_string(), "64Mi");
        assert_eq!(ByteSize(1500).to_string(), "1500");
    }
}
