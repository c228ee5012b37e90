//! One container's life: started, watched, started again as the restart policy says, ended in its turn.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::sync::watch;

use super::{
    act::Actor,
    backoff::BackOff,
    holder::{Door, write_private},
    instance::Instance,
    model::Restart,
    plan::Plan,
    process::Process,
    say::{Say, Words},
};

/// However much of the grace period others have used up.
const LEAST_GRACE: Duration = Duration::from_secs(2);
/// What a container ends with that could not be started.
const NOT_STARTED: i32 = 128;

pub struct Unit {
    /// `pod/container`
    pub who: String,
    pub instance: Instance,
    pub plan: Plan,
    pub door: Door,
    pub words: Arc<Words>,
    pub say: Arc<Say>,
    pub back_off: Duration,
    pub grace: Duration,
    pub state: watch::Sender<State>,
    /// The pod is to go away.
    pub stopping: watch::Receiver<bool>,
}

#[derive(Clone, Default)]
pub struct State {
    pub running: Option<Arc<Process>>,
    /// The first probe has passed, and the hook is done: others may start.
    pub started: bool,
    /// `postStart` is done.
    pub hooked: bool,
    pub ready: bool,
    pub restarts: u32,
    pub code: Option<i32>,
    pub waits: bool,
    /// It will not run again.
    pub over: bool,
}

impl Unit {
    pub fn event(&self, what: &str) {
        self.say.event(&self.who, what);
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Runs it until it is not to run again. Its last exit code.
    pub async fn keep(&self, policy: Restart) -> i32 {
        let mut back_off = BackOff::new(self.back_off);
        loop {
            let began = Instant::now();
            let code = if self.is_stopping() { self.state.borrow().code.unwrap_or(0) } else { self.run_once().await };
            let again = match policy {
                Restart::Always => true,
                Restart::OnFailure => code != 0,
                Restart::Never => false,
            };
            if !again || self.is_stopping() {
                self.state.send_modify(|state| state.over = true);
                return code;
            }
            let wait = back_off.next(began.elapsed());
            if !wait.is_zero() {
                self.event(&format!("BackOff: waits {} s before it is started again", wait.as_secs_f64()));
                self.state.send_modify(|state| state.waits = true);
                let mut stopping = self.stopping.clone();
                let _ = tokio::time::timeout(wait, stopping.wait_for(|stop| *stop)).await;
            }
            self.state.send_modify(|state| {
                state.waits = false;
                state.restarts += 1;
            });
        }
    }

    async fn run_once(&self) -> i32 {
        let process = match Process::start(&self.plan.launch, &self.words).await {
            Ok(process) => Arc::new(process),
            Err(problem) => {
                self.event(&format!("Failed: {problem}"));
                self.state.send_modify(|state| state.code = Some(NOT_STARTED));
                return NOT_STARTED;
            }
        };
        self.event("Started");
        // For those who want to look inside. Without it nothing else is missed.
        let enter = self.actor(&process).enter(Vec::new(), None);
        let _ = write_private(&Plan::enter_file(&self.plan.launch), &enter);
        let (hooked, started) = (self.plan.container.post_start.is_none(), false);
        self.state.send_modify(|state| {
            let restarts = state.restarts;
            *state = State { running: Some(Arc::clone(&process)), hooked, started, restarts, ..State::default() };
        });
        if self.is_stopping() {
            // Nobody saw it in time to ask it.
            process.signal(Signal::KILL);
        }
        let code = tokio::select! {
            code = process.ended() => code,
            (reason, grace) = self.watch(&process) => {
                self.event(&format!("Killing: {reason}"));
                self.end(&process, grace, std::future::ready(())).await
            }
        };
        let how = if code == 0 { "Completed".to_owned() } else { format!("Error: {}", how(code)) };
        self.event(&format!("{how} (exit {code})"));
        self.state.send_modify(|state| {
            (state.running, state.code) = (None, Some(code));
            (state.ready, state.started) = (false, false);
        });
        code
    }

    pub fn actor<'a>(&'a self, process: &'a Process) -> Actor<'a> {
        Actor { plan: &self.plan, instance: &self.instance, door: &self.door, process }
    }

    /// `preStop` at once, then in its turn the signal, and what is left of the grace period; never less than 2 s.
    pub async fn end(&self, process: &Process, grace: Duration, turn: impl Future<Output = ()>) -> i32 {
        let began = Instant::now();
        if let Some(hook) = &self.plan.container.pre_stop {
            match self.actor(process).act(hook, grace).await {
                Ok(()) => self.event("preStop done"),
                Err(problem) => self.event(&format!("FailedPreStopHook: {problem}")),
            }
        }
        let _ = tokio::time::timeout(grace.saturating_sub(began.elapsed()), turn).await;
        if process.has_ended() {
            return process.ended().await;
        }
        let left = grace.saturating_sub(began.elapsed()).max(LEAST_GRACE);
        let signal = self.plan.stop;
        self.event(&format!("Killing: {}, {:.1} s to end", signal_name(signal), left.as_secs_f64()));
        process.signal(signal);
        if tokio::time::timeout(left, process.ended()).await.is_err() {
            self.event("Killing: SIGKILL, its time is over");
            process.signal(Signal::KILL);
        }
        process.ended().await
    }
}

fn signal_name(signal: Signal) -> String {
    let known = [
        (Signal::TERM, "SIGTERM"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
    ];
    let name = known.iter().find(|(one, _)| *one == signal).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("signal {}", signal.as_raw()))
}

fn how(code: i32) -> &'static str {
    match code {
        128 => "not started",
        137 => "SIGKILL",
        139 => "SIGSEGV",
        143 => "SIGTERM",
        _ => "it failed",
    }
}
