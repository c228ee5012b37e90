//! config-reloader: read what is wanted, watch, and tell the app about every change.

use std::process::ExitCode;

use common::{Failure, Sidecar};
use config_reloader::{args::Args, dialect, events::Events, reload};

fn main() -> ExitCode {
    common::main(start)
}

async fn start(args: Args, sidecar: &mut Sidecar) -> Result<(), Failure> {
    let peer = args.dialect().cloned();
    let config = sidecar.live(move || args.load())?;
    let observer = dialect::attach(peer.as_ref(), sidecar)?;
    let events = Events::new(sidecar.metrics(), observer)?;
    let (gate, life) = (sidecar.gate("config"), sidecar.life());
    sidecar.spawn("reload", reload::run(config, events, gate, life));
    Ok(())
}
