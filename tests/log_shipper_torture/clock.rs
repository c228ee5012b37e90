//! A clock that jumps, where libfaketime is installed: only for the shipper, not for the machine.

use std::{fs, path::PathBuf};

use test_kit::{Start, TempDir};

use crate::chance::Chance;

pub(crate) struct Clock {
    library: PathBuf,
    /// What it says is added to the time.
    offset: PathBuf,
}

impl Clock {
    pub(crate) fn find(dir: &TempDir) -> Option<Self> {
        let folders = fs::read_dir("/usr/lib").ok()?.flatten();
        let library =
            folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|path| path.exists())?;
        Some(Self { library, offset: dir.put("clock", "+0\n").into() })
    }

    pub(crate) fn under(&self, start: Start) -> Start {
        start
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
    }

    /// Somewhere within a day, in either direction.
    pub(crate) fn jump(&self, chance: &Chance) {
        let seconds = chance.below(86_400);
        let sign = if chance.one_in(2) { '+' } else { '-' };
        fs::write(&self.offset, format!("{sign}{seconds}\n")).unwrap();
    }
}
