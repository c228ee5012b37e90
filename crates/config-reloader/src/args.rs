//! What was typed: our own flags, or those of the peer under whose name the binary was called.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{Arguments, CommonArgs, Defaults, Failure, Usage, args::typed};
use http_client::{Client, Target};
use regex_lite::Regex;
use tls::ClientTls;
use values::Span;

use crate::{
    config::{
        Action, Command, Config, Line, OnStart, Output, Processes, Signal, Signum, Socket, Text, Timing, Undefined,
        WhenUnverified,
    },
    dialect::Dialect,
    yaml::{self, LARGEST, Poll, TIMEOUT},
};

/// The variables that templates and substitutions can use.
#[derive(Clone, Debug, Default)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    fn of_this_process() -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// What to trust when nothing else is said: the bundle of SSL_CERT_FILE, as everywhere, or the system's.
    pub fn tls(&self) -> ClientTls {
        let system_bundle = self.0.get("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        ClientTls { system_bundle, ca_setting: "ca_file or SSL_CERT_FILE".into(), ..ClientTls::default() }
    }
}

/// A command line in one of the spellings we know.
#[derive(Debug)]
pub struct Args {
    common: CommonArgs,
    environment: Environment,
    spelling: Spelling,
}

#[derive(Debug)]
enum Spelling {
    Own(Box<OwnArgs>),
    Peer(Box<Dialect>),
}

impl Arguments for Args {
    const NAME: &'static str = "config-reloader";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DEFAULTS: Defaults = Defaults { admin_port: 9533, drain_delay: Duration::ZERO };
    const PEERS: &'static [&'static str] = &crate::dialect::NAMES;

    fn parse(argv: &[OsString]) -> Result<Self, Usage> {
        let environment = Environment::of_this_process();
        if let Some((name, argv)) = crate::dialect::called_as(argv)? {
            let (common, dialect) = crate::dialect::parse(name, &argv, Self::DEFAULTS)?;
            return Ok(Self { common, environment, spelling: Spelling::Peer(Box::new(dialect)) });
        }
        let own: OwnArgs = typed(argv, Self::DEFAULTS)?;
        Ok(Self { common: own.common.clone(), environment, spelling: Spelling::Own(Box::new(own)) })
    }

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn file(&self) -> Option<&Path> {
        match &self.spelling {
            Spelling::Own(own) => own.config.as_deref(),
            Spelling::Peer(_) => None,
        }
    }
}

impl Args {
    /// What it means. Read again at each reload, so files and variables are looked at here and not before.
    pub fn load(&self) -> Result<Config, Failure> {
        match &self.spelling {
            Spelling::Own(own) => own.load(&self.environment),
            Spelling::Peer(dialect) => dialect.load(&self.environment),
        }
    }

    pub fn dialect(&self) -> Option<&Dialect> {
        match &self.spelling {
            Spelling::Own(_) => None,
            Spelling::Peer(dialect) => Some(dialect),
        }
    }
}

/// Notices that configuration bytes changed, checks them, tells the app, verifies that it worked
#[derive(clap::Parser, Debug)]
#[command(name = "config-reloader", version, after_help = AFTER_HELP)]
struct OwnArgs {
    /// Everything below in one YAML file, and more; see docs/config-reloader.md
    #[arg(long, value_name = "FILE", conflicts_with_all = ["watch", "prepare", "check", "url", "signal", "exec", "socket", "touch", "exit_code", "verify_url", "verify_exec"])]
    config: Option<PathBuf>,

    /// A file, directory or glob whose bytes matter; may be given several times
    #[arg(long, value_name = "PATH")]
    watch: Vec<PathBuf>,

    /// Watch what is below directories too
    #[arg(long)]
    recursive: bool,

    /// How long nothing may happen until a change counts as complete
    #[arg(long, value_name = "DURATION", default_value = "100ms")]
    settle: Span,

    /// Look this often instead of waiting for events; `auto` does so only where there are none
    #[arg(long, value_name = "DURATION", default_value = "auto")]
    poll: String,

    /// Remember here what the app was told last, so that changes made while we were down are noticed
    #[arg(long, value_name = "FILE")]
    state_file: Option<PathBuf>,

