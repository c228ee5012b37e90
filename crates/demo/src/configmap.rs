//! A directory that changes the way a mounted ConfigMap does: one rename of `..data`, and everything is new.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Instant,
};

/// The kubelet's end of a mounted ConfigMap.
pub struct ConfigMap {
    dir: PathBuf,
    /// The directory that `..data` points to, by its number.
    current: u64,
}

impl ConfigMap {
    pub fn new(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, current: 0 })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts new content in place as the kubelet does: a new directory, a link beside `..data`, a rename over it, the
    /// links that people see, and the old directory last. Returns the moment of the rename.
    pub fn swap(&mut self, files: &[(&str, &str)]) -> io::Result<Instant> {
        let (old, new) = (versioned(self.current), versioned(self.current + 1));
        fs::create_dir(self.dir.join(&new))?;
        for (name, text) in files {
            fs::write(self.dir.join(&new).join(name), text)?;
        }
        let (data, beside) = (self.dir.join("..data"), self.dir.join("..data_tmp"));
        symlink(&new, &beside)?;
        fs::rename(beside, data)?;
        let at = Instant::now();
        for (name, _) in files {
            let link = self.dir.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link)?;
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
        for text in ["one", "two", "three"] {
            map.swap(&[("key", text)]).unwrap();
            assert_eq!(fs::read_to_string(map.dir().join("key")).unwrap(), text);
        }
        let mut names: Vec<_> =
            fs::read_dir(map.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["..data", "..version_3", "key"]);
    }
}
