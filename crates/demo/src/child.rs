//! One process of the pod: started, listened to, stopped in time, never left behind.

use std::{
    ffi::{OsStr, OsString},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{ChildStderr, Command},
    sync::watch,
    task::JoinSet,
};

use crate::{
    journal::{Journal, Line, Mark},
    leash,
};

/// A line longer than this is cut: nothing of ours writes such a line.
const LONGEST_LINE: u64 = 64 * 1024;

pub struct Child {
    pub name: &'static str,
    pub pid: i32,
    pub started: Instant,
    /// Where in the journal its lines begin.
    pub mark: Mark,
    journal: Arc<Journal>,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// Dropped with us, and with it the process is killed.
    _tasks: JoinSet<()>,
}

/// How a process ended.
pub struct Stopped {
    pub code: Option<i32>,
    pub took: Duration,
    /// What it said at the end.
    pub said: String,
    /// What became of its work, where somebody knows; or what is wrong with that.
    pub work: Result<Option<String>, String>,
}

impl Stopped {
    pub fn is_good(&self) -> bool {
        self.code == Some(0) && self.work.is_ok()
    }

    pub fn words(&self) -> &str {
        match &self.work {
            Ok(Some(words)) | Err(words) => words,
            Ok(None) => &self.said,
        }
    }

    pub fn code_text(&self) -> String {
        self.code.map_or_else(|| "killed".into(), |code| code.to_string())
    }
}

impl Child {
    pub fn start(
        name: &'static str,
        program: &OsStr,
        args: &[OsString],
        env: &[(&str, OsString)],
        journal: &Arc<Journal>,
    ) -> Result<Self, String> {
        let problem = |error: std::io::Error| format!("{name}: cannot start {}: {error}", program.display());
        let (leash, words) = leash::words(program).map_err(problem)?;
        let (started, mark) = (Instant::now(), journal.mark());
        let mut process = Command::new(leash)
            .args(words)
            .args(args)
            // Nothing in the user's shell may change how the demo goes: no proxy, no SIDECAR_* variable.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C in the terminal is for the demo, which then stops the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(problem)?;
        let pid = process.id().unwrap_or_default() as i32;
        let stderr = process.stderr.take();
        let (say_ended, ended) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let listener = Arc::clone(journal);
        tasks.spawn(async move {
            let listening = async {
                if let Some(stderr) = stderr {
                    listen(name, stderr, &listener).await;
                }
            };
            tokio::pin!(listening);
            let status = tokio::select! {
                status = process.wait() => {
                    // Its last words; but what it has started may hold the pipe open for as long as it likes.
                    let _ = tokio::time::timeout(Duration::from_millis(200), &mut listening).await;
                    status
                }
                () = &mut listening => process.wait().await,
            };
            say_ended.send_replace(status.ok());
        });
        Ok(Self { name, pid, started, mark, journal: Arc::clone(journal), ended, _tasks: tasks })
    }

    /// Waits for the end, whatever the reason.
    pub async fn ended(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    /// Waits for a line, and gives up early if the process has ended.
    pub async fn line(&self, within: Duration, wanted: impl Fn(&Line) -> bool) -> Result<Arc<Line>, String> {
        let mine = |line: &Line| line.who == self.name && wanted(line);
        let why = tokio::select! {
            biased;
            line = self.journal.find(self.mark, within, mine) => match line {
                Some(line) => return Ok(line),
                None => format!("said nothing of it within {} s", within.as_secs()),
            },
            status = self.ended() => status.map_or("is gone".into(), |status| status.to_string()),
        };
        let last = self.journal.last(self.name, 3);
        let last: Vec<String> = last.iter().map(|line| line.to_text()).collect();
        let last = if last.is_empty() { "it said nothing".into() } else { last.join("; ") };
        Err(format!("{}: {why}: {last}", self.name))
    }

    /// SIGTERM, and SIGKILL if that was not enough.
    pub async fn stop(&self, within: Duration) -> Stopped {
        let (began, mark) = (Instant::now(), self.journal.mark());
        self.signal(Signal::TERM);
        let status = match tokio::time::timeout(within, self.ended()).await {
            Ok(status) => status,
            Err(_) => {
                self.signal(Signal::KILL);
                self.ended().await
            }
        };
        let took = began.elapsed();
        let said = self.journal.since(mark);
        let said: Vec<_> = said.iter().filter(|line| line.who == self.name).collect();
        // An error says more than the goodbye after it.
        let words = said.iter().find(|line| line.level == "ERROR").or(said.last());
        let words = words.map_or_else(String::new, |line| line.to_text());
        let code = status.and_then(|status| status.code());
        Stopped { code, took, said: words, work: Ok(None) }
    }

    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// SIGHUP.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// What asks an app to open its log files again.
    pub fn open_logs_again(&self) {
        self.signal(Signal::USR1);
    }

    /// Only to a process that is still there: its number may belong to somebody else by now.
    fn signal(&self, signal: Signal) {
        if self.ended.borrow().is_none()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may have ended this very moment, which is as good.
            let _ = kill_process(pid, signal);
        }
    }
}

async fn listen(name: &'static str, stderr: ChildStderr, journal: &Journal) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut stderr).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            journal.write(name, text.trim());
        }
        line.clear();
    }
}
