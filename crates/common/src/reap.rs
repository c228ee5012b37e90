//! PID 1 buries the dead: processes whose parent is gone become its children, and stay zombies until it waits for them.

use std::{collections::BTreeSet, time::Duration};

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};

/// Who started a child waits for it within the same wake-up. What is a zombie this much later is nobody's.
const GRACE: Duration = Duration::from_secs(1);

/// Reaps orphans after some child has ended. Started once per SIGCHLD; no timer runs otherwise.
pub(crate) async fn orphans() {
    let before = zombies();
    if before.is_empty() {
        return;
    }
    tokio::time::sleep(GRACE).await;
    for pid in zombies().intersection(&before) {
        if let Some(pid) = Pid::from_raw(*pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
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
    let stat = values::read_text(format!("/proc/{pid}/stat").as_ref(), 4096).ok()?;
    // The command in parentheses may hold anything; what follows the last one is state and parent.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some(fields.next()? == "Z" && fields.next()?.parse() == Ok(std::process::id()))
}
