//! How files were when they were read: what changes before somebody watches them must not go unnoticed.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen(Vec<(PathBuf, Option<Stamp>)>);

/// Device, inode, size, and when it was changed; another file at the same place has another one.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Seen {
    pub fn of(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|file| (file.clone(), stamp(file))).collect())
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let data = fs::metadata(file).ok()?;
    let (modified, changed) = ((data.mtime(), data.mtime_nsec()), (data.ctime(), data.ctime_nsec()));
    Some((data.dev(), data.ino(), data.size(), modified, changed))
}
