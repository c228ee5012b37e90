//! One image layer: a tar file whose bytes depend on nothing but what was put into it.

use std::collections::BTreeMap;

use tar::{Builder, EntryType, Header};

/// The contents of a layer. A `BTreeMap`, so that a folder always comes before what lies in it.
#[derive(Debug, Default)]
pub struct Layer {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, PartialEq)]
enum Entry {
    Dir { mode: u32 },
    File { mode: u32, bytes: Vec<u8>, capability: Option<Vec<u8>> },
    Link { target: String },
}

impl Layer {
    pub fn dir(&mut self, path: &str, mode: u32) -> Result<(), String> {
        self.put(path, Entry::Dir { mode })
    }

    pub fn file(&mut self, path: &str, mode: u32, bytes: &[u8], capability: Option<Vec<u8>>) -> Result<(), String> {
        self.put(path, Entry::File { mode, bytes: bytes.to_vec(), capability })
    }

    /// A symbolic link, relative so that it also holds under a mount point of the root file system.
    pub fn link(&mut self, path: &str, target: &str) -> Result<(), String> {
        let up = "../".repeat(path.trim_start_matches('/').matches('/').count());
        let (folder, target) = (parent(path), target.trim_start_matches('/'));
        let target = match target.strip_prefix(&format!("{folder}/")) {
            Some(neighbour) if !folder.is_empty() => neighbour.to_owned(),
            _ => format!("{up}{target}"),
        };
        self.put(path, Entry::Link { target })
    }

    fn put(&mut self, path: &str, entry: Entry) -> Result<(), String> {
        let path = path.trim_start_matches('/');
        let mut folder = parent(path);
        while !folder.is_empty() {
            let above = self.entries.entry(folder.to_owned()).or_insert(Entry::Dir { mode: 0o755 });
            if !matches!(above, Entry::Dir { .. }) {
                return Err(format!("/{path}: /{folder} is not a folder"));
            }
            folder = parent(folder);
        }
        match self.entries.get(path) {
            Some(there) if *there != entry => Err(format!("/{path}: is there already")),
            _ => {
                self.entries.insert(path.to_owned(), entry);
                Ok(())
            }
        }
    }

    pub fn tar(&self) -> Result<Vec<u8>, String> {
        let mut tar = Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            append(&mut tar, path, entry).map_err(|error| format!("/{path}: {error}"))?;
        }
        tar.into_inner().map_err(|error| error.to_string())
    }
}

fn append(tar: &mut Builder<Vec<u8>>, path: &str, entry: &Entry) -> std::io::Result<()> {
    match entry {
        Entry::Dir { mode } => {
            let mut header = plain(EntryType::Directory, *mode, 0);
            tar.append_data(&mut header, format!("{path}/"), std::io::empty())
        }
        Entry::File { mode, bytes, capability } => {
            if let Some(value) = capability {
                // What GNU tar, docker, podman and containerd all read for an extended attribute.
                tar.append_pax_extensions([("SCHILY.xattr.security.capability", value.as_slice())])?;
            }
            let mut header = plain(EntryType::Regular, *mode, bytes.len());
            tar.append_data(&mut header, path, bytes.as_slice())
        }
        Entry::Link { target } => {
            let mut header = plain(EntryType::Symlink, 0o777, 0);
            tar.append_link(&mut header, path, target)
        }
    }
}

/// A header without anything of the machine it was made on: root, and the beginning of time.
pub(crate) fn plain(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn parent(path: &str) -> &str {
    path.trim_start_matches('/').rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_to_where_they_lie() {
        for (link, expected) in [
            ("/app", "bin/app-of-ours"),
            ("/bin/app", "app-of-ours"),
            ("/sbin/app", "../bin/app-of-ours"),
            ("/opt/peer/bin/app", "../../../bin/app-of-ours"),
        ] {
            let mut layer = Layer::default();
            layer.link(link, "/bin/app-of-ours").expect("nothing is in the way");
            let entry = &layer.entries[link.trim_start_matches('/')];
            assert_eq!(*entry, Entry::Link { target: expected.into() }, "{link}");
        }
    }

    #[test]
    fn two_things_in_one_place_are_refused() {
        let mut layer = Layer::default();
        layer.file("/bin/app", 0o755, b"app", None).expect("nothing is in the way");
        assert_eq!(layer.link("/bin/app", "/bin/other").expect_err("a file is there"), "/bin/app: is there already");
        let problem = layer.dir("/bin/app/data", 0o755).expect_err("a file is no folder");
        assert_eq!(problem, "/bin/app/data: /bin/app is not a folder");
    }
}
