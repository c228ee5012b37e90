//! What a door costs beside oauth2-proxy: all with the same flags, each on the first processor by turns, the app and the load on
//! the second.

mod cost;
mod door;
mod visitor;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use test_kit::OpenId;

use crate::{
    proxying::{app::App, load::Load},
    tools::found,
};

use self::door::Kind;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Our binary [default: built as the image builds it]
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,
    /// The peer, when it is neither on PATH nor in $GOPATH/bin
    #[arg(long, value_name = "PATH")]
    oauth2_proxy: Option<PathBuf>,
    /// How often each case is measured; the median counts
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: usize,
}

/// What all measurements share.
struct Rig {
    doors: Vec<Kind>,
    load: Load,
    rounds: usize,
    app: u16,
    provider: OpenId,
    /// The processes end with it.
    scratch: TempDir,
    _app: App,
}

pub(crate) fn run(options: &Options, ours: &Path) -> Result<(), String> {
    let mut doors = vec![Kind { name: "ours", program: ours.to_owned(), is_ours: true, is_quiet: false }];
    if let Some(program) =
        found("oauth2-proxy", options.oauth2_proxy.as_deref(), "bench/README.md says how to build it")
    {
        let peer = Kind { name: "oauth2-proxy", program, is_ours: false, is_quiet: false };
        // Without its lines for each request, which are half of what it does on some paths.
        doors.extend([peer.clone(), Kind { name: "the same, without logs", is_quiet: true, ..peer }]);
    }
    let app = 18_090;
    let rig = Rig {
        doors,
        load: Load::find()?,
        rounds: options.rounds,
        app,
        provider: OpenId::signing_with_rsa(&rsa_key()?),
        scratch: tempfile::tempdir().map_err(|error| error.to_string())?,
        _app: App::start(app)?,
    };
    cost::requests(&rig)?;
    cost::latency(&rig)?;
    cost::memory_and_start(&rig)
}

/// As most providers have, of 2,048 bits.
fn rsa_key() -> Result<Vec<u8>, String> {
    let arguments = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"];
    let made = Command::new("openssl").args(arguments).output().map_err(|error| format!("openssl: {error}"))?;
    made.status.success().then_some(made.stdout).ok_or_else(|| String::from_utf8_lossy(&made.stderr).into_owned())
}
