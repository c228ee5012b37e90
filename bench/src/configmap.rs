//! A volume as the kubelet keeps it, here with plain files beside it where a bench wants many.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Instant,
};

pub(crate) struct Volume {
    path: PathBuf,
    version: u32,
}

impl Volume {
    /// With one key, `config`, at version 1, and `files - 1` other files that never change.
    pub(crate) fn new(path: PathBuf, files: usize) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        for number in 1..files {
            fs::write(path.join(format!("file-{number}")), format!("this is file {number}\n"))?;
        }
        let mut volume = Self { path, version: 0 };
        volume.swap()?;
        symlink("..data/config", volume.path.join("config"))?;
        Ok(volume)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The next version, in the kubelet's order. Returns the moment before the rename of `..data`.
    pub(crate) fn swap(&mut self) -> io::Result<Instant> {
        self.version += 1;
        let stamp = format!("..2026_11_21.{}", self.version);
        let fresh = self.path.join(&stamp);
        fs::create_dir(&fresh)?;
        fs::write(fresh.join("config"), format!("version {}\n", self.version))?;
        symlink(&stamp, self.path.join("..data_tmp"))?;
        let renamed = Instant::now();
        fs::rename(self.path.join("..data_tmp"), self.path.join("..data"))?;
        match fs::remove_dir_all(self.path.join(format!("..2026_11_21.{}", self.version - 1))) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(renamed),
        }
    }
}

/// What an app would load now.
pub(crate) fn version_in(volume: &Path) -> Option<u32> {
    fs::read_to_string(volume.join("config")).ok()?.trim().strip_prefix("version ")?.parse().ok()
}
