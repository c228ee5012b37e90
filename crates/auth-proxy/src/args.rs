//! What was typed: our own YAML file, or what the peer takes by whose name we were called.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use common::{Arguments, CommonArgs, Defaults, Failure, Usage, args::typed};

use values::ListenAddr;

use crate::{
    config::Config,
    dialect::{self, Dialect},
    yaml::{self, Place},
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
    Peer(Dialect),
}

/// Lets in only who belongs, and tells the app who it is
#[derive(clap::Parser, Debug)]
#[command(name = "auth-proxy", version, after_help = AFTER_HELP)]
struct OwnArgs {
    /// Who may come in, and to what, in one YAML file; see docs/auth-proxy.md [default: /etc/auth-proxy/config.yaml, if
    /// it is there]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "upstream", "passwords"])]
    config: Option<PathBuf>,

    /// Where to listen [default: :4180]
    #[arg(long, value_name = "ADDR")]
    listen: Option<ListenAddr>,

    /// Where the app is: http://host:port or unix:/path [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    upstream: Option<Place>,

    /// Let in the users of this file, as htpasswd makes it
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,

    #[command(flatten)]
    common: CommonArgs,
}

const AFTER_HELP: &str = "\
Also: auth-proxy healthcheck | wait TARGET... | pause (each has --help)
Called as oauth2-proxy, or with this word as the first argument, it takes that program's flags, variables and file.";

impl Arguments for Args {
    const NAME: &'static str = "auth-proxy";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DEFAULTS: Defaults = Defaults { admin_port: 4181, drain_delay: Duration::from_secs(5) };
    const PEERS: &'static [&'static str] = &dialect::NAMES;

    fn parse(argv: &[OsString]) -> Result<Self, Usage> {
        if let Some(rest) = dialect::called_as(argv) {
            let (common, dialect) = Dialect::parse(&rest, Self::DEFAULTS)?;
            return Ok(Self { common, spelling: Spelling::Peer(dialect) });
        }
        let own: OwnArgs = typed(argv, Self::DEFAULTS)?;
        Ok(Self { common: own.common.clone(), spelling: Spelling::Own(Box::new(own)) })
    }

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn file(&self) -> Option<&Path> {
        match &self.spelling {
            Spelling::Own(own) => own.file(),
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
}

/// Where a file of ours is mounted.
const FILE: &str = "/etc/auth-proxy/config.yaml";

impl OwnArgs {
    fn file(&self) -> Option<&Path> {
        let default = || Some(Path::new(FILE)).filter(|file| self.passwords.is_none() && file.exists());
        self.config.as_deref().or_else(default)
    }

    fn load(&self) -> Result<Config, Failure> {
        match (self.file(), &self.passwords) {
            (Some(file), _) => yaml::read(file),
            (None, Some(passwords)) => {
                yaml::passwords_only(self.listen.clone(), self.upstream.clone(), passwords.clone())
            }
            (None, None) => {
                Err(Failure::config("nobody could sign in: expected --passwords, or --config with providers"))
            }
        }
    }
}
