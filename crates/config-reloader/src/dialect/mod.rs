//! The command lines of other programs: read as they are, and turned into [`Config`].

mod configmap_reload;
pub(crate) mod inotifyd;
mod prometheus;

use std::{ffi::OsString, path::Path};

use clap::CommandFactory;
use common::{
    CommonArgs, Defaults, Failure, Sidecar, Usage,
    args::{Listen, typed},
    go_flags::from_go_style,
};

use crate::{args::Environment, config::Config, events::Observer};

/// The programs whose place we can take.
pub(super) const NAMES: [&str; 3] = [configmap_reload::NAME, prometheus::NAME, inotifyd::NAME];

/// What was typed for one of them.
#[derive(Clone, Debug)]
pub enum Dialect {
    ConfigmapReload(configmap_reload::Flags),
    Prometheus(Box<prometheus::Flags>),
    Inotifyd(inotifyd::Flags),
}

/// Flags that only one of them has. Manifests often give arguments alone and leave the program to the image.
const SHAPES: [(&str, &[&str]); 2] = [
    (configmap_reload::NAME, &["volume-dir", "webhook-url", "web.listen-address"]),
    (prometheus::NAME, &["config-file", "config-envsubst-file", "watched-dir", "reload-url", "watch-interval"]),
];

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
    let flags: Vec<String> = argv.iter().skip(1).filter_map(|word| flag_name(&word.to_string_lossy())).collect();
    let (name, _) = SHAPES.into_iter().find(|(_, shape)| flags.iter().any(|flag| shape.contains(&flag.as_str())))?;
    Some((name, argv.to_vec()))
}

/// `-volume-dir=/etc` and `--volume-dir` are both volume-dir.
fn flag_name(word: &str) -> Option<String> {
    let name = word.strip_prefix('-')?.trim_start_matches('-');
    Some(name.split('=').next().unwrap_or(name).to_owned())
}

/// Reads the flags of a peer. What every sidecar has comes from the environment, where it cannot be in a peer's way.
pub fn parse(name: &'static str, argv: &[OsString], defaults: Defaults) -> Result<(CommonArgs, Dialect), Usage> {
    let Ours { mut common } = typed(&argv[..1], defaults)?;
    // The app may be a Prometheus, and 9090 is its port.
    common.probe_addr = common.probe_addr.or(Some(Listen::Off));
    let dialect = match name {
        configmap_reload::NAME => {
            let flags: configmap_reload::Flags =
                typed(&from_go_style(argv, &configmap_reload::Flags::command()), defaults)?;
            flags.settle(&mut common);
            Dialect::ConfigmapReload(flags)
        }
        prometheus::NAME => {
            let flags: prometheus::Flags = typed(argv, defaults)?;
            flags.asked()?;
            flags.settle(&mut common);
            Dialect::Prometheus(Box::new(flags))
        }
        _ => Dialect::Inotifyd(typed(argv, defaults)?),
    };
    Ok((common, dialect))
}

#[derive(clap::Parser)]
struct Ours {
    #[command(flatten)]
    common: CommonArgs,
}

impl Dialect {
    pub fn load(&self, environment: &Environment) -> Result<Config, Failure> {
        match self {
            Self::ConfigmapReload(flags) => flags.load(environment),
            Self::Prometheus(flags) => flags.load(environment),
            Self::Inotifyd(flags) => flags.load(),
        }
    }
}

/// Gives a sidecar the endpoints and metrics of the peer, for the dashboards and probes that know them.
pub fn attach(dialect: Option<&Dialect>, sidecar: &Sidecar) -> Result<Option<Box<dyn Observer>>, Failure> {
    match dialect {
        Some(Dialect::ConfigmapReload(flags)) => flags.attach(sidecar).map(Some),
        Some(Dialect::Prometheus(flags)) => flags.attach(sidecar).map(Some),
        Some(Dialect::Inotifyd(_)) | None => Ok(None),
    }
}

/// Collects problems, so that all of them are said.
fn complete(config: Config, problems: Vec<String>) -> Result<Config, Failure> {
    if problems.is_empty() { Ok(config) } else { Err(Failure { exit: common::Exit::Usage, problems }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_9090_is_left_to_the_app() {
        let defaults = Defaults { admin_port: 9533, drain_delay: std::time::Duration::ZERO };
        for (name, args) in [
            (configmap_reload::NAME, &["-volume-dir=/d", "-webhook-url=http://a/"][..]),
            (prometheus::NAME, &["--watched-dir=/d"]),
            (inotifyd::NAME, &["-", "/d"]),
        ] {
            let argv: Vec<OsString> = [name].iter().chain(args).map(OsString::from).collect();
            let parsed = parse(name, &argv, defaults).map(|(common, _)| common.probe_addr);
            assert_eq!(parsed.ok(), Some(Some(Listen::Off)), "{name}");
        }
    }
}
