//! Which file is which: names move from file to file, inodes are used again, so neither alone says it.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    time::UNIX_EPOCH,
};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// How much of the beginning is compared. Rotated files of one app often start with the same banner.
const HEAD: usize = 1024;
/// How much of two files is compared to know that one is a copy.
const ALIKE: usize = 64 << 10;
/// The first line goes into the file's id, as far as this.
const FIRST_LINE: usize = 256;

/// What the kernel calls a file. The time of birth tells a new file from an old one with the same inode, where the file
/// system knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
    /// Nanoseconds since 1970, or 0.
    pub born: i64,
}

impl Identity {
    pub fn of(found: &Metadata) -> Self {
        let born = found.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            device: found.dev(),
            inode: found.ino(),
            born: born.map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(0)),
        }
    }

    /// Device numbers are given out anew at each mount.
    pub fn may_be(&self, other: &Self) -> bool {
        self.inode == other.inode && (self.born == other.born || self.born == 0 || other.born == 0)
    }
}

/// The first bytes of a file, as many as there were when it was last looked at: writing more does not change them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub len: usize,
    pub hash: u64,
}

impl Head {
    pub fn of(file: &File) -> io::Result<Self> {
        let mut bytes = [0; HEAD];
        let len = read_full(file, &mut bytes, 0)?;
        Ok(Self::over(&bytes[..len]))
    }

    pub fn over(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(HEAD)];
        Self { len: bytes.len(), hash: xxh3_64(bytes) }
    }

    /// Whether the file still begins so; if it does, a longer head when there is one by now.
    pub fn still(&self, file: &File) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEAD];
        let wanted = if self.len == HEAD { HEAD } else { HEAD.min(self.len.max(64) * 2) };
        let len = read_full(file, &mut bytes[..wanted], 0)?;
        if len < self.len || xxh3_64(&bytes[..self.len]) != self.hash {
            return Ok(None);
        }
        Ok(Some(if len > self.len { Self::over(&bytes[..len]) } else { *self }))
    }
}

/// What record ids are made of: the same for the same content in the same file, also after a restart without memory;
/// another one after the file was cut and begun anew.
pub(super) fn file_id(identity: &Identity, generation: u32, file: &File) -> io::Result<u64> {
    let mut bytes = [0; FIRST_LINE];
    let len = read_full(file, &mut bytes, 0)?;
    let first = memchr::memchr(b'\n', &bytes[..len]).unwrap_or(len);
    let mut hash = Xxh3::new();
    hash.update(&identity.inode.to_le_bytes());
    hash.update(&identity.born.to_le_bytes());
    hash.update(&generation.to_le_bytes());
    hash.update(&bytes[..first]);
    Ok(hash.digest())
}

/// Whether two files begin with the same bytes, as far as both go and as far as it is worth looking.
pub(super) fn begin_alike(one: &File, other: &File) -> io::Result<bool> {
    let (mut a, mut b) = (vec![0; ALIKE], vec![0; ALIKE]);
    let len = read_full(one, &mut a, 0)?.min(read_full(other, &mut b, 0)?);
    // An empty file is no copy of anything.
    Ok(len > 0 && a[..len] == b[..len])
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_head_grows_with_its_file_and_knows_when_it_is_another() {
        let mut file = tempfile::tempfile().unwrap();
        let empty = Head::of(&file).unwrap();
        assert_eq!(empty.len, 0);
        file.write_all(b"first line\n").unwrap();
        let head = empty.still(&file).unwrap().unwrap();
        assert_eq!(head.len, 11);
        file.write_all(&[b'x'; 5000]).unwrap();
        let mut longer = head;
        for _ in 0..6 {
            longer = longer.still(&file).unwrap().unwrap();
        }
        assert_eq!(longer, Head::of(&file).unwrap());
        assert_eq!(longer.len, HEAD);
        file.set_len(20).unwrap();
        assert_eq!(longer.still(&file).unwrap(), None, "shorter");
        assert!(head.still(&file).unwrap().is_some(), "the beginning is the same");
        file.set_len(0).unwrap();
        file.write_at(b"other line\n and more", 0).unwrap();
        assert_eq!(head.still(&file).unwrap(), None);
    }

    #[test]
    fn the_id_is_of_the_first_line_only() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"first\n").unwrap();
        let identity = Identity { device: 1, inode: 2, born: 3 };
        let id = file_id(&identity, 0, &file).unwrap();
        file.write_all(b"second\n").unwrap();
        assert_eq!(file_id(&identity, 0, &file).unwrap(), id);
        assert_ne!(file_id(&identity, 1, &file).unwrap(), id);
        assert_ne!(file_id(&Identity { born: 4, ..identity }, 0, &file).unwrap(), id);
    }
}
