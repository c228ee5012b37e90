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
    keys,
    policy_service::{self, OnError, Settings},
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

    /// Where the app is: http://host:port, https://host:port, unix:/path, file:///folder or static://STATUS [default:
    /// http://127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    upstream: Option<Place>,

    /// Let in the users of this file, as htpasswd makes it
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,

    /// Ask this service about whoever the rules let in: http://host:port/path, or unix:/socket#/path; below /v1/data it
    /// is asked as OPA is
    #[arg(long, value_name = "URL")]
    policy_url: Option<policy_service::Place>,

    /// What holds when the policy service does not answer: deny or allow [default: deny]
    #[arg(long, value_name = "WHAT")]
    on_policy_error: Option<OnError>,

    #[command(flatten)]
    common: CommonArgs,
}

const AFTER_HELP: &str = "\
Also: auth-proxy key NAME [GROUP,GROUP] makes an API key and its line for the file of keys
      auth-proxy healthcheck | wait TARGET... | pause (each has --help)
Called as oauth2-proxy, or with this word as the first argument, it takes that program's flags, variables and file; also
with its flags or variables alone.";

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
        if let Some(made) = new_key(argv) {
            return Err(made);
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

    /// The file, and what was typed beside it.
    fn load(&self) -> Result<Config, Failure> {
        let mut config = self.written()?;
        match (&self.policy_url, &mut config.policy) {
            (Some(place), policy) => {
                let on_error = policy.as_ref().map(|policy| policy.on_error).unwrap_or_default();
                let (target, shape) = (place.target.clone(), place.shape);
                *policy = Some(Settings { target, shape, on_error, headers: Vec::new() });
            }
            (None, None) if self.on_policy_error.is_some() => {
                return Err(Failure::config("--on-policy-error: expected --policy-url, or policy in the file"));
            }
            (None, _) => {}
        }
        if let (Some(on_error), Some(policy)) = (self.on_policy_error, &mut config.policy) {
            policy.on_error = on_error;
        }
        Ok(config)
    }

    fn written(&self) -> Result<Config, Failure> {
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

/// `key NAME [GROUPS]`: printed, and that is all.
fn new_key(argv: &[OsString]) -> Option<Usage> {
    let words: Vec<_> = argv.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    let (name, groups) = match words.iter().map(|word| &**word).collect::<Vec<_>>()[..] {
        ["key", name] => (name.to_owned(), String::new()),
        ["key", name, groups] => (name.to_owned(), groups.to_owned()),
        ["key", ..] => return Some(Usage::Wrong(vec!["key: expected NAME [GROUP,GROUP]".into()])),
        _ => return None,
    };
    if name.starts_with('-') || [&name, &groups].iter().any(|word| word.contains(char::is_whitespace)) {
        return Some(Usage::Wrong(vec!["key: expected NAME [GROUP,GROUP], without spaces".into()]));
    }
    let made = keys::make(&name, &groups);
    Some(made.map_or_else(|| Usage::Wrong(vec!["the system has no randomness".into()]), Usage::Asked))
}
