//! Running a program: bounded in time, killed with all it has started, its last words kept.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command as Process,
};
use values::Span;

use super::{Occasion, Trouble};
use crate::{
    config::{Command, FILE},
    snapshot::hex,
};

/// So much of what a program says is kept.
const WORDS: usize = 4096;

pub(super) async fn run(command: &Command, occasion: Occasion<'_>) -> Result<(), Trouble> {
    let Some(words) = &command.per_change else {
        return once(command, occasion, &[]).await;
    };
    for words in occasion.changes.iter().filter_map(|change| (words.0)(change)) {
        once(command, occasion, &words).await?;
    }
    Ok(())
}

async fn once(command: &Command, occasion: Occasion<'_>, more: &[String]) -> Result<(), Trouble> {
    let file = occasion.file.map(|path| path.to_string_lossy().into_owned());
    let mut words = command.words.iter().map(|word| match &file {
        Some(file) => word.replace(FILE, file),
        None => word.clone(),
    });
    let program = words.next().unwrap_or_default();
    let changed: Vec<_> = occasion.changes.iter().map(|change| change.path.to_string_lossy()).collect();
    let mut process = Process::new(&program);
    process
        .args(words)
        .args(more)
        .env("CONFIG_RELOADER_DIGEST", hex(occasion.digest))
        .env("CONFIG_RELOADER_CHANGED", changed.join("\n"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what it starts can be ended with it.
        .process_group(0)
        .kill_on_drop(true);
    let mut child = process.spawn().map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => ": no such program in this container",
            _ => "",
        };
        Trouble::new("exec", format!("{program}: {error}{hint}"))
    })?;
    let group = Group(child.id().and_then(|pid| Pid::from_raw(pid as i32)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let finished = async {
        let (status, out, err) = tokio::join!(child.wait(), last_words(stdout), last_words(stderr));
        status.map(|status| (status, if err.is_empty() { out } else { err }))
    };
    match tokio::time::timeout(command.timeout, finished).await {
        Ok(Ok((status, _))) if status.success() => Ok(()),
        Ok(Ok((status, words))) => Err(Trouble::new("exec", format!("{program}: {status}{words}"))),
        Ok(Err(error)) => Err(Trouble::new("exec", format!("{program}: {error}"))),
        Err(_) => {
            drop(group);
            Err(Trouble::new("timeout", format!("{program}: not done within {}, killed", Span(command.timeout))))
        }
    }
}

/// Ends the whole group when dropped, also when the run is given up half-way.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Reads to the end, so that the program never waits for us, and keeps the last of it: `: "text"`, or nothing.
async fn last_words(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..length]);
        if kept.len() > 2 * WORDS {
            kept.drain(..kept.len() - WORDS);
        }
    }
    let text = String::from_utf8_lossy(&kept).trim().to_owned();
    if text.is_empty() { text } else { format!(": \"{text}\"") }
}
