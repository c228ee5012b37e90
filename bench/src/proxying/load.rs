//! Load from wrk and h2load, pinned to the second processor beside the app.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::tools::found;

pub(crate) struct Load {
    wrk: PathBuf,
    h2load: PathBuf,
}

/// What came of one window of load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
}

/// Whether keys are agreed on anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    New,
    Resumed,
}

impl Load {
    pub(crate) fn find() -> Result<Self, String> {
        let missing = |name: &str| format!("{name} is needed to make load");
        let wrk = found("wrk", None, "apt-get install wrk").ok_or_else(|| missing("wrk"))?;
        let h2load = found("h2load", None, "apt-get install nghttp2-client").ok_or_else(|| missing("h2load"))?;
        Ok(Self { wrk, h2load })
    }

    /// HTTP/1.1 as fast as it goes. `script` is wrk's own, for what is no plain GET.
    pub(crate) fn wrk(&self, url: &str, connections: u32, seconds: u64, script: Option<&Path>) -> Result<Done, String> {
        let mut command = pinned(&self.wrk);
        command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "10s"]);
        command.args(script.map(|script| format!("-s{}", script.display()))).arg(url);
        let said = output(&mut command)?;
        let requests = number_before(&said, " requests in ").ok_or_else(|| format!("wrk: {said}"))?;
        let refused = number_after(&said, "Non-2xx or 3xx responses:").unwrap_or(0);
        let broken = said.lines().find(|line| line.contains("Socket errors:")).map_or(0, |line| {
            line.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse::<u64>().ok()).sum()
        });
        Ok(Done { requests, failed: refused + broken })
    }

    /// HTTP/2: 8 connections with 16 streams each.
    pub(crate) fn h2load(&self, url: &str, seconds: u64) -> Result<Done, String> {
        let mut command = pinned(&self.h2load);
        let said = output(command.args(["-t1", "-c8", "-m16", "-D", &seconds.to_string(), url]))?;
        let line = said.lines().find(|line| line.starts_with("requests:")).ok_or_else(|| format!("h2load: {said}"))?;
        let of = |word| number_before(line, word).unwrap_or(0);
        Ok(Done { requests: of(" succeeded"), failed: of(" failed") + of(" errored") })
    }

    /// A new connection with TLS for each request.
    pub(crate) fn handshakes(&self, port: &str, session: Session, seconds: u64, ca: &Path) -> Result<Done, String> {
        let own = env::current_exe().map_err(|error| error.to_string())?;
        let mut command = pinned(&own);
        command.args(["handshakes", "--port", port, "--seconds", &seconds.to_string(), "--ca"]).arg(ca);
        command.args((session == Session::Resumed).then_some("--resume"));
        let said = output(&mut command)?;
        let requests = number_before(&said, " done").ok_or_else(|| format!("handshakes: {said}"))?;
        Ok(Done { requests, failed: number_before(&said, " failed").unwrap_or(0) })
    }

    /// HTTP/1.1 at a fixed rate: how long each request took.
    pub(crate) fn paced(&self, url: &str, rate: u32, seconds: u64, scratch: &Path) -> Result<Vec<Duration>, String> {
        self.paced_with(url, rate, seconds, scratch, &[])
    }

    /// The same, with headers.
    pub(crate) fn paced_with(
        &self,
        url: &str,
        rate: u32,
        seconds: u64,
        scratch: &Path,
        headers: &[String],
    ) -> Result<Vec<Duration>, String> {
        let log = scratch.join("h2load.log");
        // h2load appends: what others took must not count again. The first time there is none.
        let _ = fs::remove_file(&log);
        let clients = 10;
        let mut command = pinned(&self.h2load);
        command.args(["--h1", "-t1", &format!("-c{clients}"), "-D", &seconds.to_string()]);
        command.args(["--rps", &(rate / clients).to_string(), &format!("--log-file={}", log.display()), url]);
        command.args(headers.iter().map(|header| format!("--header={header}")));
        output(&mut command)?;
        let text = fs::read_to_string(&log).map_err(|error| error.to_string())?;
        // When it began, what was answered, and how many microseconds it took.
        let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let took = rows.filter(|row| row.get(1) == Some(&"200")).filter_map(|row| row.get(2)?.trim().parse().ok());
        Ok(took.map(Duration::from_micros).collect())
    }
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(program).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

fn output(command: &mut Command) -> Result<String, String> {
    let done = command.output().map_err(|error| error.to_string())?;
    Ok(format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)))
}

fn number_before(text: &str, mark: &str) -> Option<u64> {
    text.split_once(mark)?.0.split([' ', '\n']).next_back()?.parse().ok()
}

fn number_after(text: &str, mark: &str) -> Option<u64> {
    text.split_once(mark)?.1.split_whitespace().next()?.parse().ok()
}
