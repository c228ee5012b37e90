//! The command lines and files of other programs: read as they are, and turned into [`Config`].

mod dump_fsm;
pub mod mapping;
mod peer_metrics;
pub mod statsd_exporter;
pub mod web_config;

use std::{ffi::OsString, path::Path, sync::Arc};

use common::{CommonArgs, Defaults, Failure, Sidecar, Usage, args::typed};

use crate::{config::Config, facts::Facts, shared::Shared};

/// The programs whose place we can take.
pub const NAMES: [&str; 1] = [statsd_exporter::NAME];

/// What they call the address where metrics are, and the file that guards it.
pub const LISTEN_FLAG: &str = "web.listen-address";
pub const WEB_CONFIG_FLAG: &str = "web.config.file";

/// What was typed for one of them.
#[derive(Clone, Debug)]
pub enum Dialect {
    StatsdExporter(Box<statsd_exporter::Flags>),
}

/// Flags that only this program has. Manifests often give arguments alone and leave the program to the image.
const SHAPES: [&str; 4] = ["statsd.", "web.", "no-statsd.", "no-web."];

/// Under whose name we were called: by the name of the binary, by `--dialect NAME` as the first argument, or by flags that
/// only that program has.
pub fn called_as(argv: &[OsString]) -> Result<Option<(&'static str, Vec<OsString>)>, Usage> {
    let known = |name: &str| NAMES.into_iter().find(|known| *known == name);
    let program = argv.first().map(|path| Path::new(path).file_name().unwrap_or_default().to_string_lossy());
    if let Some(name) = program.and_then(|program| known(&program)) {
        return Ok(Some((name, argv.to_vec())));
    }
    let first = argv.get(1).map(|word| word.to_string_lossy()).unwrap_or_default();
    let (asked, rest) = match (first.strip_prefix("--dialect="), argv.get(2)) {
        (Some(name), _) => (name.to_owned(), &argv[2..]),
        (None, Some(name)) if first == "--dialect" => (name.to_string_lossy().into_owned(), &argv[3..]),
        _ => return Ok(by_shape(argv)),
    };
    let problem = || format!("--dialect \"{asked}\": expected one of {}", NAMES.join(", "));
    let name = known(&asked).ok_or_else(|| Usage::Wrong(vec![problem()]))?;
    Ok(Some((name, [&[OsString::from(name)], rest].concat())))
}

fn by_shape(argv: &[OsString]) -> Option<(&'static str, Vec<OsString>)> {
    let is_theirs = |word: &OsString| {
        let word = word.to_string_lossy();
        word.strip_prefix("--").is_some_and(|flag| SHAPES.iter().any(|shape| flag.starts_with(shape)))
    };
    argv.iter().skip(1).any(is_theirs).then(|| (statsd_exporter::NAME, argv.to_vec()))
}

#[derive(clap::Parser)]
struct Ours {
    #[command(flatten)]
    common: CommonArgs,
}

/// Reads the flags of a peer. What every sidecar has comes from the environment, where it cannot be in a peer's way.
pub fn parse(_name: &'static str, argv: &[OsString], defaults: Defaults) -> Result<(CommonArgs, Dialect), Usage> {
    let Ours { mut common } = typed(&argv[..1], defaults)?;
    // The app may be a Prometheus, and 9090 is its port.
    common.probe_addr = common.probe_addr.or(Some(common::args::Listen::Off));
    let flags = statsd_exporter::Flags::typed(argv, defaults)?;
    flags.settle(&mut common);
    Ok((common, Dialect::StatsdExporter(Box::new(flags))))
}

impl Dialect {
    pub fn load(&self) -> Result<Config, Failure> {
        match self {
            Self::StatsdExporter(flags) => flags.load(),
        }
    }

    /// Where metrics are beside `/metrics`.
    pub fn metrics_path(&self) -> &str {
        match self {
            Self::StatsdExporter(flags) => flags.metrics_path(),
        }
    }

    /// Gives a sidecar the endpoints of the peer.
    pub fn attach(&self, sidecar: &Sidecar, shared: &Arc<Shared>) {
        match self {
            Self::StatsdExporter(flags) => flags.attach(sidecar, shared),
        }
    }

    /// What the peer's own metrics begin with.
    pub fn metrics_prefix(&self) -> &'static str {
        match self {
            Self::StatsdExporter(_) => "statsd_exporter_",
        }
    }

    /// The same facts under the names that dashboards know.
    pub fn metrics(&self, facts: &Facts) -> Vec<exposition::Family> {
        match self {
            Self::StatsdExporter(_) => peer_metrics::families(facts),
        }
    }
}
