//! What is meant: the model that flags, files and dialects are turned into.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use values::ListenAddr;

use crate::{
    listen::Listener,
    relay,
    store::{Rules, limits::Limits},
};

/// Everything that a run needs to know.
#[derive(Debug)]
pub struct Config {
    pub listen: Vec<Listener>,
    /// Of each socket for packets, in bytes. Nothing said is as much as the kernel gives.
    pub read_buffer: Option<usize>,
    pub relays: Vec<relay::Config>,
    pub rules: Rules,
    pub limits: Limits,
    /// What the author of the rules should know.
    pub warnings: Vec<String>,
    /// Files that `rules` were read from. A change of one is a reload.
    pub files: Vec<PathBuf>,
    /// Who may come to the port where metrics are, and how. Read again whenever it changes.
    pub web: Option<PathBuf>,
    /// How long the end may wait for a last reader.
    pub last_scrape: Duration,
}

/// Longer than most people's scrape interval would hold up the end of a pod for nothing.
pub const LAST_SCRAPE: Duration = Duration::from_secs(20);

/// Where people expect statsd.
pub const PORT: u16 = 9125;

/// A socket in the file system, or in the abstract space if its name begins with `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFile {
    pub path: PathBuf,
    /// Nothing said is what the umask makes of it.
    pub mode: Option<u32>,
}

impl SocketFile {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), mode: None }
    }
}

const EXPECTED: &str = "expected udp://ADDRESS, tcp://ADDRESS, unixgram://PATH or unix://PATH";

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let address = || match rest.parse()? {
            ListenAddr::Unix(_) => Err(EXPECTED.to_owned()),
            address => Ok(address),
        };
        let file = || match rest.starts_with(['/', '@']) && rest.len() > 1 {
            true => Ok(SocketFile::new(rest.as_ref())),
            false => Err(format!("{EXPECTED}, with a path from the root or a name after @")),
        };
        Ok(match scheme {
            "udp" => Self::Udp(address()?),
            "tcp" => Self::Tcp(address()?),
            "unixgram" => Self::UnixDatagram(file()?),
            "unix" => Self::UnixStream(file()?),
            _ => return Err(EXPECTED.into()),
        })
    }
}

/// `0755`, `755` or `0o755`, as chmod takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or("expected a mode such as 0755")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_have_a_kind_and_a_place() {
        assert_eq!("udp://:9125".parse(), Ok(Listener::Udp(ListenAddr::Any(9125))));
        assert_eq!("unix:///run/a".parse(), Ok(Listener::UnixStream(SocketFile::new("/run/a".as_ref()))));
        assert_eq!("unixgram://@a".parse(), Ok(Listener::UnixDatagram(SocketFile::new("@a".as_ref()))));
        for text in ["", ":9125", "udp://", "udp:///run/a", "unix://run", "http://:1", "unixgram://"] {
            assert!(text.parse::<Listener>().is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(
            ("755".parse(), "0o700".parse(), "0660".parse()),
            (Ok(Mode(0o755)), Ok(Mode(0o700)), Ok(Mode(0o660)))
        );
        assert!("9".parse::<Mode>().is_err() && "1777".parse::<Mode>().is_err() && "rwx".parse::<Mode>().is_err());
    }
}
