//! log-shipper: read what is wanted, follow the files, ship every line.

use std::process::ExitCode;

use common::{Failure, Sidecar};
use log_shipper::{args::Args, events::Events, ship, status::Status};

fn main() -> ExitCode {
    common::main(start)
}

async fn start(args: Args, sidecar: &mut Sidecar) -> Result<(), Failure> {
    let config = sidecar.live(move || args.load())?;
    let events = Events::new(sidecar.metrics())?;
    let status = Status::new(sidecar.metrics(), sidecar.admin())?;
    sidecar.spawn("ship", ship::run(config, events, status, sidecar.life()));
    Ok(())
}
