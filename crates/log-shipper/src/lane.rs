//! One output's way through the files, at its own pace: fill a batch, send it, remember that it arrived.
//!
//! Each lane reads by itself. Several outputs read the same bytes several times, from the page cache; in return one
//! that is slow or dead holds nobody else, and the files are the only queue there is.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use common::{Exit, Failure, Life, Phase};
use http_client::Backoff;
use tokio::{sync::watch, time::sleep_until};

use crate::{
    config::Output,
    events::Events,
    fill::{Batch, Filler},
    follow::View,
    output::{Deliver, Outcome},
    position::Positions,
};

/// Retries are not put off for longer than this when the process is about to end.
const LAST_TRIES: Duration = Duration::from_millis(300);

pub struct Lane {
    pub number: usize,
    pub output: Output,
    pub view: watch::Receiver<View>,
    pub filler: Option<Filler>,
    pub deliver: Box<dyn Deliver>,
    pub positions: Arc<Mutex<Positions>>,
    pub events: Arc<Events>,
    pub life: Life,
}

impl Lane {
    /// Runs until all there is has been delivered and nothing more is expected.
    pub async fn run(mut self) -> Result<(), Failure> {
        let mut sent = Instant::now() - self.output.batch.pause;
        let mut trimmed = true;
        loop {
            let view = self.view.borrow_and_update().clone();
            if view.leaving {
                return Ok(());
            }
            let finishing = view.finishing.is_some();
            let filled = fill(&mut self.filler, view).await?;
            if filled.is_empty {
                if finishing {
                    return Ok(());
                }
                if !trimmed {
                    // A burst is over: give its memory back.
                    heap::trim();
                    trimmed = true;
                }
                self.news(filled.due).await;
                continue;
            }
            let may_send = sent + self.output.batch.pause;
            if !filled.is_full && !finishing && Instant::now() < may_send {
                sleep_until(may_send.into()).await;
                continue;
            }
            let mut batch = self.seal().await?;
            if batch.records == 0 {
                // Lines that are no records, such as empty ones.
                self.acknowledged(batch).await?;
                continue;
            }
            (trimmed, sent) = (false, Instant::now());
            let Self { output, deliver, events, life, filler, view, .. } = &mut self;
            let view = view.borrow().clone();
            let delivered = deliver_all(output, deliver.as_mut(), &mut batch, events, life);
            // The next batch is filled while this one is on its way.
            let (delivered, filled) = tokio::join!(delivered, fill(filler, view));
            delivered?;
            filled?;
            self.acknowledged(batch).await?;
        }
    }

    async fn news(&mut self, due: Option<Instant>) {
        let due = async {
            match due {
                Some(moment) => sleep_until(moment.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Its sender lives as long as the process does anything; without it there is no news.
            changed = self.view.changed() => if changed.is_err() { std::future::pending().await },
            () = due => {}
        }
    }

    async fn seal(&mut self) -> Result<Batch, Failure> {
        on_filler(&mut self.filler, Filler::seal).await
    }

    /// On disk before anything else is sent: after a crash at most one batch goes out twice.
    async fn acknowledged(&mut self, batch: Batch) -> Result<(), Failure> {
        let (positions, lane, events) = (Arc::clone(&self.positions), self.number, Arc::clone(&self.events));
        let done = tokio::task::spawn_blocking(move || {
            for (file, offset) in &batch.commits {
                file.ack(lane, *offset);
            }
            let mut positions = positions.lock().unwrap_or_else(PoisonError::into_inner);
            positions.acked(lane, batch.commits.iter().map(|(file, _)| file));
            events.positions(positions.trouble());
        });
        done.await.map_err(|error| Failure::bug(format!("remembering positions failed: {error}")))
    }
}

/// Fills on a thread of its own: reading and encoding must not keep probes waiting.
async fn fill(filler: &mut Option<Filler>, view: View) -> Result<crate::fill::Filled, Failure> {
    on_filler(filler, move |filler| filler.fill(&view)).await
}

async fn on_filler<T: Send + 'static>(
    place: &mut Option<Filler>,
    work: impl FnOnce(&mut Filler) -> T + Send + 'static,
) -> Result<T, Failure> {
    let Some(mut filler) = place.take() else { return Err(Failure::bug("the reader is gone")) };
    let done = tokio::task::spawn_blocking(move || {
        let value = work(&mut filler);
        (filler, value)
    });
    let (filler, value) = done.await.map_err(|error| Failure::bug(format!("reading failed: {error}")))?;
    *place = Some(filler);
    Ok(value)
}

/// Tries until the output has taken the batch, or has refused it for good.
async fn deliver_all(
    output: &Output,
    deliver: &mut dyn Deliver,
    batch: &mut Batch,
    events: &Events,
    life: &Life,
) -> Result<(), Failure> {
    let mut backoff = Backoff::new(output.retry.first, output.retry.most);
    let mut attempts = 0;
    let _busy = life.busy(format!("output {}: {} records not acknowledged", output.name, batch.records));
    loop {
        let begun = Instant::now();
        attempts += 1;
        match deliver.deliver(batch).await {
            Outcome::Delivered => {
                events.delivered(&output.name, batch, begun.elapsed());
                return Ok(());
            }
            Outcome::Refused { reason, why } => {
                events.dropped(&output.name, reason, batch.records, &why);
                return Ok(());
            }
            Outcome::Ended(why) => return Err(Failure::new(Exit::Bug, format!("output {}: {why}", output.name))),
            Outcome::Again { why, .. } if output.retry.limit.is_some_and(|limit| attempts > limit) => {
                events.dropped(&output.name, "retries_exhausted", batch.records, &why);
                return Ok(());
            }
            Outcome::Again { why, after } => {
                let mut pause = backoff.next(after);
                events.retried(&output.name, attempts, &why, pause);
                if life.phase() == Phase::Draining {
                    pause = pause.min(LAST_TRIES);
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    // The end is near: try at once.
                    () = life.reached(Phase::Draining), if life.phase() != Phase::Draining => {}
                }
            }
        }
    }
}
