//! The binary that users get: found, or built as `cargo xtask image` builds it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::{Compression, write::GzEncoder};

/// The one that was named, or a fresh static release build in the folder that `cargo xtask image` uses.
pub(crate) fn binary(name: &str, chosen: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = chosen {
        return path
            .is_file()
            .then(|| path.to_owned())
            .ok_or_else(|| format!("--bin {}: no such file", path.display()));
    }
    eprintln!("bench: building the image of {name}, which takes minutes the first time; --bin PATH skips it");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // Asked of the tool itself, so that there is one recipe for what is measured and what is shipped.
    let status =
        Command::new("cargo").current_dir(&root).args(["xtask", "image", name]).stdout(std::io::stderr()).status();
    // It also fails when the binary is over its promised size: the table will say so, with the rest.
    // Sidecars that every request goes through are built by another profile.
    let folder = root.join(format!("target/static/{}-unknown-linux-gnu", std::env::consts::ARCH));
    let made = |path: &PathBuf| path.metadata().and_then(|found| found.modified()).ok();
    let built = ["release", "fast"].map(|profile| folder.join(profile).join(name)).into_iter().max_by_key(made);
    match status {
        Ok(_) if built.as_ref().is_some_and(|path| path.is_file()) => Ok(built.unwrap_or_default()),
        Ok(status) => Err(format!("cargo xtask image {name}: {status}")),
        Err(error) => Err(format!("cargo xtask image {name}: {error}")),
    }
}

/// Bytes of the file, and of the file compressed as a registry does.
pub(crate) struct Size {
    pub(crate) bytes: u64,
    pub(crate) gzip: u64,
}

pub(crate) fn size(path: &Path) -> Result<Size, String> {
    let problem = |error: std::io::Error| format!("{}: {error}", path.display());
    let content = fs::read(path).map_err(problem)?;
    let mut encoder = GzEncoder::new(Counter(0), Compression::default());
    std::io::Write::write_all(&mut encoder, &content).map_err(problem)?;
    let Counter(gzip) = encoder.finish().map_err(problem)?;
    Ok(Size { bytes: content.len() as u64, gzip })
}

/// Only the length of what is written matters.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
