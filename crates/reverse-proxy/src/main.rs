//! reverse-proxy: read what is wanted, bind, serve.

use std::{ffi::OsString, process::ExitCode, sync::Arc};

use common::{Failure, Sidecar};
use reverse_proxy::{args::Args, dialect, events::Events, ready::Shared, serve, tools};

fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    match tools::run(&argv).or_else(|| dialect::at_once(&argv)) {
        Some(done) => done,
        None => common::main(start),
    }
}

async fn start(args: Args, sidecar: &mut Sidecar) -> Result<(), Failure> {
    let shared = Arc::new(Shared::new(Arc::new(Events::new(sidecar.metrics())?)));
    let (workers, peer) = (args.workers(), args.dialect().cloned());
    let reads = Arc::clone(&shared);
    let config = sidecar.live(move || reads.ready(args.load()?))?;
    let drain = serve::Drain::new(sidecar, &shared);
    let (begins, ends) = (drain.clone(), drain.clone());
    sidecar.admin().post("/drain", move |_| {
        begins.begin();
        common::Answer::text(200, "draining")
    });
    sidecar.admin().post("/undrain", move |_| {
        ends.end();
        common::Answer::text(200, "serving")
    });
    serve::start(sidecar, config, &shared, &drain, workers)?;
    if let Some(peer) = peer {
        peer.attach(sidecar, &drain);
    }
    Ok(())
}
