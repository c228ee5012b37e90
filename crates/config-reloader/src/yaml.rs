//! Our own config file: YAML in, [`Config`] out, every problem reported with its line.

use std::{collections::BTreeMap, path::Path, str::FromStr, sync::Arc, time::Duration};

use common::{Failure, config::Section};
use http_client::{Client, Expect, Target};
use regex_lite::Regex;
use values::{ByteSize, Span, socket_path};

use crate::{
    args::{Environment, words},
    config::{
        Action, Command, Config, Http, Line, OnStart, Output, Processes, Signal, Signum, Socket, Text, Timing,
        Undefined, WhenUnverified,
    },
};

/// Files that are read into memory to be changed. Larger ones can only be copied or unpacked.
pub const LARGEST: ByteSize = ByteSize(64 << 20);
pub const TIMEOUT: Span = Span::from_secs(10);

/// Reads a whole file of ours.
pub fn read(path: &Path, environment: &Environment) -> Result<Config, Failure> {
    common::config::read(path, |root| {
        root.ignore("sidecar"); // common reads this one
        config(root, environment)
    })
}

pub(crate) fn config(root: &mut Section, environment: &Environment) -> Config {
    let watch = root.sections_or_text("watch", "path").iter_mut().filter_map(target).collect();
    let mut timing = Timing::default();
    let set = |place: &mut Duration, value: Option<Span>| *place = value.map_or(*place, Duration::from);
    if let Some(Span(quiet)) = root.parsed("settle") {
        timing.settle(quiet);
    }
    set(&mut timing.watch.settle_max, root.parsed("settle_max"));
    timing.watch.polling = root.parsed("poll").map_or(timing.watch.polling, |Poll(polling)| polling);
    if let Some(mut retry) = root.section("retry") {
        set(&mut timing.retry_first, retry.parsed("first"));
        set(&mut timing.retry_most, retry.parsed("most"));
    }
    let config = Config {
        watch,
        timing,
        state_file: root.parsed("state_file"),
        on_start: root.parsed("tell_on_start").unwrap_or_default(),
        once: root.parsed("once").unwrap_or(false),
        prepare: root.sections("prepare").iter_mut().filter_map(|section| output(section, environment)).collect(),
        check: actions(root, "check", environment),
        tell: actions(root, "tell", environment),
        verify: actions(root, "verify", environment),
        verify_within: root.parsed("verify_within").unwrap_or(TIMEOUT).into(),
        when_unverified: root.parsed("when_unverified").unwrap_or_default(),
    };
    if config.watch.is_empty() && config.prepare.is_empty() {
        root.problem("nothing to do: expected watch or prepare");
    }
    config
}

fn target(section: &mut Section) -> Option<file_watch::Target> {
    let recursive = section.parsed("recursive").unwrap_or(false);
    section.required("path").map(|path| file_watch::Target { path, recursive })
}

/// `auto`, or how often to look.
pub struct Poll(pub file_watch::Polling);

impl FromStr for Poll {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self(file_watch::Polling::Auto)),
            _ => match text.parse::<Span>() {
                Ok(Span(Duration::ZERO)) => Err("expected auto, or a duration above 0".into()),
                Ok(Span(every)) => Ok(Self(file_watch::Polling::Every(every))),
                Err(expected) => Err(format!("{expected}, or auto")),
            },
        }
    }
}

impl FromStr for OnStart {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "changed" => Self::Changed,
            "always" => Self::Always,
            "never" => Self::Never,
            _ => return Err("expected changed, always or never"),
        })
    }
}

impl FromStr for WhenUnverified {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "roll_back" => Self::RollBack,
            "tell_again" => Self::TellAgain,
            _ => return Err("expected roll_back or tell_again"),
        })
    }
}

fn output(section: &mut Section, environment: &Environment) -> Option<Output> {
    let (from, to) = (section.required("from"), section.required("to"));
    let permissions = section.parsed("permissions").map(|Permissions(mode)| mode);
    let ByteSize(largest) = section.parsed("largest").unwrap_or(LARGEST);
    let undefined = match section.parsed::<String>("undefined").as_deref() {
        None | Some("error") => Undefined::Error,
        Some("keep") => Undefined::Keep,
        Some(other) => {
            section.problem(format!("undefined: \"{other}\": expected error or keep"));
            Undefined::Error
        }
    };
    let files: BTreeMap<_, _> = section.pairs("files").into_iter().map(|(name, path)| (name, path.into())).collect();
    let variables = environment.0.clone();
    let text = match section.parsed::<String>("as").as_deref() {
        None | Some("copy") => Text::Verbatim,
        Some("substitute") => Text::Substitute { variables, undefined },
        Some("template") => Text::Template { variables, files, undefined },
        Some(other) => {
            section.problem(format!("as: \"{other}\": expected copy, substitute or template"));
            Text::Verbatim
        }
    };
    let gunzip = section.parsed("gunzip").unwrap_or(false);
    Some(Output { from: from?, to: to?, gunzip, text, permissions, largest })
}

