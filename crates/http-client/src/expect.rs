//! Which status codes mean that it worked.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// A list of codes and ranges, as typed: `200`, `200-299`, `200-204,409`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect(Vec<RangeInclusive<u16>>);

impl Default for Expect {
    fn default() -> Self {
        Self(vec![200..=299])
    }
}

impl Expect {
    /// Exactly these codes.
    pub fn codes(codes: impl IntoIterator<Item = u16>) -> Self {
        Self(codes.into_iter().map(|code| code..=code).collect())
    }

    /// This one as well.
    #[must_use]
    pub fn and(mut self, code: u16) -> Self {
        self.0.push(code..=code);
        self
    }

    /// Whatever the answer is, there was one.
    pub fn any() -> Self {
        Self(vec![100..=999])
    }

    pub fn accepts(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl FromStr for Expect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = |text: &str| text.trim().parse().ok().filter(|code| (100..=999).contains(code));
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = code(first)?..=code(last)?;
            (!range.is_empty()).then_some(range)
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(Self).ok_or_else(|| format!("{text:?}: expected status codes like 200, 200-299 or 200,409"))
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::any() {
            return f.write_str("any status");
        }
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match range.start() == range.end() {
                true => write!(f, "{comma}{}", range.start())?,
                false => write!(f, "{comma}{}-{}", range.start(), range.end())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for (text, inside, outside) in [("200", 200, 201), ("200-299", 299, 300), ("200-204,409", 409, 205)] {
            let expect: Expect = text.parse().unwrap();
            assert_eq!(expect.to_string(), text);
            assert!(expect.accepts(inside) && !expect.accepts(outside), "{text}");
        }
        assert!(Expect::any().accepts(503));
        assert_eq!(Expect::codes([200, 304]).to_string(), "200,304");
        assert_eq!(Expect::default().and(400).to_string(), "200-299,400");
    }

    #[test]
    fn refuses_what_is_no_status() {
        for text in ["", "99", "1000", "abc", "200-", "300-200", "200,,201", "2xx"] {
            assert!(text.parse::<Expect>().unwrap_err().contains("expected status codes like"), "{text}");
        }
    }
}
