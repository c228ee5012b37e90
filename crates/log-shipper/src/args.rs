//! What was typed: our own flags, a YAML file, nothing at all, or what the peer takes by whose name we were called.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{Arguments, CommonArgs, Defaults, Exit, Failure, Usage, View, args::typed};

use crate::{
    config::{Batch, Config, Input, Lines, Output, Retry, Start, State, Tag, Until},
    dialect::{self, Called, Dialect, World},
    output::{Shape, Stdout},
    select::{Only, Select},
    status,
    yaml::{self, POLL, STATE},
};

/// What is read when nothing is said.
const LOGS: &str = "/var/log/app";

/// A command line in one of the spellings we know.
#[derive(Debug)]
pub struct Args {
    common: CommonArgs,
    spelling: Spelling,
}

#[derive(Debug)]
enum Spelling {
    Own(Box<OwnArgs>),
    Peer(Box<Dialect>, Box<World>),
}

/// Follows log files and ships every line, once the receiver has it for good
#[derive(clap::Parser, Debug)]
#[command(name = "log-shipper", version, after_help = AFTER_HELP)]
struct OwnArgs {
    /// Inputs and outputs in one YAML file; see docs/log-shipper.md
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "exclude", "tail", "json", "state_file"])]
    config: Option<PathBuf>,

    /// A file, directory or glob to follow; may be given several times [default: $LOG_PATH, $LOG_DIR or
    /// /var/log/app/*.log]
    #[arg(long, value_name = "PATH")]
    path: Vec<PathBuf>,

    /// A glob for files that are not followed; may be given several times
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Begin at the end of files that are there already
    #[arg(long)]
    tail: bool,

    /// Ship JSON objects instead of the lines as they are
    #[arg(long)]
    json: bool,

    /// Remember here what was delivered
    #[arg(long, value_name = "FILE", env = "LOG_SHIPPER_STATE_FILE", default_value = STATE)]
    state_file: PathBuf,

    /// Ship what is there and exit, as in a Job
    #[arg(long)]
    one_shot: bool,

    /// Ship what is there and exit when this file exists
    #[arg(long, value_name = "FILE", conflicts_with = "one_shot")]
    exit_when: Option<PathBuf>,

    /// Where an app that knows this variable writes: a file, a glob, or a directory of *.log
    #[arg(long, env = "LOG_PATH", hide = true)]
    log_path: Option<PathBuf>,

    /// As LOG_PATH
    #[arg(long, env = "LOG_DIR", hide = true)]
    log_dir: Option<PathBuf>,

    /// A peer's file that is not there, where that peer was called and told nothing.
    #[arg(skip)]
    instead_of: Option<&'static str>,

    #[command(flatten)]
    common: CommonArgs,
}

const AFTER_HELP: &str = "\
Also: log-shipper status | healthcheck | wait TARGET... | pause (each has --help)
Called as fluent-bit, fluentd or tail, or with one of these words as the first argument, it takes that program's flags
and reads its files. Without any argument it reads /fluent-bit/etc/fluent-bit.conf or /fluentd/etc/fluent.conf, if one
of them is there.";

impl Arguments for Args {
    const NAME: &'static str = "log-shipper";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DEFAULTS: Defaults = Defaults { admin_port: 2020, drain_delay: Duration::ZERO };
    const PEERS: &'static [&'static str] = &dialect::NAMES;
    const STATUS: Option<View> = Some(View { path: "/files", draw: status::table });

    fn parse(argv: &[OsString]) -> Result<Self, Usage> {
        let world = World::of_this_process();
        match dialect::called_as(argv)? {
            Called::Peer(name, argv) => {
                let (common, dialect) = dialect::parse(name, &argv, Self::DEFAULTS, &world)?;
                Ok(Self { common, spelling: Spelling::Peer(Box::new(dialect), Box::new(world)) })
            }
            Called::Own(argv, instead_of) => {
                let mut own: OwnArgs = typed(&argv, Self::DEFAULTS)?;
                own.instead_of = instead_of;
                Ok(Self { common: own.common.clone(), spelling: Spelling::Own(Box::new(own)) })
            }
        }
    }

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn file(&self) -> Option<&Path> {
        match &self.spelling {
            Spelling::Own(own) => own.config.as_deref(),
            Spelling::Peer(..) => None,
        }
    }
}

impl Args {
    /// What it means. Called again at each reload: settings that cannot work are refused while the old ones still do.
    pub fn load(&self) -> Result<Config, Failure> {
        let config = match &self.spelling {
            Spelling::Own(own) => own.load(),
            Spelling::Peer(dialect, world) => dialect.load(world),
        }?;
        let failures = config.outputs.iter().filter_map(|output| output.ship.open().err());
        let problems: Vec<_> = failures.flat_map(|failure| failure.problems).collect();
        if problems.is_empty() { Ok(config) } else { Err(Failure { exit: Exit::Config, problems }) }
    }

    pub fn dialect(&self) -> Option<&Dialect> {
        match &self.spelling {
            Spelling::Own(_) => None,
            Spelling::Peer(dialect, _) => Some(dialect),
        }
    }
}

impl OwnArgs {
    fn load(&self) -> Result<Config, Failure> {
        let mut config = match &self.config {
            Some(file) => yaml::read(file)?,
            None => self.flags(),
        };
        if let Some(file) = self.instead_of {
            let paths: Vec<_> = self.paths().iter().map(|path| path.display().to_string()).collect();
            tracing::info!(file, reads = paths.join(", "), "the file is not there: lines go to standard output");
        }
        config.until = match &self.exit_when {
            _ if self.one_shot => Until::EndOfFiles,
            Some(file) => Until::Exists(file.clone()),
            None => Until::ToldToStop,
        };
        Ok(config)
    }

    fn flags(&self) -> Config {
        let input = Input {
            tag: Tag::Fixed("app".into()),
            paths: self.paths(),
            exclude: self.exclude.clone(),
            start: if self.tail { Start::Tail } else { Start::Head },
            // Byte for byte what the app wrote.
            lines: Lines { keep_return: !self.json, ..Lines::default() },
            ..Input::default()
        };
        let output = Output {
            name: "stdout".into(),
            selects: Select::All,
            only: Only::default(),
            ship: Arc::new(Stdout { shape: if self.json { Shape::Json } else { Shape::Raw }, names: None }),
            batch: Batch { pause: Duration::ZERO, ..Batch::default() },
            retry: Retry::default(),
        };
        Config {
            inputs: vec![input],
            outputs: vec![output],
            state: State::Try(self.state_file.clone()),
            until: Until::ToldToStop,
            poll: POLL,
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        if !self.path.is_empty() {
            return self.path.clone();
        }
        let told = self.log_path.iter().chain(&self.log_dir).find(|path| !path.as_os_str().is_empty());
        let told = told.cloned().unwrap_or_else(|| LOGS.into());
        let is_file = told.is_file() || told.extension().is_some();
        vec![if is_file { told } else { told.join("*.log") }]
    }
}