/// `0640` or `640`, as chmod takes it.
struct Permissions(u32);

impl FromStr for Permissions {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mode = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or("expected permissions such as 0640")
    }
}

fn actions(root: &mut Section, key: &str, environment: &Environment) -> Vec<Action> {
    root.sections(key).iter_mut().filter_map(|section| action(section, environment)).collect()
}

fn action(section: &mut Section, environment: &Environment) -> Option<Action> {
    let exec = section.section_or("exec", "command").and_then(|mut exec| command(&mut exec));
    let found: Vec<Action> = [
        section.section_or("http", "url").and_then(|mut http| client(&mut http, environment)),
        exec.map(Action::Command),
        section.section_or("signal", "name").and_then(|mut signal| signal_to(&mut signal)),
        section.section("socket").and_then(|mut socket| line(&mut socket)),
        section.parsed("touch").map(Action::Touch),
        section.section("exit").and_then(|mut exit| exit.required("code").map(Action::Exit)),
        section.section("new_workers").and_then(|mut of| processes(&mut of)).map(Action::NewWorkers),
    ]
    .into_iter()
    .flatten()
    .collect();
    if found.len() > 1 {
        section.problem("does two things: expected one of http, exec, signal, socket, touch, exit, new_workers");
    }
    found.into_iter().next()
}

fn command(section: &mut Section) -> Option<Command> {
    // One text is split into words as a shell would; a list is taken as it is.
    let mut words_given = section.list::<String>("command");
    if let [line] = words_given.as_slice() {
        words_given = words(line).map_err(|problem| section.problem(problem)).ok()?;
    }
    let timeout = section.parsed("timeout").unwrap_or(Span::from_secs(30)).into();
    if words_given.is_empty() {
        section.problem("command: required");
        return None;
    }
    Some(Command { words: words_given, timeout, per_change: None })
}

fn signal_to(section: &mut Section) -> Option<Action> {
    let signal = section.parsed("name").unwrap_or(Signum(1));
    processes(section).map(|to| Action::Signal(Signal { signal, to }))
}

fn processes(section: &mut Section) -> Option<Processes> {
    let name = section.parsed("process").map(Processes::Name);
    let pattern = section.parsed::<Pattern>("command_line").map(|Pattern(regex)| Processes::CommandLine(regex));
    let file = section.parsed("pidfile").map(Processes::PidFile);
    match [name, pattern, file].into_iter().flatten().collect::<Vec<_>>() {
        found if found.len() == 1 => found.into_iter().next(),
        _ => {
            section.problem("expected one of process, command_line, pidfile");
            None
        }
    }
}

struct Pattern(Regex);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Regex::new(text).map(Self).map_err(|error| format!("expected a regular expression: {error}"))
    }
}

impl FromStr for Socket {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = socket_path(text) {
            return Ok(Self::Unix(path));
        }
        match text.strip_prefix("tcp://").unwrap_or(text) {
            addr if addr.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
                Ok(Self::Tcp(addr.to_owned()))
            }
            _ => Err("expected unix:/path or host:port"),
        }
    }
}

fn line(section: &mut Section) -> Option<Action> {
    let (to, send) = (section.required("to"), section.required("send"));
    let expect = section.parsed("expect");
    let timeout = section.parsed("timeout").unwrap_or(TIMEOUT).into();
    Some(Action::Line(Line { to: to?, send: send?, expect, timeout }))
}

fn client(section: &mut Section, environment: &Environment) -> Option<Action> {
    let url = section.required::<String>("url");
    let method: Option<String> = section.parsed("method");
    let target = Target {
        headers: section.pairs("headers"),
        body: section.parsed::<String>("body").map(Into::into),
        expect: section.parsed::<Expect>("expect").unwrap_or_default(),
        timeout: section.parsed("timeout").unwrap_or(TIMEOUT).into(),
        unix_socket: section.parsed("unix_socket"),
        auth: http_client::auth(section),
        tls: Arc::new(http_client::client_tls(section, environment.tls())),
        ..Target::new(method.as_deref().unwrap_or("POST"), url?)
    };
    let contains = section.parsed("contains");
    match Client::new(target) {
        Ok(client) => Some(Action::Http(Box::new(Http { client, contains, renewed: None }))),
        Err(error) => {
            section.problem(error);
            None
        }
    }
}
