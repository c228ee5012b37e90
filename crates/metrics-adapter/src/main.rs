//! metrics-adapter: read what is wanted, take lines, answer whoever scrapes.

use std::process::ExitCode;

use common::{Failure, Sidecar};
use metrics_adapter::{adapt, args::Args, listen, reload::Failures};

fn main() -> ExitCode {
    common::main(start)
}

async fn start(args: Args, sidecar: &mut Sidecar) -> Result<(), Failure> {
    let dialect = args.dialect().cloned();
    let failures = Failures::default();
    let config = sidecar.live(failures.counted(move || args.load()))?;
    let bound = listen::bind(&config.get().listen, config.get().read_buffer)?;
    adapt::run(config, bound, dialect.as_ref(), failures, sidecar)
}
