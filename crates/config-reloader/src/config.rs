//! What a reload means: the model that every spelling, ours or a peer's, is turned into.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use http_client::Client;
use regex_lite::Regex;

use crate::snapshot::Change;

/// One reloader: what it watches, and what it does about a change.
#[derive(Debug)]
pub struct Config {
    /// What has to stay the same for nothing to happen.
    pub watch: Vec<file_watch::Target>,
    pub timing: Timing,
    /// Remembers what the app was told last, across restarts.
    pub state_file: Option<PathBuf>,
    pub on_start: OnStart,
    /// Prepare, check, tell once, then exit: for init containers.
    pub once: bool,
    pub prepare: Vec<Output>,
    pub check: Vec<Action>,
    pub tell: Vec<Action>,
    pub verify: Vec<Action>,
    /// How long the app may take until the verification works.
    pub verify_within: Duration,
    pub when_unverified: WhenUnverified,
}

/// How patient to be.
#[derive(Clone, Debug)]
pub struct Timing {
    pub watch: file_watch::Options,
    /// The first pause before trying again; it doubles each time.
    pub retry_first: Duration,
    pub retry_most: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let mut timing = Self {
            watch: file_watch::Options::default(),
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(60),
        };
        timing.settle(Duration::from_millis(100));
        timing
    }
}

impl Timing {
    /// After a ConfigMap swap a tenth of it is enough for the kubelet to put the links of new keys in place.
    pub fn settle(&mut self, quiet: Duration) {
        self.watch.settle = quiet;
        self.watch.settle_swap = quiet / 10;
        self.watch.settle_max = self.watch.settle_max.max(quiet);
    }
}

/// Whether the app is told at the start, when nothing has changed before our eyes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStart {
    /// If the state file says that something changed meanwhile, or a prepared file really became another.
    #[default]
    Changed,
    Always,
    Never,
}

/// What a failed verification leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnverified {
    /// The last good files are put back and the app is told again, once.
    #[default]
    RollBack,
    /// The files stay, and the app is told again until it works.
    TellAgain,
}

/// A file that is made from another.
#[derive(Clone, Debug)]
pub struct Output {
    /// A file, or a directory of which every file is made into one of the same name.
    pub from: PathBuf,
    pub to: PathBuf,
    pub gunzip: bool,
    pub text: Text,
    /// As the source has it, if not given.
    pub permissions: Option<u32>,
    /// What comes out may not be larger than this.
    pub largest: u64,
}

/// What is done to the text of a file on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    Verbatim,
    /// `$(VAR)` becomes the variable.
    Substitute {
        variables: BTreeMap<String, String>,
        undefined: Undefined,
    },
    /// A Jinja template.
    Template {
        variables: BTreeMap<String, String>,
        files: BTreeMap<String, PathBuf>,
        undefined: Undefined,
    },
}

/// What to do about a variable that has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undefined {
    #[default]
    Error,
    /// Left as it stands (`$(VAR)`), or empty in a template.
    Keep,
}

/// Something that can be done, and that works or does not: a check before, a way to tell the app, a verification after.
#[derive(Debug)]
pub enum Action {
    Http(Box<Http>),
    Command(Command),
    /// A line on stdout for each file that changed.
    Print(PerChange),
    Signal(Signal),
    Line(Line),
    Touch(PathBuf),
    /// Ends this process with a code that a `restartPolicyRules` entry of the pod acts upon.
    Exit(u8),
    /// Works once every process found then has started anew: for what replaces its workers when it reloads.
    NewWorkers(Processes),
}

/// A request, and what its answer must be.
#[derive(Debug)]
pub struct Http {
    pub client: Client,
    /// What must be found in the body.
    pub contains: Option<String>,
    /// What must not be as it was before the app was told: the first group of this pattern.
    pub renewed: Option<Regex>,
}

impl From<Client> for Http {
    fn from(client: Client) -> Self {
        Self { client, contains: None, renewed: None }
    }
}

/// Words for a file that changed, or nothing if that change is not of interest.
#[derive(Clone)]
pub struct PerChange(pub Arc<ToWords>);

type ToWords = dyn Fn(&Change) -> Option<Vec<String>> + Send + Sync;

impl fmt::Debug for PerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PerChange")
    }
}

/// In the words of a command: the file it is about.
pub const FILE: &str = "{file}";

/// A program to run.
#[derive(Clone, Debug)]
pub struct Command {
    /// `{file}` stands for the file that was prepared, before it is put in place, or else for the first that changed.
    pub words: Vec<String>,
    pub timeout: Duration,
    /// Run once for each file that changed, with these words as further arguments.
    pub per_change: Option<PerChange>,
}

impl Action {
    /// Whether it is told which file it is about.
    pub fn takes_file(&self) -> bool {
        matches!(self, Self::Command(command) if command.words.iter().any(|word| word.contains(FILE)))
    }
}

#[derive(Clone, Debug)]
pub struct Signal {
    pub signal: Signum,
    pub to: Processes,
}

/// Which processes of the pod are meant. Of those that match, the one whose parent does not match is taken.
#[derive(Clone, Debug)]
pub enum Processes {
    /// The name of the executable, as `ps` shows it.
    Name(String),
    CommandLine(Regex),
    PidFile(PathBuf),
}

/// A line sent to a socket, such as HAProxy's.
#[derive(Clone, Debug)]
pub struct Line {
    pub to: Socket,
    pub send: String,
    /// What must be found in the answer. Without it, no answer is awaited.
    pub expect: Option<String>,
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    Tcp(String),
    Unix(PathBuf),
}

impl Config {
    /// Everything whose change has to be noticed: what is watched, and what files are made of.
    pub fn sources(&self) -> Vec<file_watch::Target> {
        let mut sources = self.watch.clone();
        for output in &self.prepare {
            sources.push(file_watch::Target { path: output.from.clone(), recursive: true });
            if let Text::Template { files, .. } = &output.text {
                sources.extend(files.values().map(|path| file_watch::Target { path: path.clone(), recursive: false }));
            }
        }
        sources
    }
}

/// A signal by its number, typed as `HUP`, `SIGHUP` or `1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signum(pub i32);

const SIGNALS: [(&str, i32); 12] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("TTIN", 21),
    ("TTOU", 22),
    ("WINCH", 28),
];

impl std::str::FromStr for Signum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let by_name = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let number = by_name.or_else(|| name.parse().ok().filter(|number| (1..=64).contains(number)));
        number.map(Self).ok_or_else(|| {
            let known: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
            format!("expected a signal such as {}", known.join(", "))
        })
    }
}

impl fmt::Display for Signum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Display for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::CommandLine(pattern) => write!(f, "/{pattern}/"),
            Self::PidFile(path) => write!(f, "pidfile {}", path.display()),
        }
    }
}

impl fmt::Display for Action {
    /// Short, without secrets, and the same for as long as the config is: it is a metric label too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(http) => f.write_str(http.client.place()),
            Self::Command(command) => write!(f, "exec {}", command.words.join(" ")),
            Self::Print(_) => f.write_str("print"),
            Self::Signal(Signal { signal, to }) => write!(f, "{signal} to {to}"),
            Self::Line(Line { to: Socket::Tcp(addr), .. }) => write!(f, "line to {addr}"),
            Self::Line(Line { to: Socket::Unix(path), .. }) => write!(f, "line to {}", path.display()),
            Self::Touch(path) => write!(f, "touch {}", path.display()),
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::NewWorkers(processes) => write!(f, "new workers of {processes}"),
        }
    }
}
