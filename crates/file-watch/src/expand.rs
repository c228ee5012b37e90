//! The files a target means right now.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Target;
use crate::mount::blind_file_system;
use crate::pattern::Glob;
use crate::walk::{Visitor, walk};

/// The regular files that exist under `target` now, sorted, under the names a user sees.
///
/// Symbolic links are followed. A directory that can be reached in several ways is listed once: under its own name if
/// that lies in the tree, else under the first link's. Entries whose names start with `..` are skipped, so a
/// ConfigMap's files appear once. In globs `*` does not cross `/`, `**` does, and both match dot files. What cannot be
/// read is left out. Reads the disk: call it where blocking is fine.
pub fn expand(target: &Target) -> Vec<PathBuf> {
    let mut files = Files(Vec::new());
    walk(target, &mut files);
    files.0.sort();
    files.0.dedup();
    files.0
}

/// What a target means right now, and which directories decide it: for those who follow files by themselves.
#[derive(Debug, Default)]
pub struct Found {
    /// The name a user sees, and where the file really is. As [`expand`], sorted.
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// A new file in one of these may belong to the target.
    pub listed: BTreeSet<PathBuf>,
    /// A name that comes or goes in one of these may change what the target means.
    pub looked: BTreeSet<PathBuf>,
    /// The first file system, if one is, that changes without telling.
    pub blind: Option<String>,
}

impl Found {
    /// Adds what `target` means. Reads the disk.
    pub fn add(&mut self, target: &Target) {
        walk(target, self);
    }
}

impl Visitor for Found {
    fn look(&mut self, dir: &Path, _: &OsStr) {
        self.looked.insert(dir.to_path_buf());
    }

    fn list(&mut self, dir: &Path, _: Option<&Arc<Glob>>) {
        self.listed.insert(dir.to_path_buf());
    }

    fn rests_on(&mut self, dir: &Path) {
        if self.blind.is_none() {
            self.blind = blind_file_system(dir).map(|kind| format!("{} is on {kind}", dir.display()));
        }
    }

    fn file(&mut self, shown: &Path, real: &Path) {
        self.files.insert(shown.to_path_buf(), real.to_path_buf());
    }
}

struct Files(Vec<PathBuf>);

impl Visitor for Files {
    fn look(&mut self, _: &Path, _: &OsStr) {}
    fn list(&mut self, _: &Path, _: Option<&Arc<Glob>>) {}
    fn rests_on(&mut self, _: &Path) {}
    fn file(&mut self, shown: &Path, _: &Path) {
        self.0.push(shown.to_path_buf());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(root: &Path, name: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }

    /// What `pattern` below a tree with a bit of everything expands to, without the tree's own path.
    fn expanded(root: &Path, pattern: &str, recursive: bool) -> Vec<String> {
        let files = expand(&Target { path: root.join(pattern), recursive });
        files.iter().map(|file| file.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn expands_files_directories_and_globs() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["a.yaml", "b.yml", ".hidden.yaml", "sub/c.yaml", "sub/deep/d.yaml", "other/e.txt", "odd[1].yaml"] {
            write(root, name);
        }
        fs::create_dir_all(root.join("empty")).unwrap();
        symlink("a.yaml", root.join("link.yaml")).unwrap();
        symlink("nowhere", root.join("broken.yaml")).unwrap();
        let table: &[(&str, bool, &[&str])] = &[
            ("a.yaml", false, &["a.yaml"]),
            ("link.yaml", false, &["link.yaml"]),
            ("broken.yaml", false, &[]),
            ("missing.yaml", false, &[]),
            ("a.yaml/below", false, &[]),
            ("empty", true, &[]),
            ("", false, &[".hidden.yaml", "a.yaml", "b.yml", "link.yaml", "odd[1].yaml"]),
            ("sub", false, &["sub/c.yaml"]),
            ("sub", true, &["sub/c.yaml", "sub/deep/d.yaml"]),
            ("sub/../other", false, &["sub/../other/e.txt"]),
            ("*.yaml", false, &[".hidden.yaml", "a.yaml", "link.yaml", "odd[1].yaml"]),
            ("?.{yaml,yml}", false, &["a.yaml", "b.yml"]),
            ("*/*.yaml", false, &["sub/c.yaml"]),
            ("[a-n]*/c.yaml", false, &[]),
            (
                "**/*.yaml",
                false,
                &[".hidden.yaml", "a.yaml", "link.yaml", "odd[1].yaml", "sub/c.yaml", "sub/deep/d.yaml"],
            ),
            ("sub/**", false, &["sub/c.yaml", "sub/deep/d.yaml"]),
            ("s*/**/d.yaml", false, &["sub/deep/d.yaml"]),
            ("{sub/deep,other}/*", false, &["other/e.txt", "sub/deep/d.yaml"]),
            ("s*", false, &[]),
            ("s*", true, &["sub/c.yaml", "sub/deep/d.yaml"]),
            ("odd[1].yaml", false, &["odd[1].yaml"]),
            ("broken[glob", false, &[]),
        ];
        for (pattern, recursive, expected) in table {
            assert_eq!(expanded(root, pattern, *recursive), *expected, "{pattern:?} recursive {recursive}");
        }
    }

    #[test]
    fn files_of_a_configmap_appear_once_under_the_names_users_see() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "..2026_11_21_04_00_02.1002/app.yaml");
        write(root, "..2026_11_21_04_00_02.1002/sub/more.yaml");
        symlink("..2026_11_21_04_00_02.1002", root.join("..data")).unwrap();
        symlink("..data/app.yaml", root.join("app.yaml")).unwrap();
        symlink("..data/sub", root.join("sub")).unwrap();
        assert_eq!(expanded(root, "", false), ["app.yaml"]);
        assert_eq!(expanded(root, "", true), ["app.yaml", "sub/more.yaml"]);
        assert_eq!(expanded(root, "**/*.yaml", false), ["app.yaml", "sub/more.yaml"]);
        assert_eq!(expanded(root, "..data", false), ["..data/app.yaml"], "asked for by name");
    }

    #[test]
    fn loops_of_links_end_and_a_directory_goes_by_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "z/file");
        symlink("z", root.join("a")).unwrap();
        symlink("..", root.join("z/up")).unwrap();
        symlink(".", root.join("self")).unwrap();
        symlink("x", root.join("y")).unwrap();
        symlink("y", root.join("x")).unwrap();
        assert_eq!(expanded(root, "", true), ["z/file"]);
        assert_eq!(expanded(root, "y", true), [""; 0]);
        assert_eq!(expanded(root, "a", true)[0], "a/file", "asked for by its other name");
    }
}