    /// Whether to tell the app at the start: changed, always, never
    #[arg(long, value_name = "WHEN", default_value = "changed")]
    tell_on_start: OnStart,

    /// Do it once and exit, as an init container
    #[arg(long)]
    once: bool,

    /// Make the second file (or directory) from the first, atomically
    #[arg(long, value_name = "FROM=TO")]
    prepare: Vec<String>,

    /// How --prepare makes it: copy, substitute ($(VAR)), template (Jinja)
    #[arg(long = "as", value_name = "HOW", default_value = "copy", value_parser = ["copy", "substitute", "template"])]
    how: String,

    /// Unpack gzip in --prepare
    #[arg(long)]
    gunzip: bool,

    /// A command that must succeed before the app is told; {file} is what was prepared, or what changed
    #[arg(long, value_name = "COMMAND")]
    check: Vec<String>,

    /// Tell the app by an HTTP request to this URL
    #[arg(long, value_name = "URL")]
    url: Vec<String>,

    /// The method of --url
    #[arg(long, value_name = "METHOD", default_value = "POST")]
    method: String,

    /// Tell the app by this signal, sent to --process, --pidfile or --command-line
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<Signum>,

    /// The name of the executable to send --signal to
    #[arg(long, value_name = "NAME", requires = "signal", conflicts_with_all = ["pidfile", "command_line"])]
    process: Option<String>,

    /// The file that has the pid to send --signal to
    #[arg(long, value_name = "FILE", requires = "signal", conflicts_with = "command_line")]
    pidfile: Option<PathBuf>,

    /// A regular expression for the command line to send --signal to
    #[arg(long, value_name = "REGEX", requires = "signal", value_parser = Regex::new)]
    command_line: Option<Regex>,

    /// Tell the app by running this command
    #[arg(long, value_name = "COMMAND")]
    exec: Vec<String>,

    /// Tell the app by sending --send to this socket: unix:/path or host:port
    #[arg(long, value_name = "SOCKET", requires = "send")]
    socket: Option<Socket>,

    /// The line for --socket
    #[arg(long, value_name = "LINE", requires = "socket")]
    send: Option<String>,

    /// What the answer to --send must contain
    #[arg(long, value_name = "TEXT", requires = "socket")]
    expect: Option<String>,

    /// Tell the app by changing the time of this file
    #[arg(long, value_name = "FILE")]
    touch: Option<PathBuf>,

    /// Tell the pod by exiting with this code, for restartPolicyRules
    #[arg(long, value_name = "CODE")]
    exit_code: Option<u8>,

    /// After telling, this URL must answer 2xx to a GET
    #[arg(long, value_name = "URL")]
    verify_url: Option<String>,

    /// After telling, this command must succeed
    #[arg(long, value_name = "COMMAND")]
    verify_exec: Option<String>,

    /// How long --verify-url and --verify-exec may take to work
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    verify_within: Span,

    #[command(flatten)]
    common: CommonArgs,
}

const AFTER_HELP: &str = "\
Also: config-reloader healthcheck | wait TARGET... | pause (each has --help)
Called as configmap-reload, prometheus-config-reloader or inotifyd, or with --dialect NAME as the first
argument, it takes that program's flags instead.";

impl OwnArgs {
    fn load(&self, environment: &Environment) -> Result<Config, Failure> {
        if let Some(file) = &self.config {
            return yaml::read(file, environment);
        }
        let mut problems = Vec::new();
        let config = self.to_config(environment, &mut problems);
        if config.watch.is_empty() && config.prepare.is_empty() {
            problems.push("--watch: required, or --prepare, or --config".into());
        }
        if problems.is_empty() { Ok(config) } else { Err(Failure { exit: common::Exit::Usage, problems }) }
    }

