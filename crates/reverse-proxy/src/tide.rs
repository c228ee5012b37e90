//! Memory after a burst: given back to the machine when most of those who came have gone. While nobody goes, nothing runs.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::Notify;

/// Fewer connections than these leave nothing behind that is worth a walk through the heap.
const MANY: usize = 100;
/// Those who go together are waited for.
const SETTLE: Duration = Duration::from_secs(1);

/// Connections of clients and to apps.
#[derive(Default)]
pub struct Tide {
    open: AtomicUsize,
    /// The most there were since memory was given back.
    high: AtomicUsize,
    falls: Notify,
}

impl Tide {
    pub fn opened(&self) {
        let open = self.open.fetch_add(1, Relaxed) + 1;
        self.high.fetch_max(open, Relaxed);
    }

    pub fn closed(&self) {
        let open = self.open.fetch_sub(1, Relaxed) - 1;
        if is_low(open, self.high.load(Relaxed)) {
            self.falls.notify_one();
        }
    }

    /// Never ends.
    pub async fn give_back(&self) -> std::convert::Infallible {
        loop {
            self.falls.notified().await;
            tokio::time::sleep(SETTLE).await;
            let open = self.open.load(Relaxed);
            // The last of those who went together have notified once more.
            if is_low(open, self.high.swap(open, Relaxed)) {
                heap::trim();
            }
        }
    }
}

fn is_low(open: usize, high: usize) -> bool {
    high >= MANY && open <= high / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_low_when_half_of_many_have_gone() {
        let tide = Tide::default();
        (0..MANY).for_each(|_| tide.opened());
        (0..MANY / 2 - 1).for_each(|_| tide.closed());
        assert!(!is_low(tide.open.load(Relaxed), tide.high.load(Relaxed)));
        tide.closed();
        assert!(is_low(tide.open.load(Relaxed), tide.high.load(Relaxed)));
        assert!(!is_low(1, MANY - 1), "a few are no burst");
    }
}
