//! PID 1 buries the dead: processes whose parent is gone become its children, and stay zombies until it waits for them.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, sleep_until};

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};

/// Who started a child waits for it within the same wake-up. What is a zombie this much later is nobody's.
const GRACE: Duration = Duration::from_secs(1);

/// Zombies that may be nobody's, and when that will be known. No timer runs while there are none.
#[derive(Default)]
pub(crate) struct Reaper {
    found: BTreeSet<i32>,
    due: Option<Instant>,
}

impl Reaper {
    /// To be told of every SIGCHLD.
    pub(crate) fn child_ended(&mut self) {
        if self.due.is_none() {
            self.found = zombies();
            self.due = (!self.found.is_empty()).then(|| Instant::now() + GRACE);
        }
    }

    /// Waits until there is something to reap; never comes back otherwise.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn reap(&mut self) {
        for pid in zombies().intersection(&self.found) {
            if let Some(pid) = Pid::from_raw(*pid) {
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
        self.due = None;
        // Who has ended in the meantime.
        self.child_ended();
    }
}

/// Our children that have ended and that nobody has waited for yet.
fn zombies() -> BTreeSet<i32> {
    // Asking without reaping first: the usual answer is "none", and /proc need not be walked for it.
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if !matches!(waitid(WaitId::All, peek), Ok(Some(_))) {
        return BTreeSet::new();
    }
    let Ok(proc) = std::fs::read_dir("/proc") else {
        return BTreeSet::new();
    };
    proc.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| is_zombie_of_ours(*pid).unwrap_or(false))
        .collect()
}

fn is_zombie_of_ours(pid: i32) -> Option<bool> {
    let stat = values::read_capped(format!("/proc/{pid}/stat").as_ref(), 4096).ok()?;
    // A long name is cut in the middle of a letter, so this need not be UTF-8.
    let stat = String::from_utf8_lossy(&stat);
    // The command in parentheses may hold anything; what follows the last one is state and parent.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some(fields.next()? == "Z" && fields.next()?.parse() == Ok(std::process::id()))
}
