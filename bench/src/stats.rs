//! Percentiles, and how they are written.

use std::time::Duration;

/// Of some durations; `None` of none.
pub(crate) fn percentile(samples: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// How many times ours the peer needs.
pub(crate) fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours > 0.0 && theirs < ours => format!("{:.2}x", theirs / ours),
        (Some(ours), Some(theirs)) if ours > 0.0 => format!("{:.1}x", theirs / ours),
        _ => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_that_were_seen() {
        let samples: Vec<_> = (1..=50).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&samples, 50), Some(Duration::from_millis(25)));
        assert_eq!(percentile(&samples, 99), Some(Duration::from_millis(50)));
        assert_eq!(percentile(&[], 50), None);
    }
}
