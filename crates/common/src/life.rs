//! The life of the process as a value that a part can look at and wait for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Where the process is in its life. It only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Doing the job.
    Running,
    /// Told to stop, not ready any more, but still serving: others need time to notice.
    LameDuck,
    /// Take no new work, finish what is begun.
    Draining,
}

/// A view of the life, cheap to clone.
#[derive(Clone)]
pub struct Life {
    phase: watch::Receiver<Phase>,
    ledger: Arc<Ledger>,
}

/// What is known about the end: when it must come, and what is still being done.
#[derive(Default)]
struct Ledger {
    deadline: Mutex<Option<Instant>>,
    busy: Mutex<BTreeMap<u64, String>>,
}

impl Life {
    pub(crate) fn begin() -> (Reins, Self) {
        let (sender, phase) = watch::channel(Phase::Running);
        let ledger = Arc::<Ledger>::default();
        (Reins { phase: sender, ledger: Arc::clone(&ledger) }, Self { phase, ledger })
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until the life has come at least this far.
    pub async fn reached(&self, phase: Phase) {
        let mut watched = self.phase.clone();
        // An error means that the process is past everything: the answer is the same.
        let _ = watched.wait_for(|now| *now >= phase).await;
    }

    /// Does the work unless draining begins first. The work is polled first, so what is at hand is taken, not dropped.
    pub async fn until_drain<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.reached(Phase::Draining) => None,
        }
    }

    /// When the process will be gone, once it has been told to stop.
    pub fn deadline(&self) -> Option<Instant> {
        *self.ledger.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long is left, capped at `most`. While nobody has told the process to stop, all of it.
    pub fn time_left(&self, most: Duration) -> Duration {
        self.deadline().map_or(most, |end| end.saturating_duration_since(Instant::now()).min(most))
    }

    /// Notes work in progress until the guard is dropped. What is still noted at the deadline is said in the log.
    pub fn busy(&self, what: impl Into<String>) -> Busy {
        let mut busy = self.ledger.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let id = busy.last_key_value().map_or(0, |(last, _)| last + 1);
        busy.insert(id, what.into());
        Busy { id, ledger: Arc::clone(&self.ledger) }
    }
}

/// Work in progress; dropped when it is done.
#[must_use = "dropping it says that the work is done"]
pub struct Busy {
    id: u64,
    ledger: Arc<Ledger>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.ledger.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// The other end of [`Life`]: only the supervisor moves the phase.
pub(crate) struct Reins {
    phase: watch::Sender<Phase>,
    ledger: Arc<Ledger>,
}

impl Reins {
    pub(crate) fn move_to(&self, phase: Phase) {
        self.phase.send_if_modified(|now| std::mem::replace(now, phase.max(*now)) < phase);
    }

    /// The deadline counts from the signal, not from the end of the lame duck phase.
    pub(crate) fn set_deadline(&self, at: Instant) {
        *self.ledger.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// What is still noted as being done.
    pub(crate) fn left(&self) -> Vec<String> {
        self.ledger.busy.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_never_goes_back() {
        let (reins, life) = Life::begin();
        reins.move_to(Phase::Draining);
        reins.move_to(Phase::LameDuck);
        assert_eq!(life.phase(), Phase::Draining);
    }

    #[test]
    fn work_is_left_until_its_guard_is_dropped() {
        let (reins, life) = Life::begin();
        let first = life.busy("first");
        let second = life.busy("second");
        drop(first);
        assert_eq!(reins.left(), ["second"]);
        drop(second);
        assert!(reins.left().is_empty());
    }

    #[tokio::test]
    async fn work_at_hand_is_done_even_when_draining() {
        let (reins, life) = Life::begin();
        reins.move_to(Phase::Draining);
        assert_eq!(life.until_drain(async { 1 }).await, Some(1));
        assert_eq!(life.until_drain(std::future::pending::<()>()).await, None);
    }
}
