//! What was typed: the flags that every sidecar has, and reading flags so that all mistakes are said at once.

use std::{ffi::OsString, path::Path, process::ExitCode, str::FromStr};

use clap::{
    ArgMatches, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};
use tracing::level_filters::LevelFilter;
use values::{ListenAddr, Span};

use crate::{
    Exit, Failure,
    log::one_line,
    probe::View,
    settings::{Defaults, SHUTDOWN_TIMEOUT},
};

/// What is done instead of running: it is given its own name and what follows it.
pub type Subcommand = fn(&[OsString]) -> Result<ExitCode, Failure>;

/// The command line of one sidecar, in its own words or in those of a peer.
pub trait Arguments: Sized {
    /// Folder, crate, binary, image: one word for one thing.
    const NAME: &'static str;
    const VERSION: &'static str;
    const DEFAULTS: Defaults;
    /// Names under which the binary is called in place of a peer. Under these, nothing of ours is in the way:
    /// the subcommands `healthcheck`, `wait`, `pause` and `status` belong to the sidecar's own name.
    const PEERS: &'static [&'static str] = &[];
    /// What the subcommand `status` shows; there is none where there is nothing to show.
    const STATUS: Option<View> = None;
    /// How `healthcheck` asks, where the admin listener may be guarded; nothing is plain HTTP.
    const HEALTHCHECK: Option<Subcommand> = None;

    fn parse(argv: &[OsString]) -> Result<Self, Usage>;
    fn common(&self) -> &CommonArgs;

    /// A config file of ours that may have a `sidecar:` section.
    fn file(&self) -> Option<&Path> {
        None
    }
}

// Not a doc comment: clap would print it as the description of every sidecar.
// The flags that every sidecar has. `typed` fills in the defaults, because some differ by sidecar.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Every sidecar has")]
pub struct CommonArgs {
    /// Where health, metrics and administration listen; `off` for nowhere
    #[arg(long, value_name = "ADDR", env = "SIDECAR_ADMIN_ADDR")]
    pub admin_addr: Option<Listen>,

    /// A second address for probes, taken only if it is free; `off` for none
    #[arg(long, value_name = "ADDR", env = "SIDECAR_PROBE_ADDR")]
    pub probe_addr: Option<Listen>,

    /// The least important lines to log: error, warn, info, debug, trace, off
    #[arg(long, value_name = "LEVEL", env = "SIDECAR_LOG_LEVEL")]
    pub log_level: Option<LogLevel>,

    /// How to log: json, text, or auto (text on a terminal)
    #[arg(long, value_name = "FORMAT", env = "SIDECAR_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// How long to keep serving after SIGTERM, while /readyz already says no; at most half of --shutdown-timeout
    #[arg(long, value_name = "DURATION", env = "SIDECAR_DRAIN_DELAY")]
    pub drain_delay: Option<Span>,

    /// How long after SIGTERM to be gone, whatever is left
    #[arg(long, value_name = "DURATION", env = "SIDECAR_SHUTDOWN_TIMEOUT")]
    pub shutdown_timeout: Option<Span>,

    /// Let POST /quitquitquit from this machine stop the process, for Jobs on old clusters
    #[arg(long, value_name = "BOOL", env = "SIDECAR_ALLOW_QUIT", value_parser = truth)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_quit: Option<bool>,

    /// Check flags, environment and files, then exit with 0 or 78
    #[arg(long, env = "SIDECAR_CHECK_CONFIG")]
    pub check_config: bool,

    /// What a peer calls its listen address, for the message that the port is taken.
    #[arg(skip)]
    pub admin_flag: Option<&'static str>,
}

/// An address to listen on, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Off,
    At(ListenAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|expected| format!("{expected}, or off"))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Auto,
    Json,
    Text,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "json" => Self::Json,
            "text" => Self::Text,
            _ => return Err("expected json, text or auto"),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(LevelFilter);

impl LogLevel {
    pub(crate) fn filter(self) -> LevelFilter {
        self.0
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(LevelFilter::INFO)
    }
}

