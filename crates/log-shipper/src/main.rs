//! log-shipper: read what is wanted, follow the files, ship every line.

use std::process::ExitCode;

use common::{Failure, Sidecar};
use log_shipper::{args::Args, dialect, events::Events, ship, status::Status};

fn main() -> ExitCode {
    common::main(start)
}

async fn start(args: Args, sidecar: &mut Sidecar) -> Result<(), Failure> {
    let peer = args.dialect().cloned();
    let config = sidecar.live(move || args.load())?;
    let observer = dialect::attach(peer.as_ref(), sidecar);
    let events = Events::new(sidecar.metrics(), observer)?;
    let status = Status::new(sidecar.metrics(), sidecar.admin())?;
    sidecar.spawn("ship", ship::run(config, events, status, sidecar.life()));
    Ok(())
}
