//! A directory that changes the way a mounted ConfigMap does: one rename of `..data`, and everything is new.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::Instant,
};

/// Readable by everybody, as a kubelet makes them.
const MODE: u32 = 0o644;

/// The kubelet's end of a mounted ConfigMap.
pub struct ConfigMap {
    dir: PathBuf,
    /// The directory that `..data` points to, by its number.
    current: u64,
}

pub struct File {
    /// May have directories in it.
    pub path: String,
    pub content: Vec<u8>,
    pub mode: u32,
}

impl ConfigMap {
    pub fn new(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, current: 0 })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// As [`Self::put`], for plain texts.
    pub fn swap(&mut self, files: &[(&str, &str)]) -> io::Result<Instant> {
        let file = |(path, text): &(&str, &str)| File { path: (*path).into(), content: (*text).into(), mode: MODE };
        self.put(&files.iter().map(file).collect::<Vec<_>>())
    }

    /// Puts new content in place as the kubelet does: a new directory, a link beside `..data`, a rename over it, the
    /// links that people see, and the old directory last. Returns the moment of the rename.
    pub fn put(&mut self, files: &[File]) -> io::Result<Instant> {
        let (old, new) = (versioned(self.current), versioned(self.current + 1));
        fs::create_dir(self.dir.join(&new))?;
        for file in files {
            let path = self.dir.join(&new).join(&file.path);
            fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
            fs::write(&path, &file.content)?;
            fs::set_permissions(path, PermissionsExt::from_mode(file.mode))?;
        }
        let (data, beside) = (self.dir.join("..data"), self.dir.join("..data_tmp"));
        symlink(&new, &beside)?;
        fs::rename(beside, data)?;
        let at = Instant::now();
        let seen: BTreeSet<_> = files.iter().filter_map(|file| file.path.split('/').next()).collect();
        for name in &seen {
            let link = self.dir.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link)?;
            }
        }
        for entry in fs::read_dir(&self.dir)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with("..") && !seen.contains(&*name) {
                fs::remove_file(entry.path())?;
            }
        }
        if self.current > 0 {
            fs::remove_dir_all(self.dir.join(old))?;
        }
        self.current += 1;
        Ok(at)
    }
}

fn versioned(number: u64) -> String {
    format!("..version_{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_old_or_the_new_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut map = ConfigMap::new(dir.path().join("map")).unwrap();
        map.swap(&[("key", "zero"), ("dir/gone", "")]).unwrap();
        for text in ["one", "two", "three"] {
            map.swap(&[("key", text)]).unwrap();
            assert_eq!(fs::read_to_string(map.dir().join("key")).unwrap(), text);
        }
        let mut names: Vec<_> =
            fs::read_dir(map.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["..data", "..version_4", "key"]);
    }
}
