//! Full files, and those of yesterday: moved away, counted on, made smaller, and at last forgotten.

use std::{
    ffi::OsString,
    fs::{self, File as Handle},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Every, Rotate};
use crate::output::gzip::{self, Compression};

impl Rotate {
    pub(super) fn is_full(&self, length: u64) -> bool {
        self.size.is_some_and(|size| length > size)
    }

    pub(super) fn is_of_before(&self, written: impl FnOnce() -> Option<SystemTime>) -> bool {
        let is_before = |every: Every| written().is_some_and(|at| every.count(at) != every.count(SystemTime::now()));
        self.every.is_some_and(is_before)
    }
}

impl Every {
    /// Which hour or day it is since 1970.
    fn count(self, time: SystemTime) -> u64 {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match self {
            Self::Hour => seconds / 3600,
            Self::Day => seconds / 86_400,
        }
    }
}

/// `FILE` becomes `FILE.1`, what was `FILE.1` becomes `FILE.2`; the oldest is gone. Each may be compressed or not: who
/// changes that setting, or dies while compressing, leaves some of both.
pub(super) fn move_away(path: &Path, rotate: &Rotate) -> io::Result<()> {
    for ending in ["", ".gz"] {
        there(fs::remove_file(numbered(path, rotate.keep, ending)))?;
        for number in (1..rotate.keep).rev() {
            there(fs::rename(numbered(path, number, ending), numbered(path, number + 1, ending)))?;
        }
    }
    fs::rename(path, numbered(path, 1, ""))?;
    if rotate.compress == Compression::Gzip {
        compress(path)?;
    }
    Ok(())
}

/// At every moment one of the two is whole.
fn compress(path: &Path) -> io::Result<()> {
    let [plain, unfinished, packed] = ["", ".gz.part", ".gz"].map(|ending| numbered(path, 1, ending));
    let mut from = Handle::open(&plain)?;
    let to = Handle::create(&unfinished)?;
    gzip::pack_into(&mut from, &to).and_then(|()| to.sync_all()).inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    fs::rename(unfinished, packed)?;
    fs::remove_file(plain)
}

fn numbered(path: &Path, number: u32, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}{ending}"));
    name.into()
}

/// Not all numbers have a file.
fn there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
