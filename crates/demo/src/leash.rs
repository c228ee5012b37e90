//! Ties a child's life to ours, so that not even `kill -9` on the demo leaves a process behind.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The words that run `program` on a leash: this program once more, which then becomes the other one. A process can
/// only ask for itself to be killed with its parent, and asking between fork and exec would need `unsafe`.
pub fn words(program: &OsStr) -> std::io::Result<(PathBuf, [OsString; 4])> {
    let parent = std::process::id().to_string();
    let words = ["leash".into(), parent.into(), "--".into(), program.into()];
    Ok((std::env::current_exe()?, words))
}

/// What the child does. It only returns if the program cannot be started.
pub fn become_program(parent: i32, words: &[OsString]) -> ExitCode {
    let Some((program, words)) = words.split_first() else {
        return super::failed("leash: expected a program");
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return super::failed(&format!("leash: {error}"));
    }
    // The demo may have died before the line above: then nobody would ever send the signal.
    if getppid() != Pid::from_raw(parent) {
        return super::failed("leash: the demo is gone");
    }
    let error = Command::new(program).args(words).exec();
    super::failed(&format!("{}: {error}", program.display()))
}