    fn to_config(&self, environment: &Environment, problems: &mut Vec<String>) -> Config {
        let mut timing = Timing::default();
        timing.settle(self.settle.into());
        match self.poll.parse() {
            Ok(Poll(polling)) => timing.watch.polling = polling,
            Err(expected) => problems.push(format!("--poll \"{}\": {expected}", self.poll)),
        }
        let target = |path: &PathBuf| file_watch::Target { path: path.clone(), recursive: self.recursive };
        Config {
            watch: self.watch.iter().map(target).collect(),
            timing,
            state_file: self.state_file.clone(),
            on_start: self.tell_on_start,
            once: self.once,
            prepare: self.prepare.iter().filter_map(|typed| self.output(typed, environment, problems)).collect(),
            check: commands("--check", &self.check, problems),
            tell: self.tells(environment, problems),
            verify: self.verifications(environment, problems),
            verify_within: self.verify_within.into(),
            when_unverified: WhenUnverified::RollBack,
        }
    }

    fn output(&self, typed: &str, environment: &Environment, problems: &mut Vec<String>) -> Option<Output> {
        let Some((from, to)) = typed.split_once('=') else {
            problems.push(format!("--prepare \"{typed}\": expected FROM=TO"));
            return None;
        };
        let (variables, undefined) = (environment.0.clone(), Undefined::Error);
        let text = match self.how.as_str() {
            "substitute" => Text::Substitute { variables, undefined },
            "template" => Text::Template { variables, files: BTreeMap::new(), undefined },
            _ => Text::Verbatim,
        };
        let (from, to) = (from.into(), to.into());
        Some(Output { from, to, gunzip: self.gunzip, text, permissions: None, largest: LARGEST.0 })
    }

    fn tells(&self, environment: &Environment, problems: &mut Vec<String>) -> Vec<Action> {
        let mut tells: Vec<Action> =
            self.url.iter().filter_map(|url| http("--url", &self.method, url, environment, problems)).collect();
        if let Some(signal) = self.signal {
            let name = self.process.clone().map(Processes::Name);
            let file = self.pidfile.clone().map(Processes::PidFile);
            let pattern = self.command_line.clone().map(Processes::CommandLine);
            match name.or(file).or(pattern) {
                Some(to) => tells.push(Action::Signal(Signal { signal, to })),
                None => problems.push("--signal: expected --process, --pidfile or --command-line with it".into()),
            }
        }
        tells.extend(commands("--exec", &self.exec, problems));
        if let (Some(to), Some(send)) = (self.socket.clone(), self.send.clone()) {
            tells.push(Action::Line(Line { to, send, expect: self.expect.clone(), timeout: TIMEOUT.into() }));
        }
        tells.extend(self.touch.clone().map(Action::Touch));
        tells.extend(self.exit_code.map(Action::Exit));
        tells
    }

    fn verifications(&self, environment: &Environment, problems: &mut Vec<String>) -> Vec<Action> {
        let mut verify: Vec<Action> =
            self.verify_url.iter().filter_map(|url| http("--verify-url", "GET", url, environment, problems)).collect();
        verify.extend(commands("--verify-exec", self.verify_exec.as_slice(), problems));
        verify
    }
}

fn http(flag: &str, method: &str, url: &str, environment: &Environment, problems: &mut Vec<String>) -> Option<Action> {
    let target = Target { timeout: TIMEOUT.into(), tls: Arc::new(environment.tls()), ..Target::new(method, url) };
    Client::new(target)
        .map(|client| Action::Http(Box::new(client.into())))
        .map_err(|error| problems.push(format!("{flag}: {error}")))
        .ok()
}

fn commands(flag: &str, typed: &[String], problems: &mut Vec<String>) -> Vec<Action> {
    let mut command = |line: &String| match words(line) {
        Ok(words) => Some(Action::Command(Command { words, timeout: Duration::from_secs(30), per_change: None })),
        Err(problem) => {
            problems.push(format!("{flag} \"{line}\": {problem}"));
            None
        }
    };
    typed.iter().filter_map(&mut command).collect()
}

/// Splits a command as a shell would, without being one: quotes yes, variables and pipes no.
pub fn words(line: &str) -> Result<Vec<String>, &'static str> {
    match shlex::split(line) {
        Some(words) if !words.is_empty() => Ok(words),
        Some(_) => Err("expected a command"),
        None => Err("expected a command, found an open quote"),
    }
}
