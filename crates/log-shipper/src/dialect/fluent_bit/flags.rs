//! The command line of `fluent-bit`: a file, or a whole pipeline in flags.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{classic::Document, service::Service, units::seconds};
use crate::dialect::section::{Place, Section};

/// fluent-bit's arguments, by log-shipper
#[derive(clap::Parser, Clone, Debug)]
#[command(name = super::NAME, version, disable_version_flag = true)]
#[command(
    after_help = "What it has instead of a flag here: SIDECAR_ADMIN_ADDR, SIDECAR_LOG_LEVEL, LOG_SHIPPER_STATE_FILE ..."
)]
pub struct Flags {
    /// The configuration, classic or YAML [default: /fluent-bit/etc/fluent-bit.conf]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A file with parsers; may be given several times
    #[arg(short = 'R', long = "parser", value_name = "FILE")]
    parsers: Vec<String>,

    /// Check the configuration, then exit with 0 or 78
    #[arg(short = 'D', long)]
    pub dry_run: bool,

    /// How long a line may wait at most
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    flush: Option<std::time::Duration>,

    /// Log errors only
    #[arg(short, long)]
    pub quiet: bool,

    /// Log more; twice for even more
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,

    /// Answer for health and metrics; that is always so
    #[arg(short = 'H', long = "http")]
    http: bool,

    /// Where health and metrics are answered for
    #[arg(short = 'P', long = "port", value_name = "PORT")]
    port: Option<u16>,

    /// Let SIGHUP load the configuration again; that is always so
    #[arg(short = 'Y', long = "enable-hot-reload")]
    hot_reload: bool,

    /// No effect: the files themselves are the buffer
    #[arg(short = 'b', long = "storage_path", value_name = "PATH")]
    storage_path: Option<PathBuf>,

    /// No effect
    #[arg(short = 's', long = "coro_stack_size", value_name = "BYTES")]
    coro_stack_size: Option<u64>,

    /// No effect: the log is on standard error
    #[arg(short = 'l', long = "log_file", value_name = "FILE")]
    log_file: Option<PathBuf>,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,

    #[command(flatten)]
    pipeline: Pipeline,
}

/// `-i tail -p Path=/a -t x -o stdout -m '*'`: what belongs to what is a matter of the order.
#[derive(Clone, Debug, Default)]
struct Pipeline(Vec<(&'static str, String)>);

const WORDS: [(&str, char, &str, &str); 6] = [
    ("input", 'i', "INPUT", "An input: tail"),
    ("filter", 'F', "FILTER", "A filter"),
    ("output", 'o', "OUTPUT", "An output: es, loki, forward, stdout, file, null ..."),
    ("prop", 'p', "KEY=VALUE", "A key of the input, filter or output before it"),
    ("match", 'm', "TAGS", "Which tags the output before it takes"),
    ("tag", 't', "TAG", "The tag of the input before it"),
];

impl clap::Args for Pipeline {
    fn augment_args(command: Command) -> Command {
        let arg = |(id, short, value, help): (&'static str, char, &'static str, &'static str)| {
            Arg::new(id).short(short).long(id).value_name(value).help(help).action(ArgAction::Append)
        };
        command.args(WORDS.map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Pipeline {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut words: Vec<(usize, &'static str, String)> = Vec::new();
        for (id, ..) in WORDS {
            let values = matches.get_many::<String>(id).into_iter().flatten();
            let places = matches.indices_of(id).into_iter().flatten();
            words.extend(places.zip(values).map(|(place, value)| (place, id, value.clone())));
        }
        words.sort_by_key(|(place, ..)| *place);
        Ok(Self(words.into_iter().map(|(_, id, value)| (id, value)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Flags {
    pub fn has_pipeline(&self) -> bool {
        !self.pipeline.0.is_empty()
    }

    /// Adds what was typed to what the files say.
    pub(super) fn add_sections(&self, document: &mut Document) {
        let place = |id: &str, value: &str| Place { file: format!("--{id} {value}").into(), line: 0 };
        let findings = document.findings().clone();
        let mut open: Option<Section> = None;
        for (id, value) in &self.pipeline.0 {
            let place = place(id, value);
            if matches!(*id, "input" | "filter" | "output") {
                document.sections.extend(open.take().map(finished));
                let kind = id.to_ascii_uppercase();
                let mut section = Section::new(format!("[{kind}]"), &kind, "", place.clone(), &findings);
                document.add(&mut section, "Name", value, &place);
                open = Some(section);
                continue;
            }
            let Some(section) = &mut open else {
                findings.problem(&place, "expected -i, -F or -o before it");
                continue;
            };
            match (*id, value.split_once('=')) {
                ("prop", Some((key, value))) => document.add(section, key.trim(), value, &place),
                ("prop", None) => findings.problem(&place, "expected KEY=VALUE"),
                (key, _) => document.add(section, key, value, &place),
            }
        }
        document.sections.extend(open.map(finished));
    }

    /// Flags beat files.
    pub(super) fn service(&self, mut service: Service) -> Service {
        service.flush = self.flush.or(service.flush);
        let typed = |file: &String| (file.clone(), Place { file: "-R".into(), line: 0 });
        service.parsers_files.extend(self.parsers.iter().map(typed));
        let level = if self.quiet {
            Some("error")
        } else {
            [None, Some("debug"), Some("trace")][usize::from(self.verbose.min(2))]
        };
        service.level = level.and_then(|level| level.parse().ok()).or(service.level);
        if let Some(port) = self.port {
            service.listen = format!("0.0.0.0:{port}").parse().ok();
        }
        service
    }
}

/// What was typed without -m takes everything.
fn finished(mut section: Section) -> Section {
    let has_match = section.entries.iter().any(|entry| entry.key.to_ascii_lowercase().starts_with("match"));
    if section.kind != "input" && !has_match {
        let place = section.place.clone();
        section.add("Match", "*", &place);
    }
    section
}
