//! A target's glob, cut into components so that only directories that can match are read.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

pub(crate) struct Pattern {
    /// The part without wildcards; empty for a relative glob such as `*.yaml`.
    pub(crate) base: PathBuf,
    /// Matches the path below the base.
    whole: GlobMatcher,
    /// One matcher per component, up to the first `**`.
    parts: Vec<Arc<GlobMatcher>>,
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
        Some(Pattern {
            base,
            whole: compile(&rest.join("/"))?,
            parts,
            deep,
        })
    }

    /// What names at this depth below the base must match; `None`: anything may.
    pub(crate) fn part(&self, depth: usize) -> Option<&Arc<GlobMatcher>> {
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

fn compile(glob: &str) -> Option<GlobMatcher> {
    let glob = GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build();
    glob.ok().map(|glob| glob.compile_matcher())
}
