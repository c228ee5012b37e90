//! The other files of a directory that may be the same log under another name: `a.log.1`, `a.log-20261121`.

use std::{
    cmp::Ordering,
    collections::HashMap,
    ffi::OsStr,
    fs::{self, DirEntry, File, Metadata},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::identity::{Head, Identity};

/// More files than any rotation keeps.
const MOST: usize = 10_000;

#[derive(Debug)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) size: u64,
    pub(super) written: SystemTime,
}

impl Sibling {
    /// The older one is less. Clocks are coarse; of two that were written in the same moment, a higher number at the end
    /// of the name is older.
    pub(super) fn age(&self, other: &Self) -> Ordering {
        let number = |sibling: &Self| {
            let digits = sibling.path.extension()?.to_str()?;
            digits.parse::<u32>().ok().filter(|_| digits.len() < 6)
        };
        let by_name = match (number(self), number(other)) {
            (Some(one), Some(other)) => other.cmp(&one),
            _ => self.path.cmp(&other.path),
        };
        self.written.cmp(&other.written).then(by_name)
    }

    /// Whether it came into being after `moment`; where the file system does not know, whether it was written since.
    pub(super) fn is_younger(&self, moment: SystemTime) -> bool {
        match u64::try_from(self.identity.born) {
            Ok(0) | Err(_) => self.written >= moment,
            Ok(nanos) => UNIX_EPOCH + Duration::from_nanos(nanos) >= moment,
        }
    }
}

/// What rotation may have made of the log at `path`, the oldest first. Compressed ones are not among them.
pub(super) fn rotated(path: &Path) -> Vec<Sibling> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let mut siblings = others(path, |other| is_rotated(name.as_bytes(), other));
    siblings.sort_by(Sibling::age);
    siblings
}

/// The file with this identity in the directory of `path`, whatever its name is.
pub(super) fn with_identity(path: &Path, identity: &Identity) -> Option<Sibling> {
    others(path, |_| true).into_iter().find(|sibling| sibling.identity == *identity)
}

/// The youngest rotated file that is the one, and has at least so many bytes.
pub(super) fn copy_of(path: &Path, size: u64, is_it: impl Fn(&File) -> bool) -> Option<Sibling> {
    let is_it = |sibling: &Sibling| File::open(&sibling.path).is_ok_and(|file| is_it(&file));
    rotated(path).into_iter().rev().find(|sibling| sibling.size >= size && is_it(sibling))
}

/// Everything in a directory that rotation may have made of one of these, with the one it was made of.
pub(super) fn rotated_in(folder: &Path, originals: &HashMap<PathBuf, PathBuf>) -> Vec<(PathBuf, Sibling)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten().take(MOST) {
        let name = entry.file_name();
        if originals.contains_key(&folder.join(&name)) {
            continue;
        }
        let mut names = self::originals(&folder.join(&name)).into_iter();
        if let Some(original) = names.find(|original| originals.contains_key(original))
            && let Some(sibling) = sibling(&entry)
        {
            found.push((original, sibling));
        }
    }
    found
}

/// What a file may have been called before it was rotated.
pub(super) fn originals(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    unrotated(name).map(|name| path.with_file_name(OsStr::from_bytes(&name))).collect()
}

/// An empty head says nothing.
pub(super) fn begins_so(head: &Head, file: &File) -> bool {
    head.len > 0 && matches!(head.still(file), Ok(Some(_)))
}

fn others(path: &Path, wanted: impl Fn(&[u8]) -> bool) -> Vec<Sibling> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.flatten().take(MOST).filter(|entry| wanted(entry.file_name().as_bytes()));
    entries.filter_map(|entry| sibling(&entry)).collect()
}

fn sibling(entry: &DirEntry) -> Option<Sibling> {
    let found = entry.metadata().ok().filter(Metadata::is_file)?;
    Some(Sibling {
        path: entry.path(),
        identity: Identity::of(&found),
        size: found.len(),
        written: found.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    })
}

/// `a.log.1`, `a.log-20261121`, `a.log_old`, and `a-20261121.log`, `a.1.log` for `a.log`.
fn is_rotated(name: &[u8], other: &[u8]) -> bool {
    unrotated(other).any(|original| original == name)
}

/// Whether rotation has compressed it. What is in it was shipped before, or was there before us.
pub(super) fn is_packed(name: &[u8]) -> bool {
    [&b".gz"[..], b".zst", b".bz2", b".xz"].iter().any(|end| name.ends_with(end))
}

/// The names that a file may have had before it was rotated.
fn unrotated(other: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let dot = other.iter().rposition(|byte| *byte == b'.').unwrap_or(other.len());
    let marks = other.iter().enumerate().filter(|(at, byte)| *at > 0 && matches!(byte, b'.' | b'-' | b'_' | b'~'));
    let names = marks.filter(|_| !is_packed(other)).flat_map(move |(at, _)| {
        let (stem, rest) = other.split_at(at);
        let has_middle = at < dot && other[at..dot].iter().any(u8::is_ascii_digit);
        [(rest.len() > 1).then(|| stem.to_vec()), has_middle.then(|| [stem, &other[dot..]].concat())]
    });
    names.flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_told_from_neighbours() {
        for (other, is) in [
            ("a.log.1", true),
            ("a.log-20261121", true),
            ("a.log.2026-11-21", true),
            ("a.log~", false),
            ("a-20261121.log", true),
            ("a.1.log", true),
            ("a.log", false),
            ("a.log.1.gz", false),
            ("a-b.log", false),
            ("ab.log", false),
            ("b.log.1", false),
            ("a.logs", false),
        ] {
            assert_eq!(is_rotated(b"a.log", other.as_bytes()), is, "{other}");
        }
        assert!(is_rotated(b"syslog", b"syslog.1"));
        assert!(!is_rotated(b"syslog", b"syslogs"));
    }
}
