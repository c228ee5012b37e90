//! One timer for each connection, whose deadline moves with every message and almost never has to be armed again.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// When so much time will have passed. None: never, because nobody's clock goes that far.
pub(crate) fn after(from: Instant, wait: Duration) -> Option<Instant> {
    from.checked_add(wait)
}

/// Armed at the earliest deadline that was asked for. When it goes off too early it is armed again, which happens once
/// in a time-out and not once in a request.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl Timer {
    /// Ready when `deadline` is past. None is never.
    pub(crate) fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let (sleep, armed) =
            self.sleep.get_or_insert_with(|| (Box::pin(tokio::time::sleep_until(deadline.into())), deadline));
        if deadline < *armed {
            sleep.as_mut().reset(deadline.into());
            *armed = deadline;
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline.into());
            *armed = deadline;
        }
        Poll::Pending
    }
}
