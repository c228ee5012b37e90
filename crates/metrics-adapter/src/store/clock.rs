//! Time in steps of a tenth of a second: fine enough for what ages here, and four bytes in each series.

use std::time::{Duration, Instant, SystemTime};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u32);

const PER_SECOND: u128 = 10;

impl Tick {
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// A time that is not zero is not nothing.
    pub fn span(time: Duration) -> u32 {
        let ticks = (time.as_millis() * PER_SECOND).div_ceil(1000);
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

/// Counts from the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    at: SystemTime,
}

impl Clock {
    pub fn start() -> Self {
        Self { began: Instant::now(), at: SystemTime::now() }
    }

    pub fn now(&self) -> Tick {
        Tick((self.began.elapsed().as_millis() * PER_SECOND / 1000) as u32)
    }

    /// Seconds since the Unix epoch.
    pub fn seconds(&self, tick: Tick) -> f64 {
        let began = self.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = began + Duration::from_millis(u64::from(tick.0) * 1000 / PER_SECOND as u64);
        at.as_millis() as f64 / 1000.0
    }
}
