//! Finding processes of the pod in /proc, and saying precisely why one cannot be found.

use std::{fs, path::Path};

use super::{Generation, Trouble, missing};
use crate::config::Processes;

/// One process as /proc shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    /// In clock ticks since boot: with the pid it tells a process from a later one of the same number.
    started: u64,
    name: String,
    command_line: String,
    pub(super) uid: Option<u32>,
}

/// The children of a process at some moment.
#[derive(Clone, Debug)]
pub struct Workers {
    of: String,
    children: Vec<(i32, u64)>,
}

/// The process that is meant: of those that match, the one whose parent does not, as with a master and its workers.
pub(super) fn find(of: &Processes) -> Result<Process, Trouble> {
    if let Processes::PidFile(path) = of {
        return from_pidfile(path);
    }
    let matching: Vec<Process> = all().into_iter().filter(|process| matches(of, process)).collect();
    let topmost = |process: &&Process| !matching.iter().any(|other| other.pid == process.parent);
    matching.iter().find(topmost).cloned().ok_or_else(|| missing(of))
}

fn matches(of: &Processes, process: &Process) -> bool {
    if process.pid as u32 == std::process::id() {
        return false; // a pattern would match our own command line, which has it
    }
    match of {
        Processes::Name(name) => {
            // The kernel keeps 15 bytes of the name; the first word of the command line has all of it.
            let first = process.command_line.split(' ').next().unwrap_or_default();
            let full = Path::new(first.trim_end_matches(':')).file_name().is_some_and(|file| file == name.as_str());
            full || process.name == name.as_str() || (name.len() > 15 && process.name == name[..15])
        }
        Processes::CommandLine(pattern) => pattern.is_match(&process.command_line),
        Processes::PidFile(_) => false,
    }
}

fn from_pidfile(path: &Path) -> Result<Process, Trouble> {
    let text = values::read_text(path, 64).map_err(|problem| Trouble::new("no_process", problem))?;
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| Trouble::new("no_process", format!("{}: expected a pid", path.display())))?;
    look(pid).ok_or_else(|| {
        let place = path.display();
        Trouble::new("no_process", format!("{place}: no process has pid {pid}; {}", namespace_hint()))
    })
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| look(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn look(pid: i32) -> Option<Process> {
    let read = |file: &str| values::read_capped(format!("/proc/{pid}/{file}").as_ref(), 1 << 20).ok();
    let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
    let (name, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    if fields.first() == Some(&"Z") {
        return None; // it has ended, and nobody has noticed yet
    }
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
    let command_line = String::from_utf8_lossy(&read("cmdline")?).replace('\0', " ").trim_end().to_owned();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        name: name.to_owned(),
        command_line,
        uid,
    })
}

/// Place, thing, and what is missing.
pub(super) fn explain_missing(of: &Processes) -> String {
    format!("no process matches {of}; {}", namespace_hint())
}

fn namespace_hint() -> String {
    let visible = all().len();
    // Alone, or with what kubectl exec brought: the other containers cannot be seen at all.
    if std::process::id() == 1 {
        return format!(
            "this container sees only its own {visible} process(es): the pod needs shareProcessNamespace: true"
        );
    }
    format!("{visible} processes are visible")
}

pub(super) fn generation(of: &Processes) -> Result<Generation, Trouble> {
    workers(of).map(Generation::Workers)
}

/// Who the children are now.
fn workers(of: &Processes) -> Result<Workers, Trouble> {
    let master = find(of)?;
    let children = all().into_iter().filter(|process| process.parent == master.pid);
    Ok(Workers { of: of.to_string(), children: children.map(|child| (child.pid, child.started)).collect() })
}

/// Works once there are children, and none of them was there before.
pub(super) fn renewed(of: &Processes, before: &[Generation]) -> Result<(), Trouble> {
    let now = workers(of)?;
    let old = before.iter().find_map(|generation| match generation {
        Generation::Workers(workers) => Some(workers).filter(|workers| workers.of == now.of),
        Generation::Answer(_) => None,
    });
    let stayed = now.children.iter().filter(|child| old.is_some_and(|old| old.children.contains(child))).count();
    match (now.children.len(), stayed) {
        (0, _) => Err(Trouble::new("workers", format!("{of} has no workers"))),
        (_, 0) => Ok(()),
        (all, stayed) => {
            let text =
                format!("{stayed} of {all} workers of {of} are still the old ones: it did not take the new config");
            Err(Trouble::new("workers", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_topmost_of_several() {
        let script = "sleep 30 & sleep 30 & wait";
        let mut shell = std::process::Command::new("sh").args(["-c", script, "topmost-test"]).spawn().unwrap();
        let pattern = regex_lite::Regex::new("topmost-test").unwrap();
        let found = find(&Processes::CommandLine(pattern)).unwrap();
        assert_eq!(found.pid as u32, shell.id());
        let children = all().into_iter().filter(|process| process.parent == found.pid);
        for child in children {
            let pid = rustix::process::Pid::from_raw(child.pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
    }

    #[test]
    fn says_that_nothing_matches() {
        let nobody = find(&Processes::Name("no-such-process".into())).unwrap_err();
        assert!(nobody.text.starts_with("no process matches no-such-process; "), "{}", nobody.text);
    }
}