impl FromStr for LogLevel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text.to_ascii_lowercase().as_str() {
            "off" => LevelFilter::OFF,
            "error" => LevelFilter::ERROR,
            "warn" | "warning" => LevelFilter::WARN,
            "info" => LevelFilter::INFO,
            "debug" => LevelFilter::DEBUG,
            "trace" => LevelFilter::TRACE,
            _ => return Err("expected error, warn, info, debug, trace or off"),
        }))
    }
}

fn truth(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("expected true or false"),
    }
}

/// The peer by whose name we were called, if it was one.
pub(crate) fn called_as_peer<A: Arguments>(argv: &[OsString]) -> Option<&'static str> {
    let called = Path::new(argv.first()?).file_name()?;
    A::PEERS.iter().copied().find(|name| called == *name)
}

/// Why there are no arguments to go on with.
pub enum Usage {
    /// `--help` or `--version`: for stdout, and all is well.
    Asked(String),
    /// What is wrong, one line each.
    Wrong(Vec<String>),
}

impl From<Usage> for Failure {
    fn from(usage: Usage) -> Self {
        match usage {
            Usage::Asked(text) => Self::new(Exit::Clean, text),
            Usage::Wrong(problems) => Self { exit: Exit::Usage, problems },
        }
    }
}

/// Reads flags with clap, and goes on after each mistake so that the operator hears of all of them at once.
pub fn typed<T: clap::Parser>(argv: &[OsString], defaults: Defaults) -> Result<T, Usage> {
    let mut matches = matched(with_defaults(T::command(), defaults), argv)?;
    T::from_arg_matches_mut(&mut matches).map_err(|error| Usage::Wrong(vec![error.to_string()]))
}

/// The part of [`typed`] that is the same for all: there is one in the binary, not one per set of flags.
fn matched(mut command: Command, argv: &[OsString]) -> Result<ArgMatches, Usage> {
    let mut argv = argv.to_vec();
    let mut problems = Vec::new();
    loop {
        match command.try_get_matches_from_mut(&argv) {
            Ok(matches) if problems.is_empty() => return Ok(matches),
            Ok(_) => return Err(Usage::Wrong(problems)),
            Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                return Err(Usage::Asked(error.render().to_string()));
            }
            Err(error) => {
                let culprit = text_of(&error, ContextKind::InvalidArg);
                let problem = one_line(&explain(&error, &culprit, &argv, &command));
                // What was set aside for being wrong is not missing; and who goes round in circles must stop.
                let missing = error.kind() == ErrorKind::MissingRequiredArgument;
                let said = |known: &String| *known == problem || (missing && known.starts_with(&culprit));
                let again = problems.iter().any(said);
                if !again {
                    problems.push(problem);
                }
                if again || problems.len() == 20 || !set_aside(&mut argv, &mut command, &culprit, &error) {
                    return Err(Usage::Wrong(problems));
                }
            }
        }
    }
}

/// `--help` names every default, also those that differ by sidecar. It shows no values of variables: one may be a
/// secret, and the text would not be the same everywhere.
fn with_defaults(command: Command, defaults: Defaults) -> Command {
    let mut command = command.mut_args(|arg| arg.hide_env_values(true));
    for (id, default) in [
        ("admin_addr", format!(":{}", defaults.admin_port)),
        ("probe_addr", ":9090, or off when --admin-addr is given".into()),
        ("log_level", "info".into()),
        ("log_format", "auto".into()),
        ("drain_delay", Span(defaults.drain_delay).to_string()),
        ("shutdown_timeout", SHUTDOWN_TIMEOUT.to_string()),
    ] {
        // A dialect has the peer's flags only, and some of these have the same name and a default of their own.
        if command.get_arguments().any(|arg| arg.get_id() == id && arg.get_default_values().is_empty()) {
            command = command.mut_arg(id, |arg| {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                arg.help(format!("{help} [default: {default}]"))
            });
        }
    }
    command
}

