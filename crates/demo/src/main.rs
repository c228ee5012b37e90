//! `cargo demo`: a small app and its sidecars on this machine, with nothing installed but Rust.
#![allow(
    clippy::disallowed_methods,
    reason = "a program for developers, not a sidecar: it reads files of its own and passes its environment to cargo"
)]
#![allow(unreachable_pub, reason = "a program: `pub` says that other modules use it")]

mod app;
mod app_log;
mod app_members;
mod app_statsd;
mod binaries;
mod board;
mod browser;
mod child;
mod configmap;
mod controls;
mod elastic;
mod greeting;
mod http;
mod journal;
mod leash;
mod live;
mod logs;
mod metrics;
mod observe;
mod once;
mod openid;
mod page;
mod play;
mod pod;
mod restart;
mod screen;
mod sidecars;
mod timings;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Parser;
use values::ListenAddr;

/// A small app and its sidecars on this machine, live in the terminal and on a page; Ctrl-C stops them in order
#[derive(Parser)]
#[command(name = "demo", version)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Run through a script once, print PASS or FAIL per sidecar, exit with 0 or 1
    #[arg(long)]
    once: bool,

    /// Where the page listens; port 0 is any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    page_addr: ListenAddr,

    /// Use the sidecar binaries of this directory instead of building them
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The app alone, as its image runs it
    App(app::Args),
    /// Run a manifest on this machine: a Pod, Deployment or Job, its sidecars, volumes, probes
    Play(play::Args),
    /// A command in a container that plays, as `kubectl exec`
    Exec(play::ExecArgs),
    /// What `play` starts
    #[command(hide = true, subcommand)]
    Inside(play::inside::Stage),
    /// Runs a program that dies with the demo
    #[command(hide = true)]
    Leash {
        parent: i32,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    // `cargo demo -- --once` comes here with the dashes, `cargo demo --once` without.
    let mut argv: Vec<OsString> = std::env::args_os().collect();
    if argv.get(1).is_some_and(|first| first == "--") {
        argv.remove(1);
    }
    let args = Args::parse_from(argv);
    // These change what the whole process is, which is only possible while it is one thread.
    match &args.command {
        Some(Command::Leash { parent, words }) => return leash::become_program(*parent, words),
        Some(Command::Inside(stage)) => return play::inside::run(stage),
        Some(Command::Exec(exec)) => return play::exec(exec),
        _ => {}
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start the runtime: {error}")),
    };
    let outcome = runtime.block_on(async {
        match args.command {
            Some(Command::App(app)) => return app::run(app).await,
            Some(Command::Play(play)) => play::run(play).await,
            _ if args.once => once::run(args.bin_dir.as_deref()).await,
            _ => live::run(&args.page_addr, args.bin_dir.as_deref()).await,
        }
        .unwrap_or_else(|problem| failed(&problem))
    });
    // A blocking call that hangs must not keep the demo from ending.
    runtime.shutdown_background();
    outcome
}

fn failed(problem: &str) -> ExitCode {
    eprintln!("demo: {problem}");
    ExitCode::FAILURE
}
