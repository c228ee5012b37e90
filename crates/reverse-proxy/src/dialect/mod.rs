//! The command lines and files of other programs: read as they are, and turned into [`Config`].

pub mod ciphers;
pub mod envoy;
#[cfg(test)]
mod golden;
pub mod nginx;

use std::{ffi::OsString, path::Path, process::ExitCode};

use common::{
    CommonArgs, Defaults, Failure, Sidecar, Usage,
    args::{Listen, typed},
};

use crate::{config::Config, serve::Drain};

/// The programs whose place we can take.
pub const NAMES: [&str; 2] = [envoy::NAME, nginx::NAME];

/// What was typed for one of them.
#[derive(Clone, Debug)]
pub enum Dialect {
    Nginx(Box<nginx::Flags>),
    Envoy(Box<envoy::Flags>),
}

/// Whose arguments these are.
pub enum Called {
    Peer(&'static str, Vec<OsString>),
    Own(Vec<OsString>),
}

/// Under whose name we were called: by the name of the binary, by the first argument, or by nothing but a file of theirs
/// at its place.
pub fn called_as(argv: &[OsString]) -> Result<Called, Usage> {
    let known = |name: &str| NAMES.into_iter().find(|known| *known == name);
    let program = argv.first().map(|path| Path::new(path).file_name().unwrap_or_default().to_string_lossy());
    if let Some(name) = program.and_then(|program| known(&program)) {
        return Ok(Called::Peer(name, argv.to_vec()));
    }
    let first = argv.get(1).map(|word| word.to_string_lossy()).unwrap_or_default();
    let (asked, rest) = match (first.strip_prefix("--dialect="), argv.get(2)) {
        (Some(name), _) => (name.to_owned(), &argv[2..]),
        (None, Some(name)) if first == "--dialect" => (name.to_string_lossy().into_owned(), &argv[3..]),
        _ if known(&first).is_some() => (first.into_owned(), &argv[2..]),
        _ if argv.len() == 1 => return Ok(by_file().unwrap_or_else(|| Called::Own(argv.to_vec()))),
        _ => return Ok(Called::Own(argv.to_vec())),
    };
    let problem = || format!("--dialect \"{asked}\": expected one of {}", NAMES.join(", "));
    let name = known(&asked).ok_or_else(|| Usage::Wrong(vec![problem()]))?;
    Ok(Called::Peer(name, [&[OsString::from(name)], rest].concat()))
}

fn by_file() -> Option<Called> {
    let envoy = Path::new(envoy::FILE).exists();
    let nginx = Path::new(nginx::FILE).exists() || !nginx::parts().is_empty();
    match (envoy, nginx) {
        (true, _) => Some(Called::Peer(envoy::NAME, vec![envoy::NAME.into(), "-c".into(), envoy::FILE.into()])),
        (false, true) => Some(Called::Peer(nginx::NAME, vec![nginx::NAME.into()])),
        (false, false) => None,
    }
}

#[derive(clap::Parser)]
struct Ours {
    #[command(flatten)]
    common: CommonArgs,
}

/// Reads the flags of a peer. What every sidecar has comes from the environment, where it cannot be in a peer's way.
pub fn parse(name: &'static str, argv: &[OsString], defaults: Defaults) -> Result<(CommonArgs, Dialect), Usage> {
    let Ours { mut common } = typed(&argv[..1], defaults)?;
    // The app may be a Prometheus, and 9090 is its port.
    common.probe_addr = common.probe_addr.or(Some(Listen::Off));
    let dialect = match name {
        nginx::NAME => Dialect::Nginx(Box::new(typed(argv, defaults)?)),
        _ => {
            let flags: envoy::Flags = typed(argv, defaults)?;
            flags.settle(&mut common)?;
            Dialect::Envoy(Box::new(flags))
        }
    };
    Ok((common, dialect))
}

impl Dialect {
    pub fn load(&self) -> Result<Config, Failure> {
        match self {
            Self::Nginx(flags) => flags.load(),
            Self::Envoy(flags) => flags.load(),
        }
    }

    pub fn workers(&self) -> usize {
        match self {
            Self::Nginx(_) => 1,
            Self::Envoy(flags) => flags.workers(),
        }
    }

    /// Gives a sidecar the endpoints and files of the peer.
    pub fn attach(&self, sidecar: &Sidecar, drain: &Drain) {
        match self {
            Self::Nginx(flags) => nginx::signal::write_pid(flags),
            Self::Envoy(flags) => envoy::admin::attach(flags, sidecar, drain),
        }
    }
}

/// What a peer does and ends, without serving anything: `nginx -t`, `envoy --version`.
pub fn at_once(argv: &[OsString]) -> Option<ExitCode> {
    let Ok(Called::Peer(name, argv)) = called_as(argv) else { return None };
    match name {
        nginx::NAME => nginx::once::run(&argv),
        _ => envoy::once::run(&argv),
    }
}
