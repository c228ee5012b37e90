//! Watches over the parts, and ends the process in order: lame duck, drain, deadline, exit code.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::{Id, JoinSet},
};

use crate::{
    Exit, Failure,
    health::Health,
    life::{Phase, Reins},
    log::panic_text,
    reap::Reaper,
    sidecar::Reloads,
    signals::{Signal, Signals},
};

/// The parts of a sidecar, each under its name.
#[derive(Default)]
pub(crate) struct Parts {
    running: JoinSet<Result<(), Failure>>,
    names: HashMap<Id, String>,
}

impl Parts {
    pub(crate) fn spawn(&mut self, name: &str, part: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        let task = self.running.spawn(part);
        self.names.insert(task.id(), name.into());
    }

    /// The next part to end, and how. None when there is none left.
    async fn ended(&mut self) -> Option<(String, Result<(), Failure>)> {
        let (id, result) = match self.running.join_next_with_id().await? {
            Ok((id, result)) => (id, result),
            Err(error) => {
                let id = error.id();
                let problem = match error.try_into_panic() {
                    Ok(payload) => format!("panicked: {}", panic_text(payload.as_ref())),
                    Err(error) => error.to_string(),
                };
                (id, Err(Failure::bug(problem)))
            }
        };
        Some((self.names.remove(&id).unwrap_or_default(), result))
    }

    fn left(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names.values().cloned().collect();
        names.sort();
        names
    }
}

/// What the supervisor needs to know and to move.
pub(crate) struct Supervisor {
    pub(crate) name: &'static str,
    pub(crate) born: Instant,
    pub(crate) parts: Parts,
    pub(crate) reins: Reins,
    pub(crate) health: Health,
    pub(crate) reloads: Reloads,
    pub(crate) signals: Signals,
    pub(crate) quit: mpsc::Receiver<()>,
    pub(crate) drain_delay: Duration,
    pub(crate) shutdown_timeout: Duration,
}

/// Why the process stops.
enum Reason {
    Asked(String),
    Failed(Exit),
    Finished,
}

impl Supervisor {
    /// Runs until the end of the process. The exit code is what is left to do.
    pub(crate) async fn run(mut self) -> Exit {
        let mut was_ready = None;
        let mut reaper = Reaper::default();
        let reason = loop {
            self.say_readiness(&mut was_ready);
            tokio::select! {
                biased;
                signal = self.signals.next() => match signal {
                    Signal::Stop(signal) => break Reason::Asked(signal.into()),
                    Signal::Reload => drop(self.reloads.run("SIGHUP")),
                    Signal::ChildEnded => reaper.child_ended(),
                },
                Some(()) = self.quit.recv() => break Reason::Asked("POST /quitquitquit".into()),
                ended = self.parts.ended() => match ended {
                    Some((name, result)) => {
                        if let Some(exit) = part_ended(&name, result) { break Reason::Failed(exit) }
                    }
                    None => break Reason::Finished,
                },
                () = self.health.changed() => {}
                () = reaper.due() => reaper.reap(),
            }
        };
        self.stop(reason).await
    }

    fn say_readiness(&self, was_ready: &mut Option<bool>) {
        let closed = self.health.closed();
        match (closed.is_empty(), *was_ready) {
            (true, None) => {
                // Starting up is the first burst.
                heap::trim();
                tracing::info!(after_ms = self.born.elapsed().as_millis() as u64, "ready");
            }
            (true, Some(false)) => tracing::info!("ready again"),
            (false, Some(true)) => tracing::warn!(closed = closed.join("; "), "not ready any more"),
            _ => {}
        }
        if closed.is_empty() || was_ready.is_some() {
            *was_ready = Some(closed.is_empty());
        }
    }

    async fn stop(mut self, reason: Reason) -> Exit {
        let begun = Instant::now();
        // From the signal, not from the end of the lame duck phase: the kubelet counts that way too.
        let deadline = begun + self.shutdown_timeout;
        self.reins.set_deadline(deadline);
        let (why, mut exit, delay) = match reason {
            Reason::Asked(why) => (why, Exit::Clean, self.drain_delay),
            // Something is broken already; nobody is served by waiting for others to notice.
            Reason::Failed(exit @ Exit::Other(_)) => ("asked for by the configuration".into(), exit, Duration::ZERO),
            Reason::Failed(exit) => ("a part failed".into(), exit, Duration::ZERO),
            Reason::Finished => ("nothing left to do".into(), Exit::Clean, Duration::ZERO),
        };
        tracing::info!(reason = why, "stopping");
        self.reins.move_to(Phase::LameDuck);
        // At most half of the time there is: who drains must get some of it, however the two were set.
        let serve_until = begun + delay.min(self.shutdown_timeout / 2);
        // Without a delay there is nothing to wait for, and the shortest timer takes a millisecond.
        while exit == Exit::Clean && serve_until > begun {
            match tokio::time::timeout_at(serve_until.into(), self.parts.ended()).await {
                Ok(Some((name, result))) => exit = part_ended(&name, result).unwrap_or(Exit::Clean),
                Ok(None) | Err(_) => break,
            }
        }
        self.reins.move_to(Phase::Draining);
        let drained = tokio::time::timeout_at(deadline.into(), async {
            while let Some((name, result)) = self.parts.ended().await {
                if let Some(failed) = part_ended(&name, result)
                    && exit == Exit::Clean
                {
                    exit = failed;
                }
            }
        });
        if drained.await.is_err() {
            let left: Vec<String> = self.parts.left().into_iter().chain(self.reins.left()).collect();
            tracing::error!(left = left.join("; "), "the shutdown timeout passed with work left");
            if exit == Exit::Clean {
                exit = Exit::Unfinished;
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        tracing::info!(sidecar = self.name, code = exit.code(), seconds, "stopped");
        exit
    }
}

/// The exit code if the end of this part is the end of the process.
fn part_ended(name: &str, result: Result<(), Failure>) -> Option<Exit> {
    let failure = result.err()?;
    if failure.exit == Exit::Clean {
        return None;
    }
    for problem in &failure.problems {
        match failure.exit {
            // A code that the operator asked for is no failure.
            Exit::Other(code) => tracing::info!(part = name, code, "{problem}"),
            _ => tracing::error!(part = name, "{problem}"),
        }
    }
    Some(failure.exit)
}
