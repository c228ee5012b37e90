//! `nginx -s`: finds the process that runs and tells it.

use std::{
    ffi::OsString,
    fs,
    io::Write,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};

use super::Flags;
use crate::dialect::{Called, called_as};

/// Where nginx has it, unless the configuration says another place.
const USUAL: &str = "/run/nginx.pid";

/// Leaves our number where `-s` and others look for it. In an image without a place for it, we are process 1.
pub fn write_pid(flags: &Flags) {
    let path = place(flags);
    let written = fs::File::create(&path).and_then(|mut file| writeln!(file, "{}", std::process::id()));
    if let Err(error) = written {
        tracing::debug!(path = %path.display(), %error, "the file with our number is not written");
    }
}

pub fn send(flags: &Flags, asked: &str) -> Result<(), String> {
    let pid = running(flags)?;
    // All ways out are graceful here: requests in flight are finished.
    let signal = match asked {
        "reload" => Signal::HUP,
        // Files are opened for each write: there is nothing to open again.
        "reopen" => return Ok(()),
        _ => Signal::TERM,
    };
    kill_process(pid, signal)
        .map_err(|error| format!("[alert] kill({}, {asked}) failed: {error}", pid.as_raw_nonzero()))
}

fn running(flags: &Flags) -> Result<Pid, String> {
    let path = place(flags);
    let from_file = values::read_text(&path, 64).ok().and_then(|text| text.trim().parse::<i32>().ok());
    let pid = from_file.filter(|pid| serves(*pid, flags)).or_else(|| search(flags)).and_then(Pid::from_raw);
    pid.ok_or_else(|| format!("[error] open() \"{}\" failed (2: No such file or directory)", path.display()))
}

/// Where nothing can be written there is no file with its number. In its own container it is found all the same.
fn search(flags: &Flags) -> Option<i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|process| process.file_name().to_string_lossy().parse::<i32>().ok());
    pids.filter(|pid| is_near(*pid) && serves(*pid, flags)).min()
}

/// In the same container: it sees the same files.
fn is_near(pid: i32) -> bool {
    let mounts = |who: &str| fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
    match mounts(&pid.to_string()) {
        Some(theirs) => Some(theirs) == mounts("self"),
        // Nobody may look at it, but in a container the first process is the one that matters.
        None => pid == 1,
    }
}

/// Whether a process serves the configuration that is meant, in the place of nginx.
fn serves(pid: i32, flags: &Flags) -> bool {
    let Ok(line) = values::read_capped(&PathBuf::from(format!("/proc/{pid}/cmdline")), 64 << 10) else { return false };
    let words = line.strip_suffix(b"\0").unwrap_or(&line).split(|byte| *byte == 0);
    let argv: Vec<OsString> = words.map(|word| OsString::from_vec(word.to_vec())).collect();
    let name = argv.first().and_then(|path| Path::new(path).file_name());
    let is_ours = name.is_some_and(|name| name == "nginx" || name == "reverse-proxy");
    if !is_ours || pid == std::process::id() as i32 {
        return false;
    }
    let Ok(Called::Peer(super::NAME, argv)) = called_as(&argv) else { return false };
    let theirs = Flags::try_parse_from(argv);
    theirs.is_ok_and(|theirs| !theirs.ends() && theirs.file() == flags.file())
}

fn place(flags: &Flags) -> PathBuf {
    let said = flags.source().ok().and_then(|source| {
        let found = source.directives.into_iter().find(|directive| directive.name == "pid");
        found.and_then(|directive| directive.args.into_iter().next())
    });
    let globals = flags.global.iter().flat_map(|text| text.split(';'));
    let typed = globals.filter_map(|text| text.trim().strip_prefix("pid ")).next_back().map(str::to_owned);
    typed.or(said).map_or_else(
        || USUAL.into(),
        |path| flags.file().parent().map(|dir| dir.join(&path)).unwrap_or_else(|| path.into()),
    )
}
