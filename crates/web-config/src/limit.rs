//! How many requests may come in: a bucket that fills by one in each interval.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub burst: u32,
    /// Above zero.
    pub interval: Duration,
}

#[derive(Debug)]
pub(crate) struct Limit {
    rate: Rate,
    /// What is left, and when that was.
    left: Mutex<(f64, Instant)>,
}

impl Limit {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, left: Mutex::new((f64::from(rate.burst), Instant::now())) }
    }

    pub(crate) fn takes_one(&self, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(left.1).as_secs_f64() / self.rate.interval.as_secs_f64();
        *left = ((left.0 + passed).min(f64::from(self.rate.burst)), now);
        let takes = left.0 >= 1.0;
        if takes {
            left.0 -= 1.0;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_comes_in_and_then_one_in_each_interval() {
        let limit = Limit::new(Rate { burst: 2, interval: Duration::from_secs(10) });
        let start = Instant::now();
        let at = |seconds| limit.takes_one(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 0, 0, 9, 11, 11, 100, 100, 100].map(at),
            [true, true, false, false, true, false, true, true, false]
        );
    }
}