fn text_of(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

/// Place, thing, expectation.
fn explain(error: &clap::Error, culprit: &str, argv: &[OsString], command: &Command) -> String {
    let flag = flag_of(culprit);
    let known = argument(command, flag);
    let typed_as_flag = argv.iter().any(|token| is(token, flag) || is_short(token, known));
    let place = match known.and_then(clap::Arg::get_env) {
        Some(name) if !typed_as_flag => name.to_string_lossy().into_owned(),
        _ => flag.to_owned(),
    };
    let value = text_of(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let known = command.get_arguments().filter_map(clap::Arg::get_long);
            match values::nearest(flag.trim_start_matches('-'), known) {
                Some(near) if flag.starts_with('-') => format!("{flag}: unknown flag, did you mean --{near}?"),
                _ if flag.starts_with('-') => format!("{flag}: unknown flag, see --help"),
                _ => format!("{culprit}: unexpected argument, see --help"),
            }
        }
        ErrorKind::ValueValidation => {
            let expected = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("{place} \"{value}\": {expected}")
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{place}: expected a value"),
        ErrorKind::InvalidValue => {
            format!("{place} \"{value}\": expected one of {}", text_of(error, ContextKind::ValidValue))
        }
        ErrorKind::ArgumentConflict => {
            format!("{place}: cannot be used together with {}", text_of(error, ContextKind::PriorArg))
        }
        ErrorKind::MissingRequiredArgument => format!("{culprit}: required"),
        ErrorKind::TooManyValues => format!("{place} \"{value}\": takes no value"),
        _ => {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    }
}

/// The flag in what clap calls an argument: `--watch <PATH>`, `--zebra=1`. A positional one has nothing to cut off:
/// `<FILE[:MASK]>...`.
fn flag_of(culprit: &str) -> &str {
    if culprit.starts_with('-') { culprit.split([' ', '=', '[']).next().unwrap_or_default() } else { culprit }
}

fn is(token: &OsString, flag: &str) -> bool {
    let token = token.to_string_lossy();
    token.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

fn is_short(token: &OsString, known: Option<&clap::Arg>) -> bool {
    let short = known.and_then(clap::Arg::get_short);
    short.is_some_and(|short| token.to_string_lossy().starts_with(&format!("-{short}")))
}

fn argument<'a>(command: &'a Command, flag: &str) -> Option<&'a clap::Arg> {
    let long = flag.strip_prefix("--")?;
    command.get_arguments().find(|arg| arg.get_long() == Some(long))
}

/// Takes the mistake out of the way so that the next one can be found. False when that cannot be done.
fn set_aside(argv: &mut Vec<OsString>, command: &mut Command, culprit: &str, error: &clap::Error) -> bool {
    let flag = flag_of(culprit);
    let is_flag = flag.starts_with('-');
    // A positional argument is known by its value: what clap calls it was never typed.
    let value = error.get(ContextKind::InvalidValue).filter(|_| !is_flag).map(ToString::to_string);
    let wrong = |token: &OsString| is(token, flag) || value.as_ref().is_some_and(|value| *token == **value);
    let Some(at) = argv.iter().skip(1).position(wrong) else {
        // Not typed, so it came from the environment.
        let from_variable = matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue);
        let known = argument(command, flag).map(|arg| arg.get_id().clone());
        let Some(id) = known.filter(|_| from_variable) else {
            return false;
        };
        *command = std::mem::take(command).mut_arg(id, |arg| arg.env(clap::builder::Resettable::Reset));
        return true;
    };
    let token = argv.remove(at + 1);
    // The value of an unknown flag would only be reported again as a stray argument.
    let has_value = argv.get(at + 1).is_some_and(|next| !next.to_string_lossy().starts_with('-'));
    if is_flag && !token.to_string_lossy().contains('=') && has_value {
        argv.remove(at + 1);
    }
    true
}

/// Whether only a check was asked for, of a command line that may be too wrong to be read.
pub(crate) fn check_asked(argv: &[OsString]) -> bool {
    #[expect(clippy::disallowed_methods, reason = "clap has refused these arguments, so it cannot be asked")]
    let variable = std::env::var_os("SIDECAR_CHECK_CONFIG");
    variable.is_some_and(|value| value == "true") || argv.iter().any(|token| token == "--check-config")
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
