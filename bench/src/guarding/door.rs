//! The doors: ours under the peer's name, and the peer, with the same flags.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use test_kit::OpenId;

use super::Rig;
use crate::http;

const PATIENCE: Duration = Duration::from_secs(20);
/// Of "secret word", at cost 10, as `htpasswd -B -C 10` makes it.
const USERS: &str = "alice:$2b$10$abcdefghijklmnopqrstuurqombnWKmyEJXa.t9eqOAOBQaOVfVRm\n";

#[derive(Clone)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) is_ours: bool,
    pub(super) is_quiet: bool,
}

pub(super) struct Door {
    child: Child,
    pub(super) kind: Kind,
    pub(super) port: u16,
    /// From just before it was executed to the first 200 of /ping.
    pub(super) ready_after: Duration,
}

impl Door {
    /// `issuer`: of the provider. None: it has ended instead of getting ready.
    pub(super) fn start(rig: &Rig, kind: &Kind, port: u16, issuer: &str) -> Result<Option<Self>, String> {
        let problem = |error: std::io::Error| format!("{}: {error}", kind.name);
        let users = rig.scratch.path().join("users");
        fs::write(&users, USERS).map_err(problem)?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]);
        let link = rig.scratch.path().join("oauth2-proxy");
        if kind.is_ours {
            // It may be there from the door before.
            let _ = fs::remove_file(&link);
            let program = kind.program.canonicalize().map_err(problem)?;
            std::os::unix::fs::symlink(program, &link).map_err(problem)?;
            command.arg(&link);
        } else {
            command.arg(&kind.program);
        }
        command.args([
            "--provider=oidc",
            "--email-domain=mycompany.com",
            "--code-challenge-method=S256",
            "--cookie-secret=0123456789abcdef0123456789abcdef",
            "--skip-jwt-bearer-tokens",
            "--display-htpasswd-form=false",
            &format!("--oidc-issuer-url={issuer}"),
            &format!("--upstream=http://127.0.0.1:{}", rig.app),
            &format!("--http-address=127.0.0.1:{port}"),
            &format!("--client-id={}", OpenId::CLIENT),
            &format!("--client-secret={}", OpenId::SECRET),
            &format!("--htpasswd-file={}", users.display()),
        ]);
        if kind.is_quiet {
            command.args(["--request-logging=false", "--auth-logging=false", "--standard-logging=false"]);
        }
        command.env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0").stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create("/dev/null").map_err(problem)?).process_group(0);
        let begun = Instant::now();
        let child = command.spawn().map_err(problem)?;
        let mut door = Self { child, kind: kind.clone(), port, ready_after: Duration::ZERO };
        while !http::says_ok(port, "/ping") {
            if door.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Ok(None);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{}: not ready after {PATIENCE:?}", kind.name));
            }
            sleep(Duration::from_micros(200));
        }
        door.ready_after = begun.elapsed();
        Ok(Some(door))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have gone by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
