//! What Envoy does and ends: `--version`, `--mode validate`.

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::Parser;

use super::Flags;

pub fn run(argv: &[OsString]) -> Option<ExitCode> {
    // Wrong flags are told by the one who starts.
    let flags = Flags::try_parse_from(argv).ok()?;
    let mut out = std::io::stdout();
    if flags.version {
        let _ = writeln!(out, "envoy  version: pillion/{}/Clean/RELEASE/rustls", env!("CARGO_PKG_VERSION"));
        return Some(ExitCode::SUCCESS);
    }
    if flags.mode != "validate" {
        return None;
    }
    let name = flags.config_path.as_ref().map_or_else(|| "--config-yaml".to_owned(), |path| path.display().to_string());
    match flags.load().and_then(crate::check::files) {
        Ok(()) => {
            let _ = writeln!(out, "configuration '{name}' OK");
            Some(ExitCode::SUCCESS)
        }
        Err(failure) => {
            for problem in failure.problems {
                let _ = writeln!(std::io::stderr(), "envoy: {problem}");
            }
            Some(ExitCode::FAILURE)
        }
    }
}
