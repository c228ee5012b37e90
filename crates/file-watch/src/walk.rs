//! The one way through the file system: which directories decide what a target means, and which files it has.
//!
//! [`crate::expand`] and the survey of watches walk the same way, so what is listed is what is watched.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::pattern::Glob;

use crate::Target;
use crate::pattern::Pattern;

/// The kernel gives up after as many links, too.
const MOST_LINKS: usize = 40;

/// What is told on the way. Every `dir` and `real` is free of symbolic links.
pub(crate) trait Visitor {
    /// `name` is looked up in `dir` right after this returns.
    fn look(&mut self, dir: &Path, name: &OsStr);
    /// `dir` is listed right after this returns; only names that match `names` count, `None` means all.
    fn list(&mut self, dir: &Path, names: Option<&Arc<Glob>>);
    /// What `dir` holds (a link, a file, a gap) decides: a file system that hides its changes hides this one.
    fn rests_on(&mut self, dir: &Path);
    /// A regular file of the target: the name a user sees, and where it really is.
    fn file(&mut self, shown: &Path, real: &Path);
    /// Nothing more can be used: stop.
    fn enough(&self) -> bool {
        false
    }
}

/// Where following a path ends, as a path free of links.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Dir(PathBuf),
    File(PathBuf),
    /// Not there, a loop, no permission, or neither a file nor a directory.
    Nothing,
}

/// Walks everything that `target` means right now.
pub(crate) fn walk(target: &Target, visitor: &mut dyn Visitor) {
    let Some(pattern) = Pattern::of(&target.path) else {
        match follow(&target.path, visitor) {
            End::File(real) => visitor.file(&target.path, &real),
            End::Dir(real) => Tree::new(None, target.recursive).walk(Spot::top(real, &target.path), visitor),
            End::Nothing => {}
        }
        return;
    };
    // A file whose name really contains the glob's characters may appear later.
    follow(&target.path, visitor);
    let base = if pattern.base.as_os_str().is_empty() { Path::new(".") } else { &pattern.base };
    if let End::Dir(real) = follow(base, visitor) {
        let top = Spot::top(real, &pattern.base);
        Tree::new(Some(&pattern), target.recursive).walk(top, visitor);
    }
}

/// Follows `path` from the root, component by component.
pub(crate) fn follow(path: &Path, visitor: &mut dyn Visitor) -> End {
    let Ok(path) = std::path::absolute(path) else {
        return End::Nothing;
    };
    let mut steps = Vec::new();
    push_steps(&mut steps, &path);
    follow_from(PathBuf::from("/"), steps, visitor)
}

/// `steps` is a stack: the next component is last.
fn follow_from(mut here: PathBuf, mut steps: Vec<OsString>, visitor: &mut dyn Visitor) -> End {
    let mut links = 0;
    while let Some(name) = steps.pop() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        if is_everybodys(&here) && fs::symlink_metadata(&next).is_ok_and(|found| found.is_dir()) {
            here = next;
            continue;
        }
        visitor.look(&here, &name);
        let Ok(found) = fs::symlink_metadata(&next) else {
            visitor.rests_on(&here);
            return End::Nothing;
        };
        if found.is_dir() {
            here = next;
        } else if found.is_symlink() {
            visitor.rests_on(&here);
            // /proc/PID/root and its like lead elsewhere than their text says: only the kernel can follow them.
            if here.starts_with("/proc") && next.is_dir() {
                here = next;
                continue;
            }
            links += 1;
            let Some(text) = fs::read_link(&next).ok().filter(|_| links <= MOST_LINKS) else {
                return End::Nothing;
            };
            if text.is_absolute() {
                here = PathBuf::from("/");
            }
            push_steps(&mut steps, &text);
        } else {
            visitor.rests_on(&here);
            return if steps.is_empty() && found.is_file() { End::File(next) } else { End::Nothing };
        }
    }
    End::Dir(here)
}

/// `/`, `/etc`, `/tmp`, `/dev/shm`: what all programs use is not renamed away, and watching it would be costly, because
/// notify wakes for every file that anybody opens there. A link or a gap in it is watched all the same.
fn is_everybodys(dir: &Path) -> bool {
    const STICKY: u32 = 0o1000;
    dir.components().count() <= 2 || fs::metadata(dir).is_ok_and(|found| found.mode() & STICKY != 0)
}

