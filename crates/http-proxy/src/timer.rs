//! One timer for each connection, whose deadline moves with every message and almost never has to be armed again.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::task::unconstrained;
use tokio::time::Sleep;

/// When so much time will have passed. None: never, because nobody's clock goes that far.
pub(crate) fn after(from: Instant, wait: Duration) -> Option<Instant> {
    from.checked_add(wait)
}

/// Armed at the earliest deadline that was asked for. When it goes off too early it is armed again, which happens once
/// in a time-out and not once in a request.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Armed>);

#[derive(Debug)]
struct Armed {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// The task that it wakes, once it has been polled.
    task: Option<Waker>,
}

impl Timer {
    /// Ready when `deadline` is past. None is never.
    pub(crate) fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let armed = self.0.get_or_insert_with(|| Armed::new(deadline));
        if deadline < armed.at {
            armed.rearm(deadline);
        }
        let knows_task = armed.task.as_ref().is_some_and(|task| task.will_wake(cx.waker()));
        if knows_task && !armed.sleep.is_elapsed() {
            return Poll::Pending;
        }
        // Unconstrained: a poll that only puts the task off would not have told the timer whom to wake.
        while pin!(unconstrained(armed.sleep.as_mut())).poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            armed.rearm(deadline);
        }
        armed.task = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Armed {
    fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(deadline.into())), at: deadline, task: None }
    }

    fn rearm(&mut self, deadline: Instant) {
        self.sleep.as_mut().reset(deadline.into());
        (self.at, self.task) = (deadline, None);
    }
}
