//! The command line of `fluentd`.

use std::path::PathBuf;

use clap::ArgAction;
use common::args::LogLevel;

/// fluentd's arguments, by log-shipper
#[derive(clap::Parser, Clone, Debug)]
#[command(name = super::NAME, version)]
pub struct Flags {
    /// The configuration [default: /fluentd/etc/fluent.conf]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the configuration, then exit with 0 or 78
    #[arg(long)]
    pub dry_run: bool,

    /// Log less; twice for even less
    #[arg(short, long, action = ArgAction::Count)]
    quiet: u8,

    /// Log more; twice for even more
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,

    /// No effect: nothing is loaded from there
    #[arg(short = 'p', long = "plugin", value_name = "DIR")]
    plugins: Vec<PathBuf>,

    /// No effect: the log is on standard error
    #[arg(short = 'o', long = "log", value_name = "FILE")]
    log: Option<PathBuf>,

    /// No effect: there is one process
    #[arg(long)]
    no_supervisor: bool,

    /// No effect: there is one process
    #[arg(long)]
    under_supervisor: bool,
}

impl Flags {
    pub(super) fn level(&self) -> Option<LogLevel> {
        let level = match (self.verbose, self.quiet) {
            (0, 0) => return None,
            (1, _) => "debug",
            (2.., _) => "trace",
            (0, 1) => "warn",
            (0, 2..) => "error",
        };
        level.parse().ok()
    }
}
