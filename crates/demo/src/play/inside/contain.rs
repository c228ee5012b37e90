//! One container's process space, in the network of its pod. Stays, and ends as the program in it does.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitCode, ExitStatus},
};

use nix::sched::{CloneFlags, unshare};

use super::{Launch, join, leash, tell};

pub fn run(parent: i32, spec: &Path, launch: &Launch) -> Result<ExitCode, String> {
    let spaces = &launch.spaces;
    let user = spaces.user.then_some((spaces.holder, "user", CloneFlags::CLONE_NEWUSER));
    let others = [
        (spaces.holder, "net", CloneFlags::CLONE_NEWNET),
        (spaces.holder, "uts", CloneFlags::CLONE_NEWUTS),
        (spaces.holder, "ipc", CloneFlags::CLONE_NEWIPC),
    ];
    // The holder's own process space is the one outside; that of its first child is the pod's.
    let shared = spaces.shared_processes.map(|first| (first, "pid", CloneFlags::CLONE_NEWPID));
    join(&user.into_iter().chain(others).chain(shared).collect::<Vec<_>>())?;
    let mut fresh = CloneFlags::CLONE_NEWNS;
    fresh.set(CloneFlags::CLONE_NEWPID, shared.is_none());
    unshare(fresh).map_err(|error| format!("no namespaces for the container: {error}"))?;
    leash(Some(parent))?;
    // Before there is a child: it changes the root of everybody in this mount namespace.
    let nothing = std::fs::File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(program).args(["inside", "become"]).arg(spec).spawn();
    let mut child = child.map_err(|error| format!("cannot start a process: {error}"))?;
    tell(&format!("pid {}", child.id()));
    // Whoever listens at the other end sees its end as soon as the child has become its program.
    rustix::stdio::dup2_stdin(nothing).map_err(|error| error.to_string())?;
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(code(status))
}

/// As shells and container runtimes count: 128 and the signal.
pub fn code(status: ExitStatus) -> ExitCode {
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal).unwrap_or(255);
    ExitCode::from(u8::try_from(code).unwrap_or(255))
}
