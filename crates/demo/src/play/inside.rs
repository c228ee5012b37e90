//! What runs in the namespaces of a pod: this program once more, which becomes what the manifest names.
//!
//! Five stages, each a hidden subcommand: `sandbox` holds the pod's network, `contain` steps into it and makes a
//! process space, `become` builds the file system of one container and turns into its program, `enter` runs a command in
//! a container that is there already, `pause` is the first process of a pod whose containers share their processes. They are processes of their own because a process can only move itself, and doing
//! it between fork and exec would need code that this workspace forbids.

mod become_program;
mod contain;
mod devices;
mod enter;
mod machine;
mod mounts;
mod pause;
mod sandbox;
mod who;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use nix::sched::{CloneFlags, setns};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use enter::{Enter, run as enter};
pub use sandbox::Sandbox;

/// The stages, as words of the command line.
#[derive(clap::Subcommand)]
pub enum Stage {
    Sandbox { parent: i32, spec: PathBuf },
    Contain { parent: i32, spec: PathBuf },
    Become { spec: PathBuf },
    Enter { parent: i32, spec: PathBuf },
    Pause,
}

pub fn run(stage: &Stage) -> ExitCode {
    let done = match stage {
        Stage::Sandbox { parent, spec } => read(spec).and_then(|spec| sandbox::run(*parent, &spec)),
        Stage::Contain { parent, spec } => read(spec).and_then(|launch| contain::run(*parent, spec, &launch)),
        Stage::Become { spec } => read(spec).and_then(|launch| become_program::run(&launch)),
        Stage::Enter { parent, spec } => read(spec).and_then(|what| enter::run(Some(*parent), &what)),
        Stage::Pause => pause::run(),
    };
    done.unwrap_or_else(|problem| {
        tell(&format!("problem {problem}"));
        ExitCode::from(128)
    })
}

/// Which namespaces there are: not every kernel lets everybody have them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spaces {
    /// The process that holds them.
    pub holder: i32,
    /// The first process of the pod, where its containers share their processes.
    pub shared_processes: Option<i32>,
    /// A user namespace is among them.
    pub user: bool,
    /// Users have the numbers they have outside; else there is one only, who is 0 inside.
    pub all_users: bool,
}

/// Everything about one container.
#[derive(Debug, Serialize, Deserialize)]
pub struct Launch {
    pub spaces: Spaces,
    /// An empty directory, to become `/`.
    pub root: PathBuf,
    pub base: Base,
    pub files: Vec<(String, String)>,
    pub links: Vec<(String, String)>,
    pub binds: Vec<Bind>,
    pub words: Vec<String>,
    pub env: Vec<(String, String)>,
    pub dir: String,
    pub who: Who,
    pub read_only: bool,
}

/// What a file system begins with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Base {
    /// Nothing but the C library, as our images are.
    Scratch,
    /// What this machine has; nothing that is written there reaches it.
    Machine,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bind {
    pub from: PathBuf,
    pub to: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Who {
    pub user: u32,
    pub group: u32,
    pub groups: Vec<u32>,
    /// File capabilities of the image's program, which no file has here.
    pub capabilities: Vec<String>,
}

pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Standard input is a socket: the other end is who started us.
fn tell(line: &str) {
    let mut line = line.replace('\n', " ");
    line.push('\n');
    // Nobody listens any more: then nobody needs to know.
    if rustix::io::write(rustix::stdio::stdin(), line.as_bytes()).is_err() {
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Dies with its parent from here on. After every change of credentials, which forget it.
fn leash(parent: Option<i32>) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| format!("leash: {error}"))?;
    // It may have died before the line above: then nobody would ever send the signal.
    match parent {
        Some(parent) if getppid() != Pid::from_raw(parent) => Err("the program that started this is gone".into()),
        _ => Ok(()),
    }
}

/// Steps into namespaces: each of a process, by its name.
fn join(wanted: &[(i32, &str, CloneFlags)]) -> Result<(), String> {
    // All of them opened first: after the first step /proc may be another one.
    let open = |(pid, name, flag): &(i32, &str, CloneFlags)| {
        let path = format!("/proc/{pid}/ns/{name}");
        let file = std::fs::File::open(&path).map_err(|error| format!("{path}: {error}"))?;
        Ok((path, file, *flag))
    };
    for (path, file, flag) in wanted.iter().map(open).collect::<Result<Vec<_>, String>>()? {
        setns(file, flag).map_err(|error| format!("cannot enter {path}: {error}"))?;
    }
    Ok(())
}
