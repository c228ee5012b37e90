//! `demo play`, started for a test and never left behind.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use test_kit::{TempDir, eventually};

pub const DEMO: &str = env!("CARGO_BIN_EXE_demo");
/// For one step of a pod, on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Play {
    child: Child,
    pub dir: TempDir,
    events: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    pub file: PathBuf,
}

impl Play {
    /// Of a text, which the test may change later.
    pub fn text(manifest: &str, args: &[&str]) -> Self {
        let dir = TempDir::new();
        let file = dir.join("pod.yaml");
        std::fs::write(&file, manifest).unwrap();
        Self::start(dir, file, args)
    }

    /// Of a file as it is. It is copied, for tests that change it.
    pub fn file(path: &Path, args: &[&str]) -> Self {
        Self::text(&std::fs::read_to_string(path).unwrap(), args)
    }

    fn start(dir: TempDir, file: PathBuf, args: &[&str]) -> Self {
        let mut child = Command::new(DEMO)
            .arg("play")
            .args(["--quiet", "--dir", &dir.join("p").display().to_string()])
            .args(args)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let events = Arc::new(Mutex::new(String::new()));
        let (heard, stderr) = (Arc::clone(&events), child.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
                heard.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { child, dir, events, reader: Some(reader), file }
    }

    pub fn events(&self) -> String {
        self.events.lock().unwrap().clone()
    }

    /// Until something has happened.
    #[track_caller]
    pub fn wait(&self, what: &str) {
        let came = eventually(PATIENCE, || self.events().contains(what));
        assert!(came, "expected \"{what}\" in\n{}\n{}", self.events(), self.all_logs());
    }

    /// When it happened, in seconds since the start.
    #[track_caller]
    pub fn at(&self, what: &str) -> f64 {
        let events = self.events();
        let line = events.lines().find(|line| line.contains(what));
        let line = line.unwrap_or_else(|| panic!("expected \"{what}\" in\n{events}"));
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// One after the other.
    #[track_caller]
    pub fn happened_in_order(&self, wanted: &[&str]) {
        let events = self.events();
        let mut from = 0;
        for what in wanted {
            let at = events[from..].find(what);
            from +=
                at.unwrap_or_else(|| panic!("expected \"{what}\" there and not earlier, in\n{events}")) + what.len();
        }
    }

    /// What a container has said, as `kubectl logs` shows it.
    pub fn log(&self, pod: &str, container: &str) -> String {
        std::fs::read_to_string(self.dir.join(format!("p/logs/{pod}/{container}.log"))).unwrap_or_default()
    }

    fn all_logs(&self) -> String {
        let mut text = String::new();
        for pod in std::fs::read_dir(self.dir.join("p/logs")).into_iter().flatten().flatten() {
            for file in std::fs::read_dir(pod.path()).into_iter().flatten().flatten() {
                let said = std::fs::read_to_string(file.path()).unwrap_or_default();
                text.push_str(&format!("--- {}\n{said}", file.path().display()));
            }
        }
        text
    }

    #[track_caller]
    pub fn wait_log(&self, pod: &str, container: &str, what: &str) -> String {
        let came = eventually(PATIENCE, || self.log(pod, container).contains(what));
        assert!(came, "expected \"{what}\" from {pod}/{container}\n{}\n{}", self.events(), self.all_logs());
        self.log(pod, container)
    }

    /// A command in a container, as `kubectl exec`: whether it ended well, and what it said.
    pub fn exec(&self, pod: &str, container: &str, words: &[&str]) -> (bool, String) {
        let output = Command::new(DEMO)
            .args(["exec", pod, "-c", container, "--dir", &self.dir.join("p").display().to_string(), "--"])
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Where a port of this machine leads to a pod.
    #[track_caller]
    pub fn forwarded(&self, port: u16) -> SocketAddr {
        let suffix = format!(" -> {port}\n");
        self.wait(&suffix);
        let events = self.events();
        let line = events.lines().find(|line| line.ends_with(suffix.trim_end())).unwrap();
        line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
    }

    /// Ends all pods, as if they had been deleted.
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::INT);
        self.ended()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for it to end by itself.
    #[track_caller]
    pub fn ended(&mut self) -> i32 {
        let mut status: Option<ExitStatus> = None;
        let gone = eventually(PATIENCE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(gone, "it goes on:\n{}", self.events());
        // The last events may still be in the pipe.
        self.reader.take().unwrap().join().unwrap();
        status.and_then(|status| status.code()).unwrap_or(-1)
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        // Whatever plays in it dies with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file that `play` refuses, and what it says.
pub fn refused(manifest: &str) -> String {
    let dir = TempDir::new();
    let file = dir.put("pod.yaml", manifest);
    let output = Command::new(DEMO).args(["play", "--check", &file]).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success(), "not refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What is answered as soon as somebody listens: a pod without a readiness probe is ready before that.
#[track_caller]
pub fn answer(addr: SocketAddr, path: &str) -> test_kit::http::Response {
    let mut answer = None;
    let came = eventually(PATIENCE, || {
        answer = test_kit::http::get(addr, path).ok();
        answer.is_some()
    });
    assert!(came, "{addr}{path}: nobody answers");
    answer.unwrap()
}
