//! A running sidecar, seen from outside: its answers, its log, its exit.

use std::{
    ffi::OsStr,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Line, PATIENCE, Start, TempDir, eventually, http, log::Captured, vitals};

/// A process that is killed when the test lets go of it.
pub struct Sidecar {
    child: Mutex<Child>,
    pid: u32,
    stdout: Captured,
    stderr: Captured,
    /// Dropped after the process is gone.
    _dir: Option<Arc<TempDir>>,
}

impl Sidecar {
    /// The binary to start, as in `env!("CARGO_BIN_EXE_config-reloader")`.
    pub fn start(binary: impl AsRef<OsStr>) -> Start {
        Start::new(binary.as_ref())
    }

    pub(crate) fn running(mut child: Child, dir: Option<Arc<TempDir>>) -> Self {
        Self {
            _dir: dir,
            pid: child.id(),
            stdout: Captured::from(child.stdout.take().unwrap()),
            stderr: Captured::from(child.stderr.take().unwrap()),
            child: Mutex::new(child),
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    // ---- what it says ----

    /// The log so far.
    pub fn logs(&self) -> Vec<Line> {
        self.stderr.lines()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits for a log line, said already or still to come.
    #[track_caller]
    pub fn wait_log(&self, wanted: impl Fn(&Line) -> bool) -> Line {
        match self.stderr.wait(PATIENCE, wanted) {
            Some(line) => line,
            None => panic!("the line that was waited for never came; all there is:\n{}", self.stderr()),
        }
    }

    /// Waits for a log line with this message.
    #[track_caller]
    pub fn wait_message(&self, message: &str) -> Line {
        match self.stderr.wait(PATIENCE, |line| line.message() == message) {
            Some(line) => line,
            None => panic!("\"{message}\" was never logged; all there is:\n{}", self.stderr()),
        }
    }

    // ---- what it answers ----

    /// The port of the listener that is logged as `what`.
    #[track_caller]
    pub fn port_of(&self, what: &str) -> u16 {
        let line = self.wait_log(|line| line.message() == "listening" && line.field("what") == what);
        let addr = line.field("addr");
        let port = addr.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.unwrap_or_else(|| panic!("{}: expected an address with a port", line.raw))
    }

    #[track_caller]
    pub fn admin(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port_of("admin")).into()
    }

    #[track_caller]
    pub fn admin_get(&self, path: &str) -> (u16, String) {
        self.told(path, http::get(self.admin(), path))
    }

    #[track_caller]
    pub fn admin_post(&self, path: &str) -> (u16, String) {
        self.told(path, http::post(self.admin(), path, ""))
    }

    #[track_caller]
    fn told(&self, path: &str, answer: io::Result<http::Response>) -> (u16, String) {
        match answer {
            Ok(answer) => (answer.status, answer.body),
            Err(error) => panic!("{path}: {error}; the log:\n{}", self.stderr()),
        }
    }

    /// Waits until `/readyz` says yes.
    #[track_caller]
    pub fn wait_ready(&self) {
        let addr = self.admin();
        let mut last = String::new();
        let ready = eventually(PATIENCE, || match http::get(addr, "/readyz") {
            Ok(answer) => {
                last = answer.body;
                answer.status == 200
            }
            Err(error) => {
                last = error.to_string();
                false
            }
        });
        assert!(ready, "not ready: {last}; the log:\n{}", self.stderr());
    }

    /// One sample of `/metrics`, spelled as it is there: `name` or `name{label="value"}`.
    #[track_caller]
    pub fn metric(&self, sample: &str) -> Option<f64> {
        let (_, text) = self.admin_get("/metrics");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut samples = lines.filter_map(|line| line.rsplit_once(' '));
        samples.find(|(name, _)| *name == sample)?.1.parse().ok()
    }

    // ---- its life ----

    pub fn signal(&self, signal: Signal) {
        // Once its exit has been seen, the pid may be somebody else's.
        if self.is_running() {
            self::signal(self.pid, signal);
        }
    }

    pub fn kill9(&self) {
        self.signal(Signal::KILL);
    }

    pub fn is_running(&self) -> bool {
        self.exit_status().is_none()
    }

    fn exit_status(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    /// Waits for the end and returns the exit code, or minus the number of the signal that killed it.
    #[track_caller]
    pub fn wait_exit(&self) -> i32 {
        self.wait_exit_within(PATIENCE)
    }

    #[track_caller]
    pub fn wait_exit_within(&self, timeout: Duration) -> i32 {
        let end = Instant::now() + timeout;
        loop {
            if let Some(status) = self.exit_status() {
                self.stderr.wait_end();
                self.stdout.wait_end();
                return status.code().unwrap_or_else(|| -status.signal().unwrap_or_default());
            }
            assert!(Instant::now() < end, "still running; the log:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(1));
        }
    }

    // ---- how it is ----

    pub fn rss_kib(&self) -> u64 {
        vitals::memory_kib(self.pid, "Rss")
    }

    pub fn anon_kib(&self) -> u64 {
        vitals::memory_kib(self.pid, "Anonymous")
    }

    pub fn threads(&self) -> u64 {
        vitals::threads(self.pid)
    }

    /// How often any of its threads has gone to sleep since it started.
    pub fn sleeps(&self) -> u64 {
        vitals::sleeps(self.pid)
    }

    /// Whether it has come so far as to handle this signal.
    pub fn catches(&self, signal: Signal) -> bool {
        vitals::catches(self.pid, signal.as_raw())
    }

    /// Its child processes: pid and state (`Z` is a zombie).
    pub fn children(&self) -> Vec<(u32, char)> {
        vitals::children(self.pid)
    }
}

/// Sends a signal to a process that is not ours to wait for.
pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    // Gone a moment ago is for the test to find out by the exit code.
    let _ = kill_process(pid, signal);
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
        if thread::panicking() {
            eprintln!("---- what pid {} said on stderr ----\n{}----", self.pid, self.stderr());
        }
    }
}