fn push_steps(steps: &mut Vec<OsString>, path: &Path) {
    steps.extend(path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    }));
}

/// A directory on the way down.
struct Spot {
    real: PathBuf,
    shown: PathBuf,
    /// Below the pattern's base; unused once `free`.
    relative: PathBuf,
    depth: usize,
    /// The pattern is fulfilled: everything below counts.
    free: bool,
}

impl Spot {
    fn top(real: PathBuf, shown: &Path) -> Spot {
        Spot { real, shown: shown.to_path_buf(), relative: PathBuf::new(), depth: 0, free: false }
    }

    fn child(&self, name: &OsStr, real: PathBuf, free: bool) -> Spot {
        let relative = if free { PathBuf::new() } else { self.relative.join(name) };
        Spot { real, shown: self.shown.join(name), relative, depth: self.depth + 1, free }
    }
}

/// What an entry would be good for, told by its name alone.
struct Verdict {
    file: bool,
    /// Descend; the content is `free`.
    dir: Option<bool>,
}

struct Tree<'a> {
    pattern: Option<&'a Pattern>,
    recursive: bool,
    /// Each directory once: links may form loops, and their paths would multiply.
    seen: HashSet<(u64, u64)>,
    /// Links wait until all real directories are done, so that a directory goes by its own name if it has one here.
    /// Ordered, because the order decides the names and the same files must always get the same names.
    links: BTreeMap<PathBuf, (Spot, Verdict, PathBuf, OsString)>,
}

impl<'a> Tree<'a> {
    fn new(pattern: Option<&'a Pattern>, recursive: bool) -> Tree<'a> {
        Tree { pattern, recursive, seen: HashSet::new(), links: BTreeMap::new() }
    }

    fn walk(mut self, top: Spot, visitor: &mut dyn Visitor) {
        let mut dirs = vec![top];
        while !visitor.enough() {
            if let Some(spot) = dirs.pop() {
                self.visit(&spot, &mut dirs, visitor);
            } else if let Some((shown, (mut spot, verdict, dir, name))) = self.links.pop_first() {
                match (follow_from(dir, vec![name], visitor), verdict.dir) {
                    (End::File(real), _) if verdict.file => visitor.file(&shown, &real),
                    (End::Dir(real), Some(_)) => {
                        spot.real = real;
                        dirs.push(spot);
                    }
                    _ => {}
                }
            } else {
                return;
            }
        }
    }

    fn visit(&mut self, spot: &Spot, dirs: &mut Vec<Spot>, visitor: &mut dyn Visitor) {
        let names = self.pattern.filter(|_| !spot.free).and_then(|pattern| pattern.part(spot.depth));
        visitor.list(&spot.real, names);
        let Ok(meta) = fs::metadata(&spot.real) else { return };
        if !self.seen.insert((meta.dev(), meta.ino())) {
            return;
        }
        let Ok(entries) = fs::read_dir(&spot.real) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            // "..data" and "..2026_11_21_...": Kubernetes' own; their files have names without dots, too.
            if name.as_bytes().starts_with(b"..") {
                continue;
            }
            let verdict = self.judge(spot, &name);
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() && (verdict.file || verdict.dir.is_some()) {
                let waiting = spot.child(&name, PathBuf::new(), verdict.dir.unwrap_or(false));
                self.links.insert(waiting.shown.clone(), (waiting, verdict, spot.real.clone(), name));
            } else if kind.is_dir() {
                dirs.extend(verdict.dir.map(|free| spot.child(&name, spot.real.join(&name), free)));
            } else if kind.is_file() && verdict.file {
                visitor.file(&spot.shown.join(&name), &spot.real.join(&name));
            }
        }
    }

    fn judge(&self, spot: &Spot, name: &OsStr) -> Verdict {
        let Some(pattern) = self.pattern.filter(|_| !spot.free) else {
            return Verdict { file: true, dir: (self.recursive || spot.free).then_some(true) };
        };
        if !pattern.could_match(spot.depth, name) {
            return Verdict { file: false, dir: None };
        }
        let file = pattern.matches(&spot.relative.join(name));
        let dir = if file && self.recursive { Some(true) } else { pattern.goes_below(spot.depth).then_some(false) };
        Verdict { file, dir }
    }
}
