//! A target's glob, cut into components so that only directories that can match are read.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A glob that is known to be one: `*` does not cross `/`, `**` does.
#[derive(Debug)]
pub(crate) struct Glob(String);

impl Glob {
    pub(crate) fn is_match(&self, name: impl AsRef<OsStr>) -> bool {
        fast_glob::glob_match(self.0.as_bytes(), name.as_ref().as_encoded_bytes())
    }
}

pub(crate) struct Pattern {
    /// The part without wildcards; empty for a relative glob such as `*.yaml`.
    pub(crate) base: PathBuf,
    /// Matches the path below the base.
    whole: Glob,
    /// One glob per component, up to the first `**`.
    parts: Vec<Arc<Glob>>,
    /// There was a `**`: any depth may match.
    deep: bool,
}

impl Pattern {
    /// `None` when `path` is to be taken literally: no wildcard, not a valid glob, or a file of that very name exists.
    pub(crate) fn of(path: &Path) -> Option<Pattern> {
        if !path.to_str()?.contains(['*', '?', '[', '{']) || path.symlink_metadata().is_ok() {
            return None;
        }
        let mut base = PathBuf::new();
        let mut rest: Vec<&str> = Vec::new();
        for component in path.components() {
            let text = component.as_os_str().to_str()?;
            if rest.is_empty() && !(matches!(component, Component::Normal(_)) && text.contains(['*', '?', '[', '{'])) {
                base.push(component);
            } else {
                rest.push(text);
            }
        }
        let mut parts = Vec::new();
        let mut deep = false;
        for text in &rest {
            // A component that is no glob by itself is half of something like "{a/b,c}": search the whole tree.
            match compile(text).filter(|_| !text.contains("**")) {
                Some(part) => parts.push(Arc::new(part)),
                None => {
                    deep = true;
                    break;
                }
            }
        }
        let whole = compile(&rest.join("/"))?;
        Some(Pattern { base, whole, parts, deep })
    }

    /// What names at this depth below the base must match; `None`: anything may.
    pub(crate) fn part(&self, depth: usize) -> Option<&Arc<Glob>> {
        self.parts.get(depth)
    }

    pub(crate) fn could_match(&self, depth: usize, name: &OsStr) -> bool {
        self.part(depth).map_or(self.deep, |part| part.is_match(name))
    }

    pub(crate) fn goes_below(&self, depth: usize) -> bool {
        self.deep || depth + 1 < self.parts.len()
    }

    pub(crate) fn matches(&self, relative: &Path) -> bool {
        self.whole.is_match(relative)
    }
}

/// None unless every bracket and brace is closed; nothing else can be wrong with a glob.
fn compile(glob: &str) -> Option<Glob> {
    is_complete(glob).then(|| Glob(glob.to_owned()))
}

fn is_complete(glob: &str) -> bool {
    let mut open = Vec::new();
    let mut letters = glob.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '[' | '{' if open.last() != Some(&'[') => open.push(letter),
            ']' if open.last() == Some(&'[') => drop(open.pop()),
            '}' if open.last() == Some(&'{') => drop(open.pop()),
            '}' if open.is_empty() => return false,
            _ => {}
        }
    }
    open.is_empty()
}
