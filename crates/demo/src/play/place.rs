//! The directory where everything of one run is kept, taken by one at a time.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, getuid, test_kill_process};

/// A path of a socket has no more than 107 bytes, and ours end in `sockets/pod-NNN.sock`.
const LONGEST: usize = 80;

pub struct Place {
    pub dir: PathBuf,
}

impl Place {
    /// What was there of an earlier run goes away, but for claims, which are made to stay.
    pub fn take(dir: Option<&Path>, file: &Path) -> Result<Self, String> {
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => {
                let base = default("");
                make_private(&base)?;
                base.join(file.file_stem().and_then(|name| name.to_str()).unwrap_or("play"))
            }
        };
        let say = |error: std::io::Error| format!("{}: {error}", dir.display());
        // Secrets are in there, as files.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(say)?;
        let dir = dir.canonicalize().map_err(say)?;
        if dir.as_os_str().len() > LONGEST {
            return Err(format!("{}: expected a path of at most {LONGEST} bytes: choose with --dir", dir.display()));
        }
        if let Some(pid) = taken(&dir) {
            return Err(format!("{}: process {pid} plays here; choose another with --dir", dir.display()));
        }
        for old in ["pods", "logs", "sockets"] {
            let path = dir.join(old);
            if path.exists() {
                fs::remove_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        fs::write(dir.join("pid"), std::process::id().to_string()).map_err(say)?;
        Ok(Self { dir })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.dir.join("pid"));
    }
}

pub fn default(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("pillion-play-{}", getuid().as_raw())).join(name)
}

/// Everybody may write to the directory for temporary files, so what is there may be somebody else's.
fn make_private(dir: &Path) -> Result<(), String> {
    let say = |error: std::io::Error| format!("{}: {error}", dir.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(say)?;
    let there = fs::symlink_metadata(dir).map_err(say)?;
    if there.is_dir() && there.uid() == getuid().as_raw() && there.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(format!("{}: expected a directory that is yours and nobody else's; choose another with --dir", dir.display()))
}

/// Who plays there, if he lives.
fn taken(dir: &Path) -> Option<i32> {
    let pid: i32 = fs::read_to_string(dir.join("pid")).ok()?.trim().parse().ok()?;
    test_kill_process(Pid::from_raw(pid)?).is_ok().then_some(pid)
}
