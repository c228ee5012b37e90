//! inject: manifests in, manifests with sidecars out.

mod args;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use inject::{Options, files, policy};

use crate::args::Args;

/// As sysexits.h has them.
const USAGE: u8 = 64;
const CONFIG: u8 = 78;

fn main() -> ExitCode {
    let args = Args::parse();
    let plain = match args.plain() {
        Ok(plain) => plain,
        Err(problem) => return fail(USAGE, &[problem]),
    };
    if args.policies {
        return print(&policy::all(&args.prefix, &args.tag));
    }
    let options = Options { sidecars: args.sidecars, prefix: args.prefix, tag: args.tag, plain };
    match files::inject_all(&args.files, &options, args.with_config) {
        Ok(outcome) => {
            outcome.said.iter().for_each(|line| eprintln!("inject: {line}"));
            print(&outcome.text)
        }
        Err(problems) => fail(CONFIG, &problems),
    }
}

fn print(text: &str) -> ExitCode {
    // Whoever has closed the pipe has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(code: u8, problems: &[String]) -> ExitCode {
    problems.iter().for_each(|problem| eprintln!("inject: {problem}"));
    code.into()
}
