//! The command lines and files of other programs: read as they are, and turned into [`Config`].

pub mod fluent_bit;
pub mod fluentd;
pub mod section;
pub mod tail;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use common::{
    CommonArgs, Defaults, Failure, Sidecar, Usage,
    args::{Listen, typed},
};

use crate::{
    config::{Config, Start, State},
    events::Observer,
    yaml::STATE,
};

/// The programs whose place we can take.
pub const NAMES: [&str; 3] = [fluent_bit::NAME, fluentd::NAME, tail::NAME];

/// What was typed for one of them.
#[derive(Clone, Debug)]
pub enum Dialect {
    FluentBit(Box<fluent_bit::Flags>),
    Fluentd(fluentd::Flags),
    Tail(tail::Flags),
}

/// Whose arguments these are.
pub enum Called {
    Peer(&'static str, Vec<OsString>),
    /// Our own; maybe because this file of a peer is not there.
    Own(Vec<OsString>, Option<&'static str>),
}

/// What their files are read with.
#[derive(Clone, Debug)]
pub struct World {
    pub environment: BTreeMap<String, String>,
    /// When the pod began, if we are in one: the files of its containers are younger.
    pod_began: Option<SystemTime>,
    /// When this process did.
    began: SystemTime,
}

/// File systems stamp times by a clock that ticks: a file that was made after us may look older.
const TICK: Duration = Duration::from_millis(20);

const STATE_VARIABLE: &str = "LOG_SHIPPER_STATE_FILE";

impl World {
    pub fn of_this_process() -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self {
            environment: std::env::vars_os().filter_map(text).collect(),
            pod_began: pod_began(),
            began: SystemTime::now() - TICK,
        }
    }

    /// Where files begin that no position is known of. Their default, and what `false` says, is the end of those that
    /// are there already. Of the files of our own pod nothing is old: where nobody said so, lines that were written
    /// before we came are not lost.
    pub fn start(&self, from_head: Option<bool>) -> Start {
        match from_head {
            Some(true) => Start::Head,
            Some(false) => Start::Since(self.began),
            None => Start::Since(self.pod_began.map_or(self.began, |pod| pod.min(self.began))),
        }
    }

    /// Where positions go: where the variable says, or else where a file says.
    pub fn state(&self, said: Option<PathBuf>) -> State {
        let variable = self.environment.get(STATE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        State::Try(variable.or(said).unwrap_or_else(|| STATE.into()))
    }
}

/// Container runtimes mount a file with the name of the host, made anew for each pod. The containers of a pod start one
/// after the other.
fn pod_began() -> Option<SystemTime> {
    const OTHERS_FIRST: Duration = Duration::from_secs(60);
    let name = fs::metadata("/etc/hostname").ok()?;
    let is_mounted = fs::metadata("/etc").is_ok_and(|around| around.dev() != name.dev());
    let made = name.created().or_else(|_| name.modified()).ok().filter(|_| is_mounted)?;
    made.checked_sub(OTHERS_FIRST)
}

/// Under whose name we were called: by the name of the binary, by the first argument, or by nothing but a file of theirs
/// at its place.
pub fn called_as(argv: &[OsString]) -> Result<Called, Usage> {
    let known = |name: &str| NAMES.into_iter().find(|known| *known == name);
    let program = argv.first().map(|path| Path::new(path).file_name().unwrap_or_default().to_string_lossy());
    if let Some(name) = program.and_then(|program| known(&program)) {
        return Ok(peer(name, argv.to_vec()));
    }
    let first = argv.get(1).map(|word| word.to_string_lossy()).unwrap_or_default();
    let (asked, rest) = match (first.strip_prefix("--dialect="), argv.get(2)) {
        (Some(name), _) => (name.to_owned(), &argv[2..]),
        (None, Some(name)) if first == "--dialect" => (name.to_string_lossy().into_owned(), &argv[3..]),
        _ if known(&first).is_some() => (first.into_owned(), &argv[2..]),
        _ if argv.len() == 1 => return Ok(by_file().unwrap_or_else(|| Called::Own(argv.to_vec(), None))),
        _ => return Ok(Called::Own(argv.to_vec(), None)),
    };
    let problem = || format!("--dialect \"{asked}\": expected one of {}", NAMES.join(", "));
    let name = known(&asked).ok_or_else(|| Usage::Wrong(vec![problem()]))?;
    Ok(peer(name, [&[OsString::from(name)], rest].concat()))
}

/// Their own way to be told nothing is a file at its place. Without that, our own is better than theirs.
fn peer(name: &'static str, argv: Vec<OsString>) -> Called {
    match file_of(name).filter(|file| argv.len() == 1 && !Path::new(file).exists()) {
        Some(missing) => Called::Own(argv, Some(missing)),
        None => Called::Peer(name, argv),
    }
}

fn file_of(name: &str) -> Option<&'static str> {
    match name {
        fluent_bit::NAME => Some(fluent_bit::FILE),
        fluentd::NAME => Some(fluentd::FILE),
        _ => None,
    }
}

fn by_file() -> Option<Called> {
    let name = NAMES.into_iter().find(|name| file_of(name).is_some_and(|file| Path::new(file).exists()))?;
    Some(Called::Peer(name, vec![name.into()]))
}

#[derive(clap::Parser)]
struct Ours {
    #[command(flatten)]
    common: CommonArgs,
}

/// Reads the flags of a peer. What every sidecar has comes from the environment, where it cannot be in a peer's way.
pub fn parse(
    name: &'static str,
    argv: &[OsString],
    defaults: Defaults,
    world: &World,
) -> Result<(CommonArgs, Dialect), Usage> {
    let Ours { mut common } = typed(&argv[..1], defaults)?;
    // The app may be a Prometheus, and 9090 is its port.
    common.probe_addr = common.probe_addr.or(Some(Listen::Off));
    let dialect = match name {
        fluent_bit::NAME => {
            let flags: fluent_bit::Flags = typed(argv, defaults)?;
            flags.settle(world, &mut common);
            common.check_config |= flags.dry_run;
            common.admin_flag = Some("HTTP_Port or SIDECAR_ADMIN_ADDR");
            Dialect::FluentBit(Box::new(flags))
        }
        fluentd::NAME => {
            let flags: fluentd::Flags = typed(argv, defaults)?;
            flags.settle(world, &mut common);
            common.check_config |= flags.dry_run;
            Dialect::Fluentd(flags)
        }
        _ => {
            let flags: tail::Flags = typed(&tail::modern(argv), defaults)?;
            flags.asked()?;
            flags.settle(&mut common);
            Dialect::Tail(flags)
        }
    };
    Ok((common, dialect))
}

impl Dialect {
    pub fn load(&self, world: &World) -> Result<Config, Failure> {
        match self {
            Self::FluentBit(flags) => flags.load(world),
            Self::Fluentd(flags) => flags.load(world),
            Self::Tail(flags) => flags.load(),
        }
    }
}

/// Gives a sidecar the endpoints of the peer, and the words in which it speaks of files.
pub fn attach(dialect: Option<&Dialect>, sidecar: &Sidecar) -> Option<Box<dyn Observer>> {
    match dialect? {
        Dialect::FluentBit(_) => {
            fluent_bit::api::attach(sidecar);
            None
        }
        Dialect::Fluentd(_) => None,
        Dialect::Tail(flags) => flags.observer(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_own_pod_begin_at_their_beginning() {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let pod = began - Duration::from_secs(50);
        let world = |pod_began| World { environment: BTreeMap::new(), pod_began, began };
        assert_eq!(world(Some(pod)).start(None), Start::Since(pod));
        assert_eq!(world(Some(pod)).start(Some(false)), Start::Since(began));
        assert_eq!(world(Some(pod)).start(Some(true)), Start::Head);
        assert_eq!(world(None).start(None), Start::Since(began));
    }
}
