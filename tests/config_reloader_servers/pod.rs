//! A pod without Kubernetes: processes that see each other and nobody else, as with `shareProcessNamespace: true`.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use test_kit::{PATIENCE, Sidecar, Start, children, eventually};

use crate::{BINARY, program};

/// A PID namespace. In it a name means one server, though many tests run at once; and all that runs in it ends with it,
/// however the test ends.
pub(crate) struct Pod {
    holder: Child,
    pause: u32,
}

impl Pod {
    #[track_caller]
    pub(crate) fn new() -> Self {
        // Should the test be killed, the namespace is, too.
        let (held, apart) = (["--pdeathsig=KILL"], ["--pid", "--fork", "--kill-child", "--mount-proc"]);
        let mut command = Command::new(program("setpriv"));
        command.args(held).arg(program("unshare")).args(apart).args([BINARY, "pause"]);
        let mut holder = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut pause = None;
        // Until its first process is what it is to be, its /proc may still be the old one.
        eventually(PATIENCE, || {
            let words = |pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let is_held = |pid: &u32| words(*pid) == format!("{BINARY}\0pause\0");
            pause = children(holder.id()).into_iter().map(|(pid, _)| pid).find(is_held);
            pause.is_some() || holder.try_wait().unwrap().is_some()
        });
        let Some(pause) = pause else {
            let _ = holder.kill();
            panic!("no PID namespace, which needs root: {:?}", holder.wait());
        };
        Self { holder, pause }
    }

    /// Starts a program in it.
    pub(crate) fn start(&self, program: &str) -> Start {
        Sidecar::start(program).own_admin().under(self.words())
    }

    /// Starts the sidecar of the test in it.
    pub(crate) fn config_reloader(&self) -> Start {
        Sidecar::start(BINARY).under(self.words())
    }

    fn words(&self) -> [String; 4] {
        [program("nsenter"), format!("--target={}", self.pause), "--pid".into(), "--mount".into()]
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // With the first process of a namespace the kernel kills all others. The test's directory can only be removed when
        // none of them writes there any more.
        let namespace = namespace(self.pause);
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        let lives = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            pid != self.pause && self::namespace(pid) == namespace && stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let pids =
            || fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        eventually(PATIENCE, || !pids().any(lives));
    }
}

/// Which PID namespace a process is in.
fn namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}
