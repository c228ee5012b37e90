//! How long things have taken, of late.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// More than happen in the time that is looked at.
const KEPT: usize = 2000;
const OF_LATE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Timings {
    late: Mutex<VecDeque<(Instant, Duration)>>,
    good: AtomicU64,
    failed: AtomicU64,
}

impl Timings {
    pub fn add(&self, took: Duration) {
        self.good.fetch_add(1, Ordering::Relaxed);
        let mut all = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == KEPT {
            all.pop_front();
        }
        all.push_back((Instant::now(), took));
    }

    /// One that did not go well has no time.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there have ever been, good ones and others.
    pub fn counts(&self) -> (u64, u64) {
        (self.good.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// The median and what one of a hundred exceeds, in ms.
    pub fn shares(&self) -> Option<(f64, f64)> {
        let all = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let late = all.iter().rev().take_while(|(at, _)| at.elapsed() < OF_LATE);
        let mut sorted: Vec<f64> = late.map(|(_, took)| took.as_secs_f64() * 1e3).collect();
        drop(all);
        sorted.sort_by(f64::total_cmp);
        let share = |part: f64| sorted.get(((sorted.len() as f64 * part) as usize).min(sorted.len().checked_sub(1)?));
        share(0.5).copied().zip(share(0.99).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_visit_is_in_the_tail_only() {
        let timings = Timings::default();
        assert_eq!(timings.shares(), None);
        for _ in 0..99 {
            timings.add(Duration::from_millis(1));
        }
        timings.add(Duration::from_millis(90));
        timings.failed();
        assert_eq!(timings.shares(), Some((1.0, 90.0)));
        assert_eq!(timings.counts(), (100, 1));
    }
}
