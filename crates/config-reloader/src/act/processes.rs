//! Finding processes of the pod in /proc, and saying precisely why one cannot be found.

use std::{fs, path::Path};

use super::{Generation, Trouble, missing};
use crate::config::Processes;

/// One process as /proc shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// In clock ticks since boot: with the pid it tells a process from a later one of the same number.
    pub(crate) started: u64,
    pub(crate) name: String,
    pub(crate) command_line: String,
    pub(crate) uid: Option<u32>,
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

pub(crate) fn matches(of: &Processes, process: &Process) -> bool {
    if process.pid as u32 == std::process::id() {
        return false; // a pattern would match our own command line, which has it
    }
    match of {
        Processes::Name(name) => {
            // The kernel keeps 15 bytes of the name; the first word of the command line has all of it.
            let first = process.command_line.split(' ').next().unwrap_or_default();
            let full = Path::new(first.trim_end_matches(':')).file_name().is_some_and(|file| file == name.as_str());
            let kept = String::from_utf8_lossy(&name.as_bytes()[..name.len().min(15)]);
            full || process.name == name.as_str() || process.name == kept
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
    let read = |file: &str| {
        let bytes = values::read_capped(format!("/proc/{pid}/{file}").as_ref(), 1 << 20).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    parse(pid, &read("stat")?, &read("status")?, &read("cmdline")?)
}

/// From the files of these names in `/proc/PID`.
pub(crate) fn parse(pid: i32, stat: &str, status: &str, cmdline: &str) -> Option<Process> {
    let (name, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    if fields.first() == Some(&"Z") {
        return None; // it has ended, and nobody has noticed yet
    }
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        name: name.to_owned(),
        command_line: cmdline.replace('\0', " ").trim_end().to_owned(),
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
    fn a_name_is_cut_where_the_kernel_cuts_it() {
        // In the middle of the last letter.
        let name = "prometheus-caf\u{e9}";
        let kept = String::from_utf8_lossy(&name.as_bytes()[..15]);
        let process = parse(7, &format!("7 ({kept}) S 1{}", " 0".repeat(20)), "", "").unwrap();
        assert!(matches(&Processes::Name(name.into()), &process));
        assert!(!matches(&Processes::Name("prometheus".into()), &process));
    }

    #[test]
    fn says_that_nothing_matches() {
        let nobody = find(&Processes::Name("no-such-process".into())).unwrap_err();
        assert!(nobody.text.starts_with("no process matches no-such-process; "), "{}", nobody.text);
    }
}
