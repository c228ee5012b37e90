//! Doing things that work or do not: checking, telling the app, verifying.

mod command;
mod http;
mod line;
pub(crate) mod processes;
mod signal;

use std::{
    fs::{File, FileTimes},
    io::Write,
    path::Path,
    time::{Duration, SystemTime},
};

/// How something was before the app was told.
#[derive(Clone, Debug)]
pub enum Generation {
    Workers(processes::Workers),
    Answer(http::Answer),
}

use crate::{
    config::{Action, PerChange, Processes},
    snapshot::{Change, Hash},
};

/// Why something did not work: for the operator, and a short word for a metric.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub text: String,
    pub kind: &'static str,
    /// What an HTTP server answered, if it was one.
    pub status: Option<u16>,
    /// When it said to come back.
    pub retry_after: Option<Duration>,
}

impl Trouble {
    pub fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Self { text: text.into(), kind, status: None, retry_after: None }
    }
}

/// What an action may want to know about the change it is about.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    pub digest: &'a Hash,
    pub changes: &'a [Change],
    /// What `{file}` stands for.
    pub file: Option<&'a Path>,
    /// Who was there before the app was told.
    pub before: &'a [Generation],
}

/// That it worked, and what an HTTP server answered, if it was one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub status: Option<u16>,
}

/// One attempt.
pub async fn perform(action: &Action, occasion: Occasion<'_>) -> Result<Done, Trouble> {
    let done = |()| Done::default();
    match action {
        Action::Http(http) => http::send(http, occasion).await,
        Action::Command(command) => command::run(command, occasion).await.map(done),
        Action::Print(words) => print(words, occasion).map(done),
        Action::Signal(signal) => signal::send(signal).map(done),
        Action::Line(line) => line::send(line).await.map(done),
        Action::Touch(path) => touch(path).map(done),
        Action::NewWorkers(of) => processes::renewed(of, occasion.before).map(done),
        // Done by whoever ends the process, after everything else.
        Action::Exit(_) => Ok(Done::default()),
    }
}

/// How things are before the app is told, for every action that will ask what has become new.
pub async fn generations(actions: &[Action]) -> Vec<Generation> {
    let mut generations = Vec::new();
    for action in actions {
        generations.extend(match action {
            Action::NewWorkers(of) => processes::generation(of).ok(),
            Action::Http(http) => http::generation(http).await,
            _ => None,
        });
    }
    generations
}

fn print(words: &PerChange, occasion: Occasion<'_>) -> Result<(), Trouble> {
    let mut stdout = std::io::stdout().lock();
    let mut lines = occasion.changes.iter().filter_map(|change| (words.0)(change));
    lines
        .try_for_each(|words| writeln!(stdout, "{}", words.join("\t")))
        .map_err(|error| Trouble::new("print", format!("stdout: {error}")))
}

fn touch(path: &Path) -> Result<(), Trouble> {
    let now = FileTimes::new().set_modified(SystemTime::now());
    let touched = File::options().append(true).create(true).open(path).and_then(|file| file.set_times(now));
    touched.map_err(|error| Trouble::new("touch", format!("{}: {error}", path.display())))
}

/// Tells a process that is meant by its selector from ones that merely exist.
fn missing(of: &Processes) -> Trouble {
    Trouble::new("no_process", processes::explain_missing(of))
}
