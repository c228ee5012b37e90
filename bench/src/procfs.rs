//! What the kernel says about a process and its children.

use std::{fs, ops::AddAssign, path::Path, time::Duration};

/// In KiB.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    pub(crate) anonymous: u64,
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.rss += other.rss;
        self.anonymous += other.anonymous;
    }
}

/// The process and everything it has started.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        for task in tasks(pid) {
            let children = fs::read_to_string(task.join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        next += 1;
    }
    found
}

pub(crate) fn memory(pid: u32) -> Memory {
    let mut sum = Memory::default();
    for pid in family(pid) {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let field = |name: &str| number_after(&rollup, name).unwrap_or(0);
        sum += Memory { rss: field("Rss:"), anonymous: field("Anonymous:") };
    }
    sum
}

pub(crate) fn threads(pid: u32) -> usize {
    family(pid).into_iter().map(|pid| tasks(pid).len()).sum()
}

/// How often any thread was put on a processor since it began.
pub(crate) fn switches(pid: u32) -> u64 {
    let tasks = family(pid).into_iter().flat_map(tasks);
    tasks
        .map(|task| {
            let status = fs::read_to_string(task.join("status")).unwrap_or_default();
            let field = |name: &str| number_after(&status, name).unwrap_or(0);
            field("\nvoluntary_ctxt_switches:") + field("nonvoluntary_ctxt_switches:")
        })
        .sum()
}

/// User and system time so far, threads that have ended included. The kernel counts in steps of 10 ms.
pub(crate) fn cpu(pid: u32) -> Duration {
    let ticks = family(pid).into_iter().map(|pid| ticks(pid).unwrap_or(0)).sum::<u64>();
    Duration::from_millis(ticks * 10)
}

/// Time on a processor so far, to the nanosecond, of threads that are still there.
pub(crate) fn cpu_exact(pid: u32) -> Duration {
    let tasks = family(pid).into_iter().flat_map(tasks);
    let spent = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// The most memory the process has had, in KiB.
pub(crate) fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    number_after(&status, "VmHWM:").unwrap_or(0)
}

fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in brackets, may have spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn tasks(pid: u32) -> Vec<std::path::PathBuf> {
    let tasks = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"));
    tasks.into_iter().flatten().flatten().map(|task| task.path()).collect()
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_a_past() {
        let pid = std::process::id();
        let memory = memory(pid);
        assert!(memory.rss > memory.anonymous && memory.anonymous > 0);
        assert!(threads(pid) >= 1 && switches(pid) >= 1);
    }
}
