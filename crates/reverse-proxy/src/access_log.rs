//! Access logs: lines are gathered in memory and written together, off the data path.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::Life;
use tokio::sync::Notify;

use crate::{config::LogTarget, events::Events};

/// So long a line may wait for others.
const GATHER: Duration = Duration::from_millis(50);
/// With more than this waiting for a reader that does not read, lines are dropped and counted.
const MOST: usize = 4 << 20;

/// Where the lines of one target go.
pub struct Writer {
    pub target: LogTarget,
    pending: Mutex<Vec<u8>>,
    wake: Notify,
    events: Arc<Events>,
}

impl Writer {
    pub fn new(target: LogTarget, events: Arc<Events>) -> Self {
        Self { target, pending: Mutex::default(), wake: Notify::new(), events }
    }

    pub fn push(&self, line: &[u8]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() + line.len() > MOST {
            drop(pending);
            return self.events.access_line_dropped();
        }
        let was_empty = pending.is_empty();
        pending.extend_from_slice(line);
        drop(pending);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Writes until the process drains, and then what is left, once `served` says that no more will come.
    pub async fn run(self: Arc<Self>, life: Life, served: impl Future<Output = ()>) {
        let mut served = std::pin::pin!(served);
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = &mut served => break,
            }
            // Whoever is waited for at the end is not kept waiting.
            if life.deadline().is_none() {
                tokio::time::sleep(GATHER).await;
            }
            self.flush().await;
        }
        self.flush().await;
    }

    async fn flush(self: &Arc<Self>) {
        let lines = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if lines.is_empty() {
            return;
        }
        let writer = Arc::clone(self);
        // A pipe that nobody reads blocks: that must not be the thread with the probes on it.
        let written = tokio::task::spawn_blocking(move || writer.write(&lines)).await;
        if let Ok(Err(error)) = written {
            self.events.access_log_failed(&self.target, &error);
        }
    }

    /// Files are opened each time: whoever rotates them needs to tell nobody.
    fn write(&self, lines: &[u8]) -> std::io::Result<()> {
        match &self.target {
            LogTarget::Stdout => {
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(lines).and_then(|()| stdout.flush())
            }
            LogTarget::Stderr => std::io::stderr().lock().write_all(lines),
            LogTarget::File(path) => open(path)?.write_all(lines),
        }
    }
}

fn open(path: &std::path::Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Whether lines could be written there: said at the start, not at the first request.
pub fn problem(target: &LogTarget) -> Option<String> {
    match target {
        LogTarget::File(path) => {
            open(path).err().map(|error| format!("{}: cannot be written as an access log: {error}", path.display()))
        }
        LogTarget::Stdout | LogTarget::Stderr => None,
    }
}
