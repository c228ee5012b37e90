//! When to try again: later each time, never all at once, and not before the server wants to.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime};

/// Exponential backoff with full jitter. The waits double from `first` to `most`; each is drawn between a tenth
/// of that and all of it, so that a hundred pods whose server restarted do not come back in the same second.
#[derive(Clone, Debug)]
pub struct Backoff {
    /// The ceiling of the first wait.
    pub first: Duration,
    /// The ceiling of every wait.
    pub most: Duration,
    /// The longest Retry-After we obey: a server that says "next year" is mistaken.
    pub most_asked: Duration,
    failures: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(60))
    }
}

impl Backoff {
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, most_asked: most.max(Duration::from_secs(600)), failures: 0 }
    }

    /// How long to wait after one more failure. `retry_after` comes from [`crate::Error::retry_after`]; it only
    /// ever makes the wait longer.
    pub fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        // 2^32 times any first wait is more than `most`: the shift needs no more.
        let ceiling = self.first.saturating_mul(1 << self.failures.min(31)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        let floor = ceiling / 10;
        let drawn = floor + (ceiling - floor).mul_f64(random());
        drawn.max(retry_after.unwrap_or_default().min(self.most_asked))
    }

    /// It worked: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Between 0 and 1. Every RandomState is keyed differently, from the system's randomness: good enough to
/// spread retries, and no crate.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// A Retry-After value, in seconds or as an HTTP date; a date in the past means now.
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn backoff_grows_and_is_bounded() {
        let mut backoff = Backoff::default();
        for ceiling in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let wait = backoff.next(None);
            assert!(wait >= SECOND * ceiling / 10 && wait <= SECOND * ceiling, "{wait:?} of {ceiling}");
        }
        for _ in 0..10_000 {
            assert!(backoff.next(None) <= SECOND * 60);
        }
        backoff.reset();
        assert!(backoff.next(None) <= SECOND);
        let mut endless = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(endless.next(Some(Duration::MAX)) <= Duration::MAX);
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).next(None), Duration::ZERO);
    }

    #[test]
    fn waits_are_spread() {
        let waits: Vec<_> = (0..1000).map(|_| Backoff::default().next(None).as_millis()).collect();
        let (low, high) = (waits.iter().filter(|w| **w < 400).count(), waits.iter().filter(|w| **w > 700).count());
        assert!(low > 200 && high > 200, "{low} below 400 ms, {high} above 700 ms of 1000");
    }

    #[test]
    fn retry_after_only_makes_it_longer_and_is_bounded() {
        assert_eq!(Backoff::default().next(Some(SECOND * 30)), SECOND * 30);
        assert!(Backoff::default().next(Some(Duration::ZERO)) >= SECOND / 10);
        assert_eq!(Backoff::default().next(Some(SECOND * 86_400)), SECOND * 600);
    }

    #[test]
    fn retry_after_is_honoured_in_both_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(parse_retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
        }
    }
}
