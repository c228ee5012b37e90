//! The waiting side: settles bursts, ticks where events are not enough, and lets the survey run where it may block.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::signal::{Pending, Signal};
use crate::survey::{Report, Sight, Surveyor};
use crate::{Mode, Options, Polling, Target, Wake};

/// An exhausted inotify is tried again at least this often.
const LONGEST_RETRY: Duration = Duration::from_secs(600);

/// Watches its targets until it is dropped.
pub struct FileWatch {
    targets: Arc<[Target]>,
    options: Options,
    signal: Arc<Signal>,
    /// Away while it surveys; never there when only polling was asked for.
    surveyor: Option<Surveyor>,
    /// Kept here, so that dropping the future of [`FileWatch::changed`] loses nothing.
    surveying: Option<(Wake, JoinHandle<(Surveyor, Report)>)>,
    mode: Mode,
    watches: usize,
    next_tick: Option<Instant>,
    /// When to try inotify again, and how long to wait after the next failure.
    retry: Option<(Instant, Duration)>,
    overflows: Overflows,
}

impl FileWatch {
    /// Starts to watch. Never fails: where events cannot be had it polls and says why in [`FileWatch::mode`].
    ///
    /// Reads the disk; 20,000 directories take about a second.
    pub fn new(targets: Vec<Target>, options: Options) -> FileWatch {
        let mut watch = FileWatch {
            targets: targets.into(),
            options,
            signal: Arc::default(),
            surveyor: None,
            surveying: None,
            mode: Mode::Events,
            watches: 0,
            next_tick: None,
            retry: None,
            overflows: Overflows::default(),
        };
        match watch.options.polling {
            Polling::Auto => {
                let mut surveyor = Surveyor::new(Arc::clone(&watch.targets), Arc::clone(&watch.signal));
                let report = surveyor.survey(Pending::default());
                watch.surveyor = Some(surveyor);
                watch.learn(report);
            }
            Polling::Every(interval) => {
                watch.mode = Mode::Polling { why: "the configuration asks for polling".into() };
                watch.next_tick = Some(Instant::now() + at_least_a_moment(interval));
            }
        }
        watch
    }

    /// Waits until the files may have changed.
    ///
    /// Cancel safe: a change that is noticed while nobody waits is reported by the next call. Needs a tokio runtime
    /// with time enabled.
    pub async fn changed(&mut self) -> Wake {
        loop {
            if self.surveying.is_none() {
                let wake = self.next_wake().await;
                if !self.begin_survey(wake) {
                    return wake;
                }
            }
            if let Some((wake, survey)) = &mut self.surveying {
                let (wake, outcome) = (*wake, survey.await);
                self.surveying = None;
                let (surveyor, report) = outcome.unwrap_or_else(|error| {
                    let surveyor = Surveyor::new(Arc::clone(&self.targets), Arc::clone(&self.signal));
                    let sight = Sight::None(format!("the search for directories to watch failed: {error}"));
                    (surveyor, Report { watches: 0, sight })
                });
                self.surveyor = Some(surveyor);
                self.learn(report);
                return wake;
            }
        }
    }

    /// Stops without tidying up, because the process ends: the kernel takes two watches back in 0.8 ms, and in 6 to 13 ms
    /// when they are removed one by one first, as dropping does it (measured).
    #[expect(clippy::mem_forget, reason = "the process ends")]
    pub fn leave(self) {
        std::mem::forget(self);
    }

    /// How changes are noticed right now; may be another one after each [`FileWatch::changed`].
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// The number of directories watched.
    pub fn watches(&self) -> usize {
        self.watches
    }

    /// Waits for the earlier of a settled burst of events and the polling tick. Changes nothing but the clockwork, after
    /// its last await.
    async fn next_wake(&mut self) -> Wake {
        loop {
            let burst = self.signal.due(&self.options, self.overflows.quiet_until);
            let tick = self.next_tick.map(|at| (at, Wake::Tick));
            let next = [burst, tick].into_iter().flatten().min_by_key(|(at, _)| *at);
            match next {
                None => self.signal.wake.notified().await,
                Some((at, wake)) if at <= Instant::now() => {
                    match wake {
                        Wake::Tick => self.next_tick = Some(Instant::now() + self.interval()),
                        Wake::Rescan => self.overflows.count(&self.options),
                        Wake::Changed => {}
                    }
                    return wake;
                }
                // Late events of the burst move its end; the loop looks again.
                Some((at, _)) => drop(timeout_at(at, self.signal.wake.notified()).await),
            }
        }
    }

    /// Starts the survey that belongs to a wake-up, if one does.
    fn begin_survey(&mut self, wake: Wake) -> bool {
        let worthwhile = |surveyor: &mut Surveyor| {
            surveyor.is_watching() || wake != Wake::Tick || self.retry.is_none_or(|(at, _)| at <= Instant::now())
        };
        let Some(mut surveyor) = self.surveyor.take_if(worthwhile) else {
            return false;
        };
        // Taken before the survey looks at anything: what happens meanwhile is the next wake-up.
        let pending = self.signal.take();
        let survey = tokio::task::spawn_blocking(move || {
            let report = surveyor.survey(pending);
            (surveyor, report)
        });
        self.surveying = Some((wake, survey));
        true
    }

    fn learn(&mut self, report: Report) {
        self.watches = report.watches;
        self.retry = match &report.sight {
            Sight::None(_) => {
                let pause = self.retry.map_or(self.interval(), |(_, pause)| (pause * 2).min(LONGEST_RETRY));
                Some((Instant::now() + pause, pause))
            }
            _ => None,
        };
        self.mode = match report.sight {
            Sight::Full => Mode::Events,
            Sight::Partial(why) | Sight::None(why) => Mode::Polling { why },
        };
        self.next_tick = match self.mode {
            Mode::Events => None,
            Mode::Polling { .. } => Some(self.next_tick.unwrap_or_else(|| Instant::now() + self.interval())),
        };
    }

    fn interval(&self) -> Duration {
        at_least_a_moment(match self.options.polling {
            Polling::Auto => self.options.fallback,
            Polling::Every(interval) => interval,
        })
    }
}

/// An interval of zero would be a busy loop.
fn at_least_a_moment(interval: Duration) -> Duration {
    interval.max(Duration::from_millis(10))
}

/// Reading files fills the kernel's queue as well (notify 8 asks for opens), so the scan that follows an overflow can
/// cause the next one. Each overflow soon after another doubles the pause, up to the polling interval.
#[derive(Default)]
struct Overflows {
    quiet_until: Option<Instant>,
    pause: Duration,
}

impl Overflows {
    fn count(&mut self, options: &Options) {
        let now = Instant::now();
        let again = self.quiet_until.is_some_and(|until| now < until + self.pause + options.settle_max);
        self.pause = if again { (self.pause * 2).max(options.settle).min(options.fallback) } else { Duration::ZERO };
        self.quiet_until = Some(now + self.pause);
    }
}
