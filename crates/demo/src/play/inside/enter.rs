//! A command in a container that runs: exec probes, hooks, and `demo exec`.

use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};

use super::{Spaces, Who, contain, join, leash};

/// What an exec probe that took too long ends with.
const TIMED_OUT: u8 = 124;

#[derive(Debug, Serialize, Deserialize)]
pub struct Enter {
    pub spaces: Spaces,
    /// The container's first process, as seen from outside.
    pub pid: i32,
    pub words: Vec<String>,
    pub env: Vec<(String, String)>,
    pub dir: String,
    pub who: Who,
    pub timeout: Option<Duration>,
    /// It may read what we are given.
    pub interactive: bool,
}

pub fn run(parent: Option<i32>, what: &Enter) -> Result<ExitCode, String> {
    let spaces = &what.spaces;
    let user = spaces.user.then_some((spaces.holder, "user", CloneFlags::CLONE_NEWUSER));
    let others = [
        (what.pid, "net", CloneFlags::CLONE_NEWNET),
        (what.pid, "uts", CloneFlags::CLONE_NEWUTS),
        (what.pid, "ipc", CloneFlags::CLONE_NEWIPC),
        (what.pid, "pid", CloneFlags::CLONE_NEWPID),
        (what.pid, "mnt", CloneFlags::CLONE_NEWNS),
    ];
    // That of a user who is only called so is inside of the pod's, and has no power over the others.
    let is_called = !spaces.all_users && (what.who.user, what.who.group) != (0, 0);
    let inner = is_called.then_some((what.pid, "user", CloneFlags::CLONE_NEWUSER));
    join(&user.into_iter().chain(others).chain(inner).collect::<Vec<_>>())?;
    leash(parent)?;
    let Some((program, args)) = what.words.split_first() else { return Err("no command".into()) };
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(what.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&what.dir);
    if !what.interactive {
        command.stdin(Stdio::null());
    }
    if spaces.all_users {
        command.uid(what.who.user).gid(what.who.group);
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("exec: {program}: no such program in this container"),
        _ => format!("exec: {program}: {error}"),
    })?;
    let began = Instant::now();
    loop {
        let over = match what.timeout {
            None => return child.wait().map(contain::code).map_err(|error| error.to_string()),
            Some(timeout) => began.elapsed() >= timeout,
        };
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(contain::code(status));
        }
        if over {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(ExitCode::from(TIMED_OUT));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
