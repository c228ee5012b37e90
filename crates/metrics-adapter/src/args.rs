//! What was typed: our own flags, a YAML file, or what the peer takes by whose name we were called.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use common::{Arguments, CommonArgs, Defaults, Failure, Subcommand, Usage, args::typed};

use crate::{
    config::{Config, LAST_SCRAPE},
    dialect::{self, Dialect, mapping, web_config},
    explain, healthcheck,
    listen::Listener,
    relay,
    store::{
        Rules,
        limits::{Limits, container_memory},
    },
    yaml,
};

/// A command line in one of the spellings we know.
#[derive(Debug)]
pub struct Args {
    common: CommonArgs,
    spelling: Spelling,
}

#[derive(Debug)]
enum Spelling {
    Own(Box<OwnArgs>),
    Peer(Box<Dialect>),
}

/// Turns what apps send by statsd into metrics for Prometheus
#[derive(clap::Parser, Debug)]
#[command(name = "metrics-adapter", version, after_help = AFTER_HELP)]
struct OwnArgs {
    /// All of it in one YAML file; see docs/metrics-adapter.md
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "mapping", "relay", "web_config"])]
    config: Option<PathBuf>,

    /// Where lines come in: udp://:9125, tcp://:9125, unixgram:///run/statsd.sock, unix:///run/statsd.sock; may be given
    /// several times [default: udp://:9125 tcp://:9125]
    #[arg(long, value_name = "WHERE")]
    listen: Vec<Listener>,

    /// A mapping file as statsd_exporter has it
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,

    /// Pass all lines on: host:8125, tcp://host:8125, unixgram:///run/other.sock; may be given several times
    #[arg(long, value_name = "TARGET")]
    relay: Vec<relay::Target>,

    /// TLS and passwords for the port where metrics are, in the file that Prometheus' exporters share
    #[arg(long, value_name = "FILE")]
    web_config: Option<PathBuf>,

    #[command(flatten)]
    common: CommonArgs,
}

const AFTER_HELP: &str = "\
Also: metrics-adapter explain LINE... | healthcheck | wait TARGET... | pause (each has --help)
Called as statsd_exporter, or with its flags, it does what that program does.";

impl Arguments for Args {
    const NAME: &'static str = "metrics-adapter";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DEFAULTS: Defaults = Defaults { admin_port: 9102, drain_delay: Duration::ZERO };
    const PEERS: &'static [&'static str] = &dialect::NAMES;
    const HEALTHCHECK: Option<Subcommand> = Some(healthcheck::answer);

    fn parse(argv: &[OsString]) -> Result<Self, Usage> {
        if argv.get(1).is_some_and(|word| word == explain::WORD) {
            return Err(explain::answer(argv, Self::DEFAULTS));
        }
        if let Some((name, argv)) = dialect::called_as(argv)? {
            let (common, dialect) = dialect::parse(name, &argv, Self::DEFAULTS)?;
            return Ok(Self { common, spelling: Spelling::Peer(Box::new(dialect)) });
        }
        let own: OwnArgs = typed(argv, Self::DEFAULTS)?;
        Ok(Self { common: own.common.clone(), spelling: Spelling::Own(Box::new(own)) })
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
    /// What it means. Called again at each reload.
    pub fn load(&self) -> Result<Config, Failure> {
        match &self.spelling {
            Spelling::Own(own) => own.load(),
            Spelling::Peer(dialect) => dialect.load(),
        }
    }

    pub fn dialect(&self) -> Option<&Dialect> {
        match &self.spelling {
            Spelling::Own(_) => None,
            Spelling::Peer(dialect) => Some(dialect),
        }
    }
}

impl OwnArgs {
    fn load(&self) -> Result<Config, Failure> {
        if let Some(file) = &self.config {
            return yaml::read(file);
        }
        self.web_config.as_deref().map(web_config::check).transpose()?;
        let loaded = self.mapping.as_deref().map(mapping::read).transpose()?.unwrap_or_default();
        let relay = |target: &relay::Target| relay::Config { target: target.clone(), packet: yaml::PACKET };
        Ok(Config {
            listen: if self.listen.is_empty() { yaml::defaults() } else { self.listen.clone() },
            read_buffer: None,
            relays: self.relay.iter().map(relay).collect(),
            rules: Rules { mapping: loaded.mapping.into(), ..Rules::default() },
            limits: Limits::of_container(container_memory()),
            warnings: loaded.warnings,
            files: self.mapping.iter().cloned().collect(),
            web: self.web_config.clone(),
            last_scrape: LAST_SCRAPE,
        })
    }
}
