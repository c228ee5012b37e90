//! The first process of a pod whose containers share their processes: does nothing, and takes in orphans.

use std::process::ExitCode;

use rustix::process::{WaitOptions, waitpid};
use tokio::signal::unix::{SignalKind, signal};

use super::leash;

pub fn run() -> Result<ExitCode, String> {
    leash(None)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(async {
        let mut ended = signal(SignalKind::child()).map_err(|error| format!("cannot listen to signals: {error}"))?;
        loop {
            while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
            ended.recv().await;
        }
    })
}
