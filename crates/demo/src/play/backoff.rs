//! How long a container that has ended is waited with before it is started again.

use std::time::Duration;

/// Longer is no wait, it is a failure.
const LONGEST: Duration = Duration::from_secs(300);
/// Whoever ran for so long begins anew.
const WELL: Duration = Duration::from_secs(600);

/// As a kubelet has it: at once, then 10 s, 20 s, 40 s, up to 5 minutes.
pub struct BackOff {
    first: Duration,
    next: Option<Duration>,
}

impl BackOff {
    pub fn new(first: Duration) -> Self {
        Self { first, next: None }
    }

    /// After a run of this length.
    pub fn next(&mut self, ran: Duration) -> Duration {
        let wait = match self.next {
            Some(wait) if ran < WELL => wait,
            _ => {
                self.next = Some(self.first);
                return Duration::ZERO;
            }
        };
        self.next = Some((wait * 2).min(LONGEST));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_five_minutes_and_begin_anew_after_ten_good_ones() {
        let mut back_off = BackOff::new(Duration::from_secs(10));
        let mut next = |ran| back_off.next(Duration::from_secs(ran)).as_secs();
        let waits: Vec<_> = (0..8).map(|_| next(1)).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!((next(600), next(1)), (0, 10));
    }
}
