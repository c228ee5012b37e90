//! A ConfigMap or Secret volume, updated in the order in which a kubelet does it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// When a newly added key gets its name: the two kinds of kubelet differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kubelet {
    /// Before `..data` is swapped: for an instant the name leads nowhere.
    Old,
    /// After it: for an instant the key is there without a name.
    New,
}

/// A volume with a `..data` link, as the kubelet's AtomicWriter keeps it.
#[derive(Debug)]
pub struct ConfigMap {
    volume: PathBuf,
    kubelet: Kubelet,
    version: u32,
    keys: BTreeSet<String>,
}

impl ConfigMap {
    /// An empty volume; the first [`Self::update`] fills it.
    pub fn new(volume: impl AsRef<Path>, kubelet: Kubelet) -> Self {
        let volume = volume.as_ref().to_owned();
        fs::create_dir_all(&volume).unwrap();
        let (version, keys) = Default::default();
        Self { volume, kubelet, version, keys }
    }

    /// Where a key is mounted.
    pub fn path(&self, key: &str) -> String {
        self.volume.join(key).to_str().unwrap().to_owned()
    }

    /// Replaces the whole content: these keys and no others.
    pub fn update(&mut self, content: &[(&str, &str)]) {
        self.version += 1;
        let stamp = format!("..2026_11_21_04_00_{:02}.{}", self.version % 60, 1000 + self.version);
        let keys: BTreeSet<String> = content.iter().map(|(key, _)| (*key).to_owned()).collect();
        let before = fs::read_link(self.volume.join("..data")).ok();
        let fresh = self.volume.join(&stamp);
        fs::create_dir(&fresh).unwrap();
        for (key, value) in content {
            fs::write(fresh.join(key), value).unwrap();
        }
        if self.kubelet == Kubelet::Old {
            self.name_new(&keys);
        }
        symlink(&stamp, self.volume.join("..data_tmp")).unwrap();
        fs::rename(self.volume.join("..data_tmp"), self.volume.join("..data")).unwrap();
        if self.kubelet == Kubelet::New {
            self.name_new(&keys);
        }
        for gone in self.keys.difference(&keys) {
            fs::remove_file(self.volume.join(gone)).unwrap();
        }
        if let Some(before) = before {
            fs::remove_dir_all(self.volume.join(before)).unwrap();
        }
        self.keys = keys;
    }

    fn name_new(&self, keys: &BTreeSet<String>) {
        for key in keys.difference(&self.keys) {
            symlink(Path::new("..data").join(key), self.volume.join(key)).unwrap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TempDir;

    #[test]
    fn both_kubelets_leave_the_same_behind() {
        for kubelet in [Kubelet::Old, Kubelet::New] {
            let dir = TempDir::new();
            let mut volume = ConfigMap::new(&*dir, kubelet);
            volume.update(&[("a", "1"), ("gone", "x")]);
            volume.update(&[("a", "2"), ("b", "3")]);
            let read = |key: &str| fs::read_to_string(volume.path(key)).ok();
            assert_eq!((read("a"), read("b"), read("gone")), (Some("2".into()), Some("3".into()), None));
            let names: BTreeSet<String> =
                fs::read_dir(&*dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            let expected = ["..2026_11_21_04_00_02.1002", "..data", "a", "b"].map(str::to_owned);
            assert_eq!(names, BTreeSet::from(expected));
        }
    }
}
