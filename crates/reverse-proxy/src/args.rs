//! What was typed: our own flags, a YAML file, nothing at all, or what the peer takes by whose name we were called.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{Arguments, CommonArgs, Defaults, Failure, Usage, args::typed};
use values::ListenAddr;

use crate::{
    config::{Action, ClientRules, Cluster, Config, Endpoint, Forward, Forwarded, Host, Http, Listener, Route, Serve},
    dialect::{self, Called, Dialect},
    pattern::PathPattern,
    yaml,
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
    Peer(Box<Dialect>),
}

/// Routes, protects and observes the HTTP and TCP of an app, in and out
#[derive(clap::Parser, Debug)]
#[command(name = "reverse-proxy", version, after_help = AFTER_HELP)]
struct OwnArgs {
    /// Listeners, routes and clusters in one YAML file; see docs/reverse-proxy.md
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "upstream"])]
    config: Option<PathBuf>,

    /// Where to listen [default: $PORT or :8000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<ListenAddr>,

    /// Where the app is
    #[arg(long, value_name = "ADDR", env = "UPSTREAM", default_value = "127.0.0.1:8080", value_parser = upstream)]
    upstream: String,

    /// Threads of the data path
    #[arg(long, value_name = "N", env = "REVERSE_PROXY_WORKERS", default_value_t = 1, value_parser = workers)]
    workers: usize,

    /// The port to listen on, where --listen does not say it
    #[arg(long, env = "PORT", hide = true)]
    port: Option<u16>,

    #[command(flatten)]
    common: CommonArgs,
}

const AFTER_HELP: &str = "\
Also: reverse-proxy netstat | get URL | healthcheck | wait TARGET... | pause (each has --help)
Called as nginx or envoy, or with one of these words as the first argument, it takes that program's flags and reads its
files. Without any argument it reads /etc/envoy/envoy.yaml, /etc/nginx/nginx.conf or /etc/nginx/conf.d/*.conf, if one of
them is there.";

fn upstream(text: &str) -> Result<String, &'static str> {
    text.parse::<yaml::Place>().map(|_| text.to_owned())
}

fn workers(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|count| (1..=256).contains(count)).ok_or("expected a number from 1 to 256")
}

impl Arguments for Args {
    const NAME: &'static str = "reverse-proxy";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DEFAULTS: Defaults = Defaults { admin_port: 9901, drain_delay: Duration::from_secs(5) };
    const PEERS: &'static [&'static str] = &dialect::NAMES;

    fn parse(argv: &[OsString]) -> Result<Self, Usage> {
        match dialect::called_as(argv)? {
            Called::Peer(name, argv) => {
                let (common, dialect) = dialect::parse(name, &argv, Self::DEFAULTS)?;
                Ok(Self { common, spelling: Spelling::Peer(Box::new(dialect)) })
            }
            Called::Own(argv) => {
                let own: OwnArgs = typed(&argv, Self::DEFAULTS)?;
                Ok(Self { common: own.common.clone(), spelling: Spelling::Own(Box::new(own)) })
            }
        }
    }

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn file(&self) -> Option<&Path> {
        match &self.spelling {
            Spelling::Own(own) => own.config.as_deref(),
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

    pub fn dialect(&self) -> Option<&Dialect> {
        match &self.spelling {
            Spelling::Own(_) => None,
            Spelling::Peer(dialect) => Some(dialect),
        }
    }

    pub fn workers(&self) -> usize {
        match &self.spelling {
            Spelling::Own(own) => own.workers,
            Spelling::Peer(dialect) => dialect.workers(),
        }
    }
}

impl OwnArgs {
    fn load(&self) -> Result<Config, Failure> {
        if let Some(file) = &self.config {
            return yaml::read(file);
        }
        let addr = self.listen.clone().unwrap_or(ListenAddr::Any(self.port.unwrap_or(8000)));
        let place: yaml::Place = self.upstream.parse().map_err(|expected: &str| Failure::config(expected))?;
        let cluster = Cluster::new("app", vec![Endpoint::at(place.0)]);
        let route = Route::new("app", PathPattern::Any, Action::Forward(Box::new(Forward::to("app"))));
        let host = Host { name: "default".into(), routes: vec![route], ..Host::default() };
        let client = ClientRules {
            forwarded: Forwarded { x_forwarded: true, ..Forwarded::default() },
            request_id: true,
            traceparent: true,
            ..ClientRules::default()
        };
        let http = Http { hosts: vec![host], default_host: Some(0), client, ..Http::default() };
        let serve = Serve::Http(Arc::new(http));
        let listener =
            Listener { name: addr.to_string(), addr, tls: None, proxy_protocol: false, serve, inbound: true };
        Ok(Config { listeners: vec![listener], clusters: vec![cluster], ..Config::default() })
    }
}
