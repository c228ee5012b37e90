//! The word that a listener stops: no new requests, the ones under way go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    said: AtomicBool,
    notify: Notify,
}

impl Stop {
    pub(crate) fn say(&self) {
        self.0.said.store(true, Ordering::Release);
        self.0.notify.notify_waiters();
    }

    pub(crate) fn is_said(&self) -> bool {
        self.0.said.load(Ordering::Acquire)
    }

    pub(crate) async fn wait(self) {
        let heard = self.0.notify.notified();
        // Whoever registers before looking misses nothing.
        tokio::pin!(heard);
        heard.as_mut().enable();
        if !self.is_said() {
            heard.await;
        }
    }
}
