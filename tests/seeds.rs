//! The users' own manifests in manifests/seeds: nothing but what is marked differs from their documents, and each runs.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "seeds/documents.rs"]
mod documents;
#[path = "play/kit.rs"]
#[allow(dead_code, reason = "shared with play.rs, which needs more of it")]
mod kit;
#[path = "seeds/logs.rs"]
mod logs;
#[path = "seeds/metrics.rs"]
mod metrics;
#[path = "seeds/proxies.rs"]
mod proxies;
/// With nginx and python, as the documents have them.
#[cfg(feature = "real-servers")]
#[path = "seeds/servers.rs"]
mod servers;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use kit::{DEMO, Play};

pub fn seed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/seeds").join(format!("{name}.yaml"))
}

/// Plays a seed with sidecars that were built once for all tests, or with those of PILLION_BIN.
pub fn play(name: &str, args: &[&str]) -> Play {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        if let Some(dir) = std::env::var_os("PILLION_BIN") {
            return dir.into();
        }
        let sidecars = ["auth-proxy", "config-reloader", "log-shipper", "metrics-adapter", "reverse-proxy"];
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet"]).args(sidecars.iter().flat_map(|name| ["--package", name, "--bin", name]));
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
            cargo.env_remove(name);
        }
        assert!(cargo.status().unwrap().success(), "the sidecars do not build");
        Path::new(DEMO).parent().unwrap().to_owned()
    });
    let dir = dir.display().to_string();
    Play::file(&seed(name), &[&["--bin-dir", &*dir], args].concat())
}
