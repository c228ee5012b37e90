//! How a process is, as /proc shows it.

use std::fs;

/// One number of a file in the style of /proc/PID/status: `Name:   123 kB`.
fn number(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.unwrap_or_else(|| panic!("{path} has no number under {name}; is the process gone?"))
}

/// One number of smaps_rollup, in KiB.
pub(crate) fn memory_kib(pid: u32, name: &str) -> u64 {
    number(&format!("/proc/{pid}/smaps_rollup"), name)
}

pub(crate) fn threads(pid: u32) -> u64 {
    number(&format!("/proc/{pid}/status"), "Threads")
}

/// How often any of its threads went to sleep: what an idle process must not do, because it would have to wake up first.
pub(crate) fn sleeps(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let of = |task: fs::DirEntry| {
        let status = task.path().join("status");
        number(status.to_str().unwrap(), "voluntary_ctxt_switches")
    };
    tasks.map(of).sum()
}

pub(crate) fn catches(pid: u32, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
    caught.is_some_and(|caught| caught >> (signal - 1) & 1 == 1)
}

/// The processes whose parent this is: pid and state (`Z` is a zombie).
pub fn children(parent: u32) -> Vec<(u32, char)> {
    let of = |entry: fs::DirEntry| {
        let stat = fs::read(entry.path().join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        let (pid, rest) = (stat.split(' ').next()?.parse().ok()?, stat.rsplit_once(") ")?.1);
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        (fields.next()?.parse() == Ok(parent)).then_some((pid, state))
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
}
