//! How a sidecar is started: its arguments, its environment, the name it is called by.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::Arc,
};

use crate::{PATIENCE, Sidecar, TempDir};

/// A sidecar about to be started.
#[derive(Debug)]
pub struct Start {
    binary: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    argv0: Option<OsString>,
    under: Vec<OsString>,
    own_admin: bool,
    keeps: Option<Arc<TempDir>>,
}

/// What a run that ends by itself leaves behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; minus the number of the signal that killed it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Start {
    pub(crate) fn new(binary: &OsStr) -> Self {
        Self {
            binary: binary.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            argv0: None,
            under: Vec::new(),
            own_admin: false,
            keeps: None,
        }
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Calls it by another name, such as that of the peer it replaces.
    pub fn argv0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.argv0 = Some(name.as_ref().to_owned());
        self
    }

    /// Runs it inside another command, such as `unshare --pid --fork`.
    pub fn under<S: AsRef<OsStr>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.under = command.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// Leaves the admin address to the test; otherwise it is `127.0.0.1:0`, so that tests never meet.
    pub fn own_admin(mut self) -> Self {
        self.own_admin = true;
        self
    }

    /// The directory it works in must not be gone before it is.
    pub fn keeping(mut self, dir: &Arc<TempDir>) -> Self {
        self.keeps = Some(Arc::clone(dir));
        self
    }

    /// Starts it. What it says is kept from here on.
    pub fn spawn(mut self) -> Sidecar {
        if !self.own_admin {
            // In front: arguments may end with `-- COMMAND`.
            self.args.splice(0..0, ["--admin-addr", "127.0.0.1:0"].map(OsString::from));
        }
        let child = self.command().spawn().unwrap_or_else(|error| panic!("{self:?}: {error}"));
        Sidecar::running(child, self.keeps)
    }

    /// Runs it to its end, with these arguments only: for `--help`, `healthcheck` and the like.
    pub fn run(mut self) -> Output {
        self.own_admin = true;
        let sidecar = self.spawn();
        let code = sidecar.wait_exit_within(PATIENCE);
        Output { code, stdout: sidecar.stdout(), stderr: sidecar.stderr() }
    }

    fn command(&self) -> Command {
        let mut command = match self.under.split_first() {
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        // The tester's own settings are none of the test's business.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIDECAR_")) {
            command.env_remove(name);
        }
        if let Some(argv0) = &self.argv0 {
            command.arg0(argv0);
        }
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}
