//! Keeps the watches in step with what the targets mean right now. Blocks: it walks the disk.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::pattern::Glob;

use crate::Target;
use crate::inotify::{Inotify, Refusal};
use crate::mount;
use crate::signal::{Interest, Pending, Signal, Sink};
use crate::walk::{Visitor, walk};

/// A recursive watch on "/" by mistake must not eat the node's memory (the kernel takes about 1 KiB for each).
const MOST_DIRECTORIES: usize = 100_000;

/// Device and inode: the same path may be another directory tomorrow.
type Identity = (u64, u64);

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// What a survey found out.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) watches: usize,
    pub(crate) sight: Sight,
}

#[derive(Debug)]
pub(crate) enum Sight {
    /// Every change gives an event.
    Full,
    /// Events come, but some changes give none.
    Partial(String),
    /// inotify cannot be used.
    None(String),
}

pub(crate) struct Surveyor {
    targets: Arc<[Target]>,
    signal: Arc<Signal>,
    inotify: Option<Inotify>,
    /// The watched directories, and the other way round: notify knows a watch by its path, the kernel by its inode, so
    /// there must never be two paths for one inode.
    watched: HashMap<Arc<Path>, Identity>,
    owners: HashMap<Identity, Arc<Path>>,
}

impl Surveyor {
    pub(crate) fn new(targets: Arc<[Target]>, signal: Arc<Signal>) -> Surveyor {
        Surveyor { targets, signal, inotify: None, watched: HashMap::new(), owners: HashMap::new() }
    }

    pub(crate) fn is_watching(&self) -> bool {
        self.inotify.is_some()
    }

    /// Looks at everything again; `pending` is what has happened since the last time.
    pub(crate) fn survey(&mut self, pending: Pending) -> Report {
        if let Some(why) = pending.failed {
            return self.close(why);
        }
        if pending.lost.all {
            self.reset();
        }
        if self.inotify.is_none() {
            let sink = Sink { signal: Arc::clone(&self.signal), generation: self.signal.next_generation() };
            match Inotify::open(sink) {
                Ok(inotify) => self.inotify = Some(inotify),
                Err(refusal) => return self.close(why(refusal)),
            }
        }
        self.release_lost(&pending.lost.roots);
        let targets = Arc::clone(&self.targets);
        let mut pass = Pass::new(self);
        for target in targets.iter() {
            walk(target, &mut pass);
        }
        let Pass { found, blind, over, .. } = pass;
        if let Some(why) = over {
            return self.close(why);
        }
        let stale: Vec<_> = self.watched.keys().filter(|path| !found.contains_key(*path)).map(Arc::clone).collect();
        for path in stale {
            self.release(&path);
        }
        self.signal.replace(found);
        let sight = match blind.len() {
            0 => Sight::Full,
            1 => Sight::Partial(blind.into_iter().next().unwrap_or_default()),
            n => Sight::Partial(format!("{} (and {} more)", blind.into_iter().next().unwrap_or_default(), n - 1)),
        };
        Report { watches: self.watched.len(), sight }
    }

    /// Gives inotify up, so that others on the node get what we held.
    fn close(&mut self, why: String) -> Report {
        self.reset();
        Report { watches: 0, sight: Sight::None(why) }
    }

    fn reset(&mut self) {
        self.signal.next_generation();
        self.inotify = None;
        self.watched = HashMap::new();
        self.owners = HashMap::new();
    }

    fn release_lost(&mut self, roots: &HashSet<PathBuf>) {
        if roots.is_empty() {
            return;
        }
        let is_lost = |path: &Path| path.ancestors().any(|above| roots.contains(above));
        let lost: Vec<_> = self.watched.keys().filter(|path| is_lost(path)).map(Arc::clone).collect();
        for path in lost {
            self.release(&path);
        }
    }

    fn release(&mut self, path: &Path) {
        if let Some(inotify) = &mut self.inotify {
            inotify.unwatch(path);
        }
        self.signal.forget(path);
        if let Some(identity) = self.watched.remove(path)
            && self.owners.get(&identity).is_some_and(|owner| **owner == *path)
        {
            self.owners.remove(&identity);
        }
    }
}

fn why(refusal: Refusal) -> String {
    match refusal {
        Refusal::Gone => "inotify cannot be used".into(),
        Refusal::Denied(why) | Refusal::Over(why) => why,
    }
}

/// One look at all targets.
struct Pass<'a> {
    surveyor: &'a mut Surveyor,
    found: HashMap<Arc<Path>, Interest>,
    /// Directories watched under another path (bind mounts), or not at all.
    elsewhere: HashMap<PathBuf, Option<Arc<Path>>>,
    /// Where something is mounted.
    mounts: HashSet<PathBuf>,
    /// Answers by device.
    file_systems: HashMap<u64, Option<&'static str>>,
    blind: Vec<String>,
    over: Option<String>,
}

