//! auth-proxy: read what is wanted, bind, and let in who belongs.

use std::{process::ExitCode, sync::Arc};

use auth_proxy::{args::Args, events::Events, gate::Shared, serve};
use common::{Failure, Sidecar};

fn main() -> ExitCode {
    common::main(start)
}

async fn start(args: Args, sidecar: &mut Sidecar) -> Result<(), Failure> {
    let shared = Arc::new(Shared::new(Events::new(sidecar.metrics())?));
    let loading = Arc::clone(&shared);
    let config = sidecar.live(move || loading.ready(|| args.load()))?;
    serve::start(sidecar, config, shared)
}
