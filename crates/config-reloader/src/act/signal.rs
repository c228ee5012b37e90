//! A signal to another process of the pod.

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal as Number, geteuid, pidfd_open, pidfd_send_signal},
};

use super::{
    Trouble,
    processes::{Process, find},
};
use crate::config::{Signal, Signum};

pub(super) fn send(signal: &Signal) -> Result<(), Trouble> {
    let process = find(&signal.to)?;
    deliver(&process, signal.signal).map_err(|error| refused(&process, signal, error))
}

fn deliver(process: &Process, signal: Signum) -> Result<(), Errno> {
    let pid = Pid::from_raw(process.pid).ok_or(Errno::SRCH)?;
    let number = Number::from_named_raw(signal.0).ok_or(Errno::INVAL)?;
    // Through a descriptor: between looking and sending, the number may have gone to somebody else.
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => pidfd_send_signal(&process, number),
        Err(Errno::NOSYS | Errno::PERM) => rustix::process::kill_process(pid, number),
        Err(error) => Err(error),
    }
}

/// Says which right is missing, and which three ways there are to get it.
fn refused(process: &Process, signal: &Signal, error: Errno) -> Trouble {
    let pid = process.pid;
    let start = format!("{} to {} (pid {pid})", signal.signal, signal.to);
    if error != Errno::PERM {
        return Trouble::new("signal", format!("{start}: {error}"));
    }
    let theirs = process.uid.map_or("another user".to_owned(), |uid| format!("UID {uid}"));
    let ours = geteuid().as_raw();
    let text = format!(
        "{start}: not permitted: it runs as {theirs} and this container as UID {ours}; run both as the same UID \
         (runAsUser), or as root, or leave CAP_KILL to this container"
    );
    Trouble::new("permission", text)
}
