//! The end: what came last is served until somebody has taken it.
//!
//! An app that stops sends its last numbers when nobody would ask for them any more. So after SIGTERM lines are taken and
//! metrics are served until they were scraped once, or the time is over. Who was never scraped in all his life has
//! nobody to wait for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Failure, Life, Live, Phase};
use tokio::sync::{Notify, watch};

use crate::{config::Config, events, shared::Shared};

/// Answers that somebody got.
#[derive(Debug, Default)]
pub struct Scrapes {
    done: AtomicU64,
    /// Lines there were when the last of them began.
    lines: AtomicU64,
    changed: Notify,
}

impl Scrapes {
    pub fn done(&self, lines: u64) {
        self.lines.store(lines, Ordering::Relaxed);
        self.done.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    fn count(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

/// Most scrape every minute or oftener: who lived longer and was never asked is not scraped at all.
const NEWBORN: Duration = Duration::from_secs(120);
/// Left for the rest of the shutdown.
const MARGIN: Duration = Duration::from_millis(500);
/// An app that stops with us may be about to send its last lines.
const LAST_LINES: Duration = Duration::from_millis(50);

pub async fn wait(
    shared: Arc<Shared>,
    config: Live<Config>,
    life: Life,
    close: watch::Sender<bool>,
) -> Result<(), Failure> {
    let born = Instant::now();
    life.reached(Phase::Draining).await;
    let most = config.get().last_scrape;
    let is_scraped = shared.scrapes.count() > 0 || born.elapsed() < NEWBORN;
    if is_scraped && !most.is_zero() {
        tokio::time::sleep(life.time_left(LAST_LINES)).await;
        let time = life.time_left(Duration::MAX).saturating_sub(MARGIN).min(most);
        if is_waiting(&shared) && !time.is_zero() {
            events::waiting_for_last_scrape(time.as_secs());
            let scraped = async {
                while is_waiting(&shared) {
                    shared.scrapes.changed.notified().await;
                }
            };
            events::last_scrape(tokio::time::timeout(time, scraped).await.is_ok());
        }
    }
    // Nobody listens any more when they have failed.
    let _ = close.send(true);
    Ok(())
}

/// Whether there is something that nobody has seen.
fn is_waiting(shared: &Shared) -> bool {
    shared.store.lock().counts().lines > shared.scrapes.lines.load(Ordering::Relaxed)
}
