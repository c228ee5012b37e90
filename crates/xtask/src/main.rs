//! `cargo xtask`: the chores of the workspace, as one program that needs nothing but Rust.

use std::process::ExitCode;

use clap::Parser;
use xtask::{docs, image, new};

/// The chores of the workspace
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Build container images without a container engine, each with its SBOM, and say how big they are
    Image(image::Options),
    /// Write docs/reference from what the binaries say about themselves
    Docs(docs::Options),
    /// Make a sidecar that passes CI, to go on from
    New(new::Options),
}

fn main() -> ExitCode {
    let done = match Chore::parse() {
        Chore::Image(options) => image::run(&options),
        Chore::Docs(options) => docs::run(&options),
        Chore::New(options) => new::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
