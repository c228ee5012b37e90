//! The sidecars' binaries: built by the cargo that runs us, or taken from a directory.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use serde_json::Value;
use tokio::process::Command;

use crate::{leash, screen::say};

/// What cargo sets for a program that it runs. A build must not see it: build scripts that look at these variables
/// would take each turn of `cargo demo` and `cargo build` for a change, and compile again.
const OF_THIS_RUN: [&str; 5] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];

pub struct Binaries {
    pub paths: BTreeMap<String, PathBuf>,
    /// How they were compiled, if we know.
    pub build: &'static str,
}

/// Where the binaries of these sidecars are.
pub async fn find(names: &[&str], dir: Option<&Path>) -> Result<Binaries, String> {
    let Some(dir) = dir else { return build(names).await };
    let path = |name: &&str| {
        let path = dir.join(name);
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(((*name).to_owned(), path))
    };
    let paths = names.iter().map(path).collect::<Result<_, String>>()?;
    Ok(Binaries { paths, build: "" })
}

async fn build(names: &[&str]) -> Result<Binaries, String> {
    let began = Instant::now();
    say(&format!("building {} (some minutes the first time) ...\n", names.join(", ")));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (program, words) = leash::words(&cargo).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .args(words)
        .args(["build", "--message-format", "json-render-diagnostics"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")])
        .args(names.iter().flat_map(|name| ["--package", name, "--bin", name]))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // Minutes without a sign of life look like a hang, so whoever watches sees what cargo does.
    let is_watched = std::io::stderr().is_terminal();
    let stderr = if is_watched { Stdio::inherit() } else { Stdio::piped() };
    if !is_watched {
        command.arg("--quiet");
    }
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THIS_RUN.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    let failed = |error| format!("{}: {error}", cargo.display());
    let child = command.stdout(Stdio::piped()).stderr(stderr).spawn().map_err(failed)?;
    let output = child.wait_with_output().await.map_err(failed)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the build failed: {}\n{}", output.status, words.trim()));
    }
    say(&format!("built in {:.1} s\n", began.elapsed().as_secs_f64()));
    let built = executables(&String::from_utf8_lossy(&output.stdout));
    let path = |name: &&str| match built.get(*name) {
        Some(path) => Ok(((*name).to_owned(), path.clone())),
        None => Err(format!("cargo built {name} without saying where it is")),
    };
    let paths = names.iter().map(path).collect::<Result<_, String>>()?;
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    Ok(Binaries { paths, build })
}

/// Cargo says where each binary is, so that target directories and profiles are its business and not ours.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let message = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = message.get("executable")?.as_str()?;
        let name = message.get("target")?.get("name")?.as_str()?;
        Some((name.to_owned(), path.into()))
    };
    messages.lines().filter_map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_the_other_messages() {
        let messages = concat!(
            "not json\n{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"values\"},\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"config-reloader\"},\"executable\":\"/t/x\"}\n",
        );
        let found = executables(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found["config-reloader"], Path::new("/t/x"));
    }
}
