//! A tool that has been started, and is stopped again whatever happens.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    http,
    tools::{Job, Tool},
};

const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_micros(100);

pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
    /// From just before it was executed to its first 200.
    pub(crate) ready_after: Duration,
}

impl Running {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(tool: &Tool, volume: &Path, url: &str, scratch: &Path) -> Result<Self, String> {
        let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", tool.name);
        let port = free_port().map_err(|error| problem(&error))?;
        let command = tool.command(&Job { volume, url, port, scratch })?;
        Self::of(&tool.name, command, port, tool.ready_path())
    }

    /// Runs a command until `path` on `port` says 200.
    pub(crate) fn of(name: &str, mut command: Command, port: u16, path: &str) -> Result<Self, String> {
        let problem = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let child = command.spawn().map_err(|error| problem(&error))?;
        let mut running = Self { child, port, ready_after: Duration::ZERO };
        while !http::says_ok(port, path) {
            if let Ok(Some(status)) = running.child.try_wait() {
                return Err(problem(&format!("ended instead of getting ready: {status}; it was {command:?}")));
            }
            if start.elapsed() > PATIENCE {
                return Err(problem(&format!("not ready after {PATIENCE:?}; it was {command:?}")));
            }
            sleep(MOMENT);
        }
        running.ready_after = start.elapsed();
        Ok(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From SIGTERM to its end.
    pub(crate) fn stop(mut self) -> Result<Duration, String> {
        let start = Instant::now();
        self.terminate();
        loop {
            match self.child.try_wait() {
                Ok(Some(_)) => return Ok(start.elapsed()),
                Ok(None) if start.elapsed() < PATIENCE => sleep(MOMENT / 2),
                Ok(None) => return Err(format!("process {}: still there {PATIENCE:?} after SIGTERM", self.pid())),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn terminate(&self) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            // It may have gone by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // nginx and haproxy take their workers with them only when asked politely.
            self.terminate();
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                sleep(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Free a moment ago, which on a loopback of one's own is free enough.
pub(crate) fn free_port() -> std::io::Result<u16> {
    TcpListener::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}
