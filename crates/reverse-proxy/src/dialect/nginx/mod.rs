//! nginx: its flags, its files, and what they mean here.

pub mod assemble;
pub mod http;
pub mod listen;
pub mod location;
pub mod once;
pub mod refused;
pub mod report;
pub mod scope;
mod set;
pub mod signal;
pub mod stream;
pub mod syntax;
pub mod units;
pub mod upstream;
pub mod variables;

use std::path::{Path, PathBuf};

use common::{Exit, Failure};

use crate::config::Config;

use self::{
    http::Http,
    report::Report,
    syntax::{Reader, Source},
};

/// The name by which it is called.
pub const NAME: &str = "nginx";
/// Whose configuration files we read; what `-v` says.
pub const VERSION: &str = "1.28.0";
pub const FILE: &str = "/etc/nginx/nginx.conf";
/// What the main file of nginx's own image includes, for those who mount only this.
const PARTS: &str = "/etc/nginx/conf.d/*.conf";

/// Serves what an nginx.conf says, in the place of nginx
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "nginx", disable_version_flag = true, disable_help_flag = true)]
pub struct Flags {
    /// This help
    #[arg(short = 'h', long, short_alias = '?', action = clap::ArgAction::Help)]
    help: Option<bool>,

    /// Show version and exit
    #[arg(short = 'v')]
    pub version: bool,

    /// Show version and configure options then exit
    #[arg(short = 'V')]
    pub long_version: bool,

    /// Test configuration and exit
    #[arg(short = 't')]
    pub test: bool,

    /// Test configuration, dump it and exit
    #[arg(short = 'T')]
    pub dump: bool,

    /// Suppress non-error messages during configuration testing
    #[arg(short = 'q')]
    pub quiet: bool,

    /// Send signal to the running process: stop, quit, reopen, reload
    #[arg(short = 's', value_name = "SIGNAL", value_parser = ["stop", "quit", "reopen", "reload"])]
    pub signal: Option<String>,

    /// Set prefix path
    #[arg(short = 'p', value_name = "PREFIX")]
    pub prefix: Option<PathBuf>,

    /// Accepted; errors go to standard error
    #[arg(short = 'e', value_name = "FILE")]
    pub error_log: Option<PathBuf>,

    /// Set configuration file [default: /etc/nginx/nginx.conf, or without one /etc/nginx/conf.d/*.conf]
    #[arg(short = 'c', value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Set global directives out of configuration file
    #[arg(short = 'g', value_name = "DIRECTIVES")]
    pub global: Vec<String>,
}

/// Parts that are there without a main file.
pub fn parts() -> Vec<PathBuf> {
    syntax::expanded(Path::new(PARTS))
}

impl Flags {
    /// Whether it says or does something and ends.
    pub fn ends(&self) -> bool {
        self.version || self.long_version || self.test || self.dump || self.signal.is_some()
    }

    /// What it means. Read again at each reload.
    pub fn load(&self) -> Result<Config, Failure> {
        let source = self.source().map_err(failure)?;
        let (directory, globals) = (self.directory(), self.globals().map_err(failure)?);
        let mut report = Report::default();
        for directive in &globals.directives {
            if !refused::is_idle(&directive.name) {
                report.unknown(directive);
            }
        }
        let config = meaning(&source, &directory, self.config.is_none() && !self.file().exists(), &mut report);
        match report.problems.is_empty() {
            true => Ok(config),
            false => Err(failure(report.problems)),
        }
    }

    /// The main file, as `-t` names it.
    pub fn file(&self) -> PathBuf {
        let prefix = self.prefix.clone().unwrap_or_else(|| "/etc/nginx".into());
        match (&self.config, &self.prefix) {
            (Some(config), _) => prefix.join(config),
            (None, None) => FILE.into(),
            (None, Some(prefix)) => prefix.join("conf/nginx.conf"),
        }
    }

    fn directory(&self) -> PathBuf {
        self.file().parent().map_or_else(|| "/".into(), Path::to_owned)
    }

    /// The files, read but not understood yet.
    pub fn source(&self) -> Result<Source, Vec<String>> {
        let (file, directory) = (self.file(), self.directory());
        let parts = parts();
        if self.config.is_none() && self.prefix.is_none() && !file.exists() && !parts.is_empty() {
            return Reader::new(&directory).read_all(&parts);
        }
        if !file.exists() {
            return Err(vec![format!("[emerg] open() \"{}\" failed (2: No such file or directory)", file.display())]);
        }
        Reader::new(&directory).read(&file)
    }

    fn globals(&self) -> Result<Source, Vec<String>> {
        let text = self.global.join(" ");
        let closed = if text.trim().is_empty() || text.trim_end().ends_with(';') { text } else { format!("{text};") };
        Reader::new(Path::new("/")).text("command line", &closed)
    }
}

fn failure(problems: Vec<String>) -> Failure {
    Failure { exit: Exit::Config, problems }
}

/// What texts for property tests are made of.
#[cfg(any(test, fuzzing))]
pub const PIECES: &str = "(server|location|listen|proxy_pass|return|[ \\n{};\"'$~=\\\\a-z0-9:/#]){0,60}";

/// A configuration from a text, for tests and fuzzing.
pub fn from_text(name: &str, text: &str) -> Result<Config, Vec<String>> {
    let source = Reader::new(Path::new("/nowhere")).text(name, text)?;
    let mut report = Report::default();
    let inside = !source.directives.iter().any(|directive| matches!(directive.name.as_str(), "http" | "stream"));
    let config = meaning(&source, Path::new("/nowhere"), inside, &mut report);
    if report.problems.is_empty() { Ok(config) } else { Err(report.problems) }
}

/// `parts`: the files are what stands inside `http`.
fn meaning(source: &Source, directory: &Path, parts: bool, report: &mut Report) -> Config {
    let mut config = Config::default();
    let mut http = Http::new(directory);
    let mut streams = Vec::new();
    if parts {
        http.read(&source.directives, report);
    } else {
        for directive in &source.directives {
            match (directive.name.as_str(), &directive.block) {
                ("http", Some(block)) => http.read(block, report),
                ("stream", Some(block)) => streams.push(block),
                ("events", Some(block)) => {
                    for inner in block.iter().filter(|inner| !refused::is_idle(&inner.name)) {
                        report.unknown(inner);
                    }
                }
                (name, None) if refused::is_idle(name) => {}
                ("server" | "upstream" | "location" | "map", _) => report.not_here(directive),
                _ => report.unknown(directive),
            }
        }
    }
    assemble::listeners(&mut http, &mut config, report);
    http.finish(&mut config);
    for block in streams {
        stream::read(block, directory, &mut config, report);
    }
    if config.listeners.is_empty() && report.problems.is_empty() {
        report.problems.push("[emerg] no \"server\" is defined: there is nothing to listen on".into());
    }
    config.notes.append(&mut report.notes);
    config
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
