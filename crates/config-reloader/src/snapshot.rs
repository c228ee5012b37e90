//! What the files are right now: their hashes, and how they differ from what they were.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use ring::digest::{Context, SHA256};

/// SHA-256: the same files have the same, and no two different ones ever do.
pub type Hash = [u8; 32];

/// The content of every file under some targets.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// By path, as bytes: comparing paths component by component is ten times slower.
    files: BTreeMap<OsString, Entry>,
    /// Files that are there and cannot be read, with why.
    pub unreadable: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    hash: Hash,
    /// Present if an equal stamp later proves that the bytes are the same.
    stamp: Option<Stamp>,
}

/// What the kernel changes whenever it changes bytes. The ctime cannot be set back by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    ctime: (i64, i64),
}

/// How one file differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub path: PathBuf,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Added,
    Changed,
    Removed,
}

impl Snapshot {
    /// Looks at every file. Blocks: large files take time. Files whose stamp is as in `before` are not read again.
    pub fn scan(targets: &[file_watch::Target], before: &Self) -> Self {
        let mut now = Self::default();
        for path in targets.iter().flat_map(file_watch::expand) {
            match look(&path, before.files.get(path.as_os_str())) {
                Ok(Some(entry)) => drop(now.files.insert(path.into_os_string(), entry)),
                Ok(None) => {} // gone between listing and opening: as if it had never been listed
                Err(error) => now.unreadable.push(format!("{}: {error}", path.display())),
            }
        }
        now
    }

    /// One hash for all of it: names and contents.
    pub fn digest(&self) -> Hash {
        let mut context = Context::new(&SHA256);
        for (path, entry) in &self.files {
            let name = path.as_encoded_bytes();
            context.update(&(name.len() as u64).to_le_bytes());
            context.update(name);
            context.update(&entry.hash);
        }
        finish(context)
    }

    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let now = self.files.iter().filter_map(|(path, entry)| {
            let how = match before.files.get(path) {
                None => How::Added,
                Some(old) if old.hash != entry.hash => How::Changed,
                Some(_) => return None,
            };
            Some(Change { path: path.into(), how })
        });
        let gone = before.files.keys().filter(|path| !self.files.contains_key(*path));
        let gone = gone.map(|path| Change { path: path.into(), how: How::Removed });
        now.chain(gone).collect()
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// The hash of one file, from the one before if nothing can have changed. None if it is not there.
fn look(path: &Path, before: Option<&Entry>) -> Result<Option<Entry>, std::io::Error> {
    let not_there = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return not_there(error),
    };
    let stamp = Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        ctime: (metadata.ctime(), metadata.ctime_nsec()),
    };
    if let Some(entry) = before.filter(|entry| entry.stamp == Some(stamp)) {
        return Ok(Some(entry.clone()));
    }
    match File::open(path) {
        Ok(file) => Ok(Some(Entry { hash: hash_of(file)?, stamp: trusted(stamp) })),
        Err(error) => not_there(error),
    }
}

/// The kernel's clock ticks in steps: a write right after our read can leave the same ctime. A stamp that is this
/// fresh proves nothing, and the file is read again next time.
fn trusted(stamp: Stamp) -> Option<Stamp> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let then = i128::from(stamp.ctime.0) * 1_000_000_000 + i128::from(stamp.ctime.1);
    (now.as_nanos() as i128 - then > 50_000_000).then_some(stamp)
}

/// Hashes a stream of any length in 64 KiB.
pub fn hash_of(mut from: impl Read) -> std::io::Result<Hash> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(finish(context)),
            length => context.update(&buffer[..length]),
        }
    }
}

/// One hash of several.
pub fn hash_all<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    finish(context)
}

fn finish(context: Context) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// A hash as people compare it.
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(dir: &Path, before: &Snapshot) -> Snapshot {
        Snapshot::scan(&[file_watch::Target { path: dir.into(), recursive: true }], before)
    }

    #[test]
    fn content_decides_and_not_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, "1").unwrap();
        let first = scan(dir.path(), &Snapshot::default());
        std::fs::write(&file, "1").unwrap();
        assert_eq!(scan(dir.path(), &first).digest(), first.digest());
        // Same size, and so fast that the clock has not moved: the stamp must not be believed.
        std::fs::write(&file, "2").unwrap();
        let second = scan(dir.path(), &first);
        assert_eq!(second.changes_since(&first), [Change { path: file.clone(), how: How::Changed }]);
        std::fs::rename(&file, dir.path().join("b")).unwrap();
        let hows: Vec<How> = scan(dir.path(), &second).changes_since(&second).iter().map(|c| c.how).collect();
        assert_eq!(hows, [How::Added, How::Removed]);
    }
}