impl<'a> Pass<'a> {
    fn new(surveyor: &'a mut Surveyor) -> Pass<'a> {
        Pass {
            surveyor,
            found: HashMap::new(),
            elsewhere: HashMap::new(),
            mounts: mount::mounts().into_iter().map(|mount| mount.point).collect(),
            file_systems: HashMap::new(),
            blind: Vec::new(),
            over: None,
        }
    }

    /// Makes sure that `path` is watched; returns the path under which its events come.
    fn hold(&mut self, path: &Path) -> Option<Arc<Path>> {
        if let Some((key, _)) = self.found.get_key_value(path) {
            return Some(Arc::clone(key));
        }
        if let Some(known) = self.elsewhere.get(path) {
            return known.clone();
        }
        // Should the path change hands between two looks, try again; should it go on, the event further up will tell.
        for _ in 0..3 {
            let Some(now) = identity(path) else { break };
            if let Some(owner) = self.surveyor.owners.get(&now).map(Arc::clone)
                && *owner != *path
            {
                if identity(&owner) == Some(now) {
                    self.found.entry(Arc::clone(&owner)).or_default();
                    self.elsewhere.insert(path.to_path_buf(), Some(Arc::clone(&owner)));
                    return Some(owner);
                }
                // The directory was moved: let go of the old name first, for both names have the same watch.
                self.drop_found(&owner);
            }
            match self.surveyor.watched.get_key_value(path) {
                Some((key, known)) if *known == now => {
                    let key = Arc::clone(key);
                    self.found.insert(Arc::clone(&key), Interest::default());
                    return Some(key);
                }
                Some(_) => self.surveyor.release(path),
                None => {}
            }
            let key = self.watch(path)?;
            if identity(path) == Some(now) {
                self.surveyor.watched.insert(Arc::clone(&key), now);
                self.surveyor.owners.insert(now, Arc::clone(&key));
                self.found.insert(Arc::clone(&key), Interest::default());
                return Some(key);
            }
            self.surveyor.release(path);
        }
        None
    }

    fn watch(&mut self, path: &Path) -> Option<Arc<Path>> {
        let watches = self.surveyor.watched.len();
        if watches >= MOST_DIRECTORIES {
            self.over = Some(format!("more than {MOST_DIRECTORIES} directories are too many to watch"));
            return None;
        }
        let key: Arc<Path> = Arc::from(path);
        // First the table, then the watch: an event may come at once.
        self.surveyor.signal.interest(&key, |_| {});
        let refusal = match self.surveyor.inotify.as_mut()?.watch(path, watches) {
            Ok(()) => return Some(key),
            Err(refusal) => refusal,
        };
        self.surveyor.signal.forget(path);
        self.elsewhere.insert(path.to_path_buf(), None);
        match refusal {
            Refusal::Gone => {}
            Refusal::Denied(why) => self.blind.push(why),
            Refusal::Over(why) => self.over = Some(why),
        }
        None
    }

    /// A directory found earlier in this pass is no longer what it was: another pass is needed.
    fn drop_found(&mut self, path: &Path) {
        self.surveyor.release(path);
        if self.found.remove(path).is_some() {
            self.surveyor.signal.happened();
        }
    }

    fn add(&mut self, dir: &Path, add: impl Fn(&mut Interest)) {
        let Some(key) = self.hold(dir) else { return };
        if let Some(interest) = self.found.get_mut(&key) {
            add(interest);
            self.surveyor.signal.interest(&key, add);
        }
    }
}

impl Visitor for Pass<'_> {
    fn look(&mut self, dir: &Path, name: &OsStr) {
        if !self.found.get(dir).is_some_and(|interest| interest.has(name)) {
            self.add(dir, |interest| interest.in_name(name));
        }
    }

    fn list(&mut self, dir: &Path, names: Option<&Arc<Glob>>) {
        self.add(dir, |interest| match names {
            Some(glob) => interest.in_glob(glob),
            None => interest.in_all(),
        });
        self.rests_on(dir);
    }

    fn rests_on(&mut self, dir: &Path) {
        let Some((device, _)) = self.surveyor.watched.get(dir).copied().or_else(|| identity(dir)) else {
            return;
        };
        let seen = self.file_systems.contains_key(&device);
        let kind = *self.file_systems.entry(device).or_insert_with(|| mount::blind_file_system(dir));
        if let Some(name) = kind.filter(|_| !seen) {
            self.blind.push(format!("{} is on {name}, where a change elsewhere gives no event here", dir.display()));
        }
    }

    /// A file mounted by itself (`-v ./app.conf:/etc/app.conf`) is written to in a directory that is not visible here,
    /// so only a watch on the file sees it.
    fn file(&mut self, _: &Path, real: &Path) {
        if self.mounts.contains(real) {
            self.add(real, Interest::in_all);
            self.rests_on(real);
        }
    }

    fn enough(&self) -> bool {
        self.over.is_some()
    }
}
