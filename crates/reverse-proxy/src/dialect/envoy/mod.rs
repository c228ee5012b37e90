//! Envoy: its flags, its static bootstrap, its admin interface, and what they mean here.

pub mod admin;
pub mod bootstrap;
pub mod cluster;
pub mod extras;
pub mod format;
pub mod http;
pub mod listener;
pub mod matcher;
pub mod once;
pub mod route;
pub mod tls;
pub mod walk;

use std::path::PathBuf;

use common::{CommonArgs, Exit, Failure, Usage, args::Listen, config::Node};

use crate::config::Config;

/// The name by which it is called.
pub const NAME: &str = "envoy";
/// Where its image has the configuration.
pub const FILE: &str = "/etc/envoy/envoy.yaml";
const LARGEST: u64 = 8 << 20;

/// Serves what a static bootstrap says, in the place of Envoy
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "envoy", disable_version_flag = true, rename_all = "kebab-case")]
pub struct Flags {
    /// Path to configuration file
    #[arg(short = 'c', long, value_name = "FILE")]
    config_path: Option<PathBuf>,

    /// Inline YAML, merged over the file
    #[arg(long, value_name = "YAML")]
    config_yaml: Option<String>,

    /// serve, or validate and end
    #[arg(long, value_name = "MODE", default_value = "serve", value_parser = ["serve", "validate"])]
    pub mode: String,

    /// trace, debug, info, warning, error, critical or off
    #[arg(short = 'l', long, value_name = "LEVEL", default_value = "info", value_parser = level)]
    log_level: String,

    /// Threads of the data path; where Envoy takes one for each core, it is one here
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,

    /// Print the version and end
    #[arg(long)]
    pub version: bool,

    #[command(flatten)]
    idle: extras::Idle,
}

fn level(text: &str) -> Result<String, &'static str> {
    match text {
        "trace" | "debug" | "info" | "error" | "off" => Ok(text.to_owned()),
        "warning" | "warn" => Ok("warn".into()),
        "critical" => Ok("error".into()),
        _ => Err("expected trace, debug, info, warning, error, critical or off"),
    }
}

impl Flags {
    pub fn load(&self) -> Result<Config, Failure> {
        let (name, tree) = self.tree()?;
        bootstrap::meaning(&name, tree)
    }

    pub fn workers(&self) -> usize {
        self.concurrency.unwrap_or(1).clamp(1, 256)
    }

    /// What the file says of the process itself: its admin address.
    pub fn settle(&self, common: &mut CommonArgs) -> Result<(), Usage> {
        common.log_level = common.log_level.or(self.log_level.parse().ok());
        common.check_config |= self.mode == "validate";
        common.admin_flag = Some("admin in the bootstrap, or SIDECAR_ADMIN_ADDR");
        // As Envoy's own; it answers this machine only.
        common.allow_quit = common.allow_quit.or(Some(true));
        if common.admin_addr.is_none() {
            // What is wrong with the file is told with all the rest, when it is loaded.
            let said = self.tree().ok().and_then(|(_, tree)| bootstrap::admin_address(&tree));
            common.admin_addr = said.map(Listen::At);
        }
        Ok(())
    }

    /// The bootstrap as it is written, and what to call it.
    fn tree(&self) -> Result<(String, Node), Failure> {
        let from_file = self.config_path.as_ref().map(|path| {
            let text = values::read_text(path, LARGEST).map_err(Failure::config)?;
            let name = path.display().to_string();
            let tree = parsed(&name, &text)?;
            Ok::<_, Failure>((name, tree))
        });
        let typed = self.config_yaml.as_ref().map(|text| parsed("--config-yaml", text));
        match (from_file.transpose()?, typed.transpose()?) {
            (Some((name, file)), Some(typed)) => Ok((name, walk::merged(file, typed))),
            (Some(found), None) => Ok(found),
            (None, Some(typed)) => Ok(("--config-yaml".into(), typed)),
            (None, None) => Err(Failure::config("expected --config-path or --config-yaml")),
        }
    }
}

fn parsed(name: &str, text: &str) -> Result<Node, Failure> {
    // JSON is YAML, all but tabs.
    common::config::tree(text).map_err(|(line, problem)| Failure::config(format!("{name}:{line}: {problem}")))
}

/// What texts for property tests are made of.
#[cfg(any(test, fuzzing))]
pub const PIECES: &str = "(static_resources|listeners|clusters|name|[ \\n:{}\\[\\],'\"a-z0-9@-]){0,60}";

/// A bootstrap from a text, for tests and fuzzing.
pub fn from_text(name: &str, text: &str) -> Result<Config, Vec<String>> {
    parsed(name, text).and_then(|tree| bootstrap::meaning(name, tree)).map_err(|failure| failure.problems)
}

fn failure(problems: Vec<String>) -> Failure {
    Failure { exit: Exit::Config, problems }
}
