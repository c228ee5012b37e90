//! One process in a pod: started in its namespaces, listened to, ended, never left behind.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

use super::say::Words;

/// What is still in a pipe when its process is gone; others may hold it open for as long as they like.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A stage of `inside`, and the socket over which it says how far it is.
pub struct Stage {
    child: Child,
    socket: BufReader<UnixStream>,
}

impl Stage {
    pub fn start(stage: &str, spec: &Path, outputs: bool) -> Result<Self, String> {
        let say = |error: io::Error| format!("cannot start a process: {error}");
        let (ours, theirs) = StdStream::pair().map_err(say)?;
        ours.set_nonblocking(true).map_err(say)?;
        let output = || if outputs { Stdio::piped() } else { Stdio::null() };
        let child = Command::new(std::env::current_exe().map_err(say)?)
            .args(["inside", stage, &std::process::id().to_string()])
            .arg(spec)
            .stdin(OwnedFd::from(theirs))
            .stdout(output())
            .stderr(output())
            // Ctrl-C in the terminal is for us, who then stop the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(say)?;
        let socket = BufReader::new(UnixStream::from_std(ours).map_err(say)?);
        Ok(Self { child, socket })
    }

    pub fn pid(&self) -> i32 {
        self.child.id().unwrap_or_default() as i32
    }

    /// The next thing it says; None when it has nothing more to say. Problems are errors.
    pub async fn heard(&mut self) -> Result<Option<String>, String> {
        let mut line = String::new();
        match self.socket.read_line(&mut line).await {
            Ok(1..) => {}
            _ => return Ok(None),
        }
        let line = line.trim_end();
        line.strip_prefix("problem ").map_or_else(|| Ok(Some(line.to_owned())), |problem| Err(problem.to_owned()))
    }

    /// A word that it waits for; whatever else it says is a problem.
    pub async fn expect(&mut self, word: &str) -> Result<String, String> {
        let line = self.heard().await?.ok_or("it ended without a word")?;
        let rest = line.strip_prefix(word).ok_or_else(|| format!("it said \"{line}\""))?;
        Ok(rest.trim().to_owned())
    }

    pub async fn answer(&mut self, line: &str) -> Result<(), String> {
        self.socket.write_all(format!("{line}\n").as_bytes()).await.map_err(|error| error.to_string())
    }

    pub async fn wait(mut self) -> Result<ExitStatus, String> {
        self.child.wait().await.map_err(|error| error.to_string())
    }
}

pub struct Process {
    /// Of the program itself, as seen from outside.
    pub pid: i32,
    ended: watch::Receiver<Option<i32>>,
    /// Dropped with us, and with it the process is killed.
    _tasks: JoinSet<()>,
}

impl Process {
    /// Returns when the program runs, or says why it cannot.
    pub async fn start(launch: &Path, words: &Arc<Words>) -> Result<Self, String> {
        let mut stage = Stage::start("contain", launch, true)?;
        let outputs = (stage.child.stdout.take(), stage.child.stderr.take());
        let listener = Arc::clone(words);
        let mut tasks = JoinSet::new();
        let (say_heard, heard) = watch::channel(false);
        tasks.spawn(async move {
            let one = async {
                if let Some(out) = outputs.0 {
                    listener.listen(out).await;
                }
            };
            let two = async {
                if let Some(out) = outputs.1 {
                    listener.listen(out).await;
                }
            };
            tokio::join!(one, two);
            say_heard.send_replace(true);
        });
        let pid = stage.expect("pid").await?.parse().map_err(|_| "no number of a process")?;
        // Nothing more is said if it has become the program.
        if let Some(line) = stage.heard().await? {
            return Err(line);
        }
        let (say_ended, ended) = watch::channel(None);
        tasks.spawn(async move {
            let status = stage.wait().await;
            let mut heard = heard;
            let _ = tokio::time::timeout(LAST_WORDS, heard.wait_for(|all| *all)).await;
            let code = status.ok().and_then(|status| status.code());
            say_ended.send_replace(Some(code.unwrap_or(255)));
        });
        Ok(Self { pid, ended, _tasks: tasks })
    }

    /// Waits for the end. 128 and the number, if it was a signal.
    pub async fn ended(&self) -> i32 {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|code| *code).unwrap_or(255)
    }

    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Only to a process that is still there: its number may belong to somebody else by now.
    pub fn signal(&self, signal: Signal) {
        if !self.has_ended()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may have ended this very moment, which is as good.
            let _ = kill_process(pid, signal);
        }
    }
}
