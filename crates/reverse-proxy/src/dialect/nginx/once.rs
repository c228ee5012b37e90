//! What nginx does and ends: `-t`, `-T`, `-v`, `-V`, `-s`. In its words, on standard error, with its exit codes.

use std::{ffi::OsString, io::Write, path::Path, process::ExitCode};

use clap::Parser;

use super::{Flags, VERSION, signal};

pub fn run(argv: &[OsString]) -> Option<ExitCode> {
    // Wrong flags are told by the one who starts.
    let flags = Flags::try_parse_from(argv).ok()?;
    flags.ends().then(|| match done(&flags) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn say(line: &str) {
    // Whoever has closed the pipe has read enough.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn done(flags: &Flags) -> bool {
    if flags.version || flags.long_version {
        say(&format!("nginx version: nginx/{VERSION}"));
        if flags.long_version {
            say(&format!("built by reverse-proxy {} of Pillion", env!("CARGO_PKG_VERSION")));
            say("TLS SNI support enabled");
            say("configure arguments: --with-http_ssl_module --with-http_v2_module --with-http_realip_module \
                 --with-http_stub_status_module --with-stream");
        }
        return true;
    }
    if let Some(asked) = &flags.signal {
        return match flags
            .load()
            .map_err(|failure| failure.problems)
            .and_then(|_| signal::send(flags, asked).map_err(|p| vec![p]))
        {
            Ok(()) => true,
            Err(problems) => {
                problems.iter().for_each(|problem| say(&format!("nginx: {problem}")));
                false
            }
        };
    }
    test(flags)
}

fn test(flags: &Flags) -> bool {
    let file = flags.file();
    let name = file.display();
    // The files that the configuration names have to be there too: certificates, users.
    let checked = flags.load().and_then(|config| {
        for note in &config.notes {
            say(&format!("nginx: [warn] {note}"));
        }
        crate::check::files(config)
    });
    if let Err(failure) = checked {
        failure.problems.iter().for_each(|problem| say(&format!("nginx: {}", marked(problem))));
        say(&format!("nginx: configuration file {name} test failed"));
        return false;
    }
    if !flags.quiet {
        say(&format!("nginx: the configuration file {name} syntax is ok"));
        say(&format!("nginx: configuration file {name} test is successful"));
    }
    if flags.dump {
        dump(flags);
    }
    true
}

fn marked(problem: &str) -> String {
    if problem.starts_with('[') { problem.to_owned() } else { format!("[emerg] {problem}") }
}

/// Every file as it was read, the main one first.
fn dump(flags: &Flags) {
    let Ok(mut source) = flags.source() else { return };
    let main = flags.file();
    source.files.sort_by_key(|(path, _)| path.as_path() != Path::new(&main));
    let mut out = std::io::stdout().lock();
    for (path, text) in &source.files {
        let _ = writeln!(out, "# configuration file {}:\n{text}", path.display());
    }
}
