//! What must not be, so that it is not a matter of opinion: each rule takes what is there and returns what is wrong
//! with it, one line per problem: place, thing, expectation. `tests/tidy.rs` holds this workspace to them.

use std::{path::Path, process::Command};

use crate::shell;

pub mod dialects;
pub mod files;
pub mod folders;
pub mod imports;
pub mod manifests;
pub mod promises;
pub mod source;

/// A text file of the repository, by its path from the root.
#[derive(Clone, Debug)]
pub struct Text {
    pub path: String,
    pub text: String,
}

impl Text {
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Every text file that git has or would take. What is not UTF-8 is no text.
pub fn texts(root: &Path) -> Result<Vec<Text>, String> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let paths = shell::output(Command::new("git").current_dir(root).args(list))?;
    // A file may be deleted and still be in the index.
    let text = |path: &str| Some(Text { path: path.to_owned(), text: std::fs::read_to_string(root.join(path)).ok()? });
    let mut texts: Vec<_> = paths.split_terminator('\0').filter_map(text).collect();
    texts.sort_by(|one, other| one.path.cmp(&other.path));
    texts.dedup_by(|one, other| one.path == other.path);
    Ok(texts)
}
