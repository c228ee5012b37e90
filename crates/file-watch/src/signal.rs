//! Where notify's thread and the task that waits meet: which names matter, and what has happened to them.
//!
//! The thread forgets an event of no interest right here, without waking the task: opening a file is an event, too, so
//! a reader would wake itself for ever.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pattern::Glob;
use notify::event::{EventKind, ModifyKind, RenameMode};
use tokio::time::Instant;

use crate::inotify;
use crate::{Options, Wake};

/// More names than this in one directory are not worth their memory: every name counts then.
const MOST_NAMES: usize = 1000;
/// More lost directories than this are not worth telling apart: a new watcher is made then, because notify compares
/// each of them with each path it knows (20,000 directories deleted at once keep its thread busy for 25 seconds).
const MOST_LOST: usize = 50;

/// Which names in a directory matter. Small, because a tree of directories has one for each, and there it is `All`.
#[derive(Debug)]
pub(crate) enum Interest {
    All,
    Some(Box<Names>),
}

#[derive(Debug, Default)]
pub(crate) struct Names {
    exact: HashSet<OsString>,
    globs: Vec<Arc<Glob>>,
}

impl Default for Interest {
    /// In nothing yet.
    fn default() -> Self {
        Interest::Some(Box::default())
    }
}

impl Interest {
    pub(crate) fn in_all(&mut self) {
        *self = Interest::All;
    }

    pub(crate) fn in_name(&mut self, name: &OsStr) {
        if self.has(name) {
            return;
        }
        if let Interest::Some(names) = self {
            names.exact.insert(name.to_os_string());
            if names.exact.len() > MOST_NAMES {
                self.in_all();
            }
        }
    }

    pub(crate) fn in_glob(&mut self, glob: &Arc<Glob>) {
        if let Interest::Some(names) = self
            && !names.globs.iter().any(|known| Arc::ptr_eq(known, glob))
        {
            names.globs.push(Arc::clone(glob));
        }
    }

    pub(crate) fn has(&self, name: &OsStr) -> bool {
        match self {
            Interest::All => true,
            Interest::Some(names) => names.exact.contains(name) || names.globs.iter().any(|glob| glob.is_match(name)),
        }
    }
}

/// Directories whose watches notify has dropped or will drop: it does so by path, with everything below, whenever it
/// sees the path removed or moved, even if a new directory has taken the place and has a new watch.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub(crate) all: bool,
    pub(crate) roots: HashSet<PathBuf>,
}

/// What has happened since the last survey.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The first and the latest event.
    span: Option<(Instant, Instant)>,
    /// A `..data` was swapped among it.
    swapped: bool,
    pub(crate) overflowed: bool,
    pub(crate) lost: Lost,
    /// Why inotify cannot be used any longer.
    pub(crate) failed: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    /// Which watcher counts: an old one may still be talking while it shuts down.
    generation: u64,
    interests: HashMap<Arc<Path>, Interest>,
    pending: Pending,
}

#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    pub(crate) wake: tokio::sync::Notify,
}

impl Signal {
    /// Held for a few map operations at most: notify's thread must never wait for long, and it must not be called
    /// while this is held, because it may be waiting for it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the old watcher; returns the number of the next one.
    pub(crate) fn next_generation(&self) -> u64 {
        let mut state = self.state();
        state.interests = HashMap::new();
        state.pending.lost = Lost::default();
        state.pending.failed = None;
        state.generation += 1;
        state.generation
    }

    /// Makes events of `dir` count from now on; to be called before it is watched.
    pub(crate) fn interest(&self, dir: &Arc<Path>, add: impl FnOnce(&mut Interest)) {
        add(self.state().interests.entry(Arc::clone(dir)).or_default());
    }

    pub(crate) fn forget(&self, dir: &Path) {
        self.state().interests.remove(dir);
    }

    /// After a survey: only what it found interesting counts.
    pub(crate) fn replace(&self, interests: HashMap<Arc<Path>, Interest>) {
        let old = std::mem::replace(&mut self.state().interests, interests);
        drop(old);
    }

    pub(crate) fn take(&self) -> Pending {
        std::mem::take(&mut self.state().pending)
    }

    /// When the task should look, and as what it shall report; `None`: nothing has happened.
    pub(crate) fn due(&self, options: &Options, no_rescan_before: Option<Instant>) -> Option<(Instant, Wake)> {
        let state = self.state();
        if state.pending.failed.is_some() {
            return Some((Instant::now(), Wake::Rescan));
        }
        let (first, last) = state.pending.span?;
        let settle = if state.pending.swapped { options.settle_swap } else { options.settle };
        let at = (last + settle).min(first + options.settle_max);
        if state.pending.overflowed {
            return Some((no_rescan_before.map_or(at, |earliest| at.max(earliest)), Wake::Rescan));
        }
        Some((at, Wake::Changed))
    }

    /// Something of interest happened. The task is woken by the first event only, then it watches the clock.
    pub(crate) fn happened(&self) {
        self.happened_with(|_| {});
    }

    fn happened_with(&self, note: impl FnOnce(&mut Pending)) {
        let mut state = self.state();
        note(&mut state.pending);
        let now = Instant::now();
        let first = state.pending.span.map(|(first, _)| first);
        state.pending.span = Some((first.unwrap_or(now), now));
        drop(state);
        if first.is_none() {
            self.wake.notify_one();
        }
    }
}

/// Runs on notify's thread.
pub(crate) struct Sink {
    pub(crate) signal: Arc<Signal>,
    pub(crate) generation: u64,
}

impl Sink {
    fn fail(&self, why: String) {
        let mut state = self.signal.state();
        if state.generation == self.generation {
            state.pending.failed.get_or_insert(why);
            drop(state);
            self.signal.wake.notify_one();
        }
    }

    /// Notes what `path` lost by the event; tells whether the event matters.
    fn note(&self, path: &Path, gone: bool) -> bool {
        let mut state = self.signal.state();
        if state.generation != self.generation {
            return false;
        }
        let watched = state.interests.contains_key(path);
        let lost = &mut state.pending.lost;
        if watched && gone && !lost.all {
            lost.roots.insert(path.to_path_buf());
            if lost.roots.len() > MOST_LOST {
                *lost = Lost { all: true, roots: HashSet::new() };
            }
        }
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return watched;
        };
        watched || state.interests.get(dir).is_some_and(|interest| interest.has(name))
    }
}

impl notify::EventHandler for Sink {
    fn handle_event(&mut self, event: notify::Result<notify::Event>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => return self.fail(format!("inotify failed: {}", inotify::text(&error))),
        };
        if event.need_rescan() {
            // The lost events may have been about our directories, so their watches are not to be trusted either.
            self.signal.happened_with(|pending| {
                pending.overflowed = true;
                pending.lost.all = true;
            });
            return;
        }
        let gone = match event.kind {
            // Not even "closed after writing": the write itself was an event.
            EventKind::Access(_) => return,
            // Sent in addition to From and To.
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => true,
            _ => false,
        };
        let swap = matches!(event.kind, EventKind::Modify(ModifyKind::Name(RenameMode::To)));
        let swapped = swap && event.paths.iter().any(|path| path.ends_with("..data"));
        if event.paths.iter().any(|path| self.note(path, gone)) {
            self.signal.happened_with(|pending| pending.swapped |= swapped);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.fail("inotify failed: its thread has ended".into());
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, CreateKind, DataChange, Flag};
    use notify::{Event, EventHandler};

    use super::*;

    /// A signal that finds `names` in /etc/app interesting, and the sink of its watcher.
    fn wired(names: &[&str]) -> (Arc<Signal>, Sink) {
        let signal = Arc::new(Signal::default());
        let sink = Sink { signal: Arc::clone(&signal), generation: signal.next_generation() };
        let dir: Arc<Path> = Arc::from(Path::new("/etc/app"));
        names.iter().for_each(|name| signal.interest(&dir, |interest| interest.in_name(OsStr::new(name))));
        (signal, sink)
    }

    fn event(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(path.into()))
    }

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

    #[test]
    fn only_interesting_names_and_never_accesses_are_pending() {
        let (signal, mut sink) = wired(&["a.yaml"]);
        sink.handle_event(event(WRITTEN, "/etc/app/b.yaml"));
        sink.handle_event(event(WRITTEN, "/etc/other/a.yaml"));
        sink.handle_event(event(EventKind::Create(CreateKind::Folder), "/etc"));
        sink.handle_event(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/etc/app/a.yaml"));
        sink.handle_event(event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/etc/app/a.yaml"));
        assert_eq!(signal.due(&Options::default(), None), None);
        sink.handle_event(event(WRITTEN, "/etc/app/a.yaml"));
        assert_eq!(signal.due(&Options::default(), None).map(|(_, wake)| wake), Some(Wake::Changed));
    }

    #[test]
    fn an_overflow_asks_for_a_rescan_and_for_new_watches_but_not_too_often() {
        let (signal, mut sink) = wired(&[]);
        sink.handle_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        let later = Instant::now() + std::time::Duration::from_secs(60);
        assert_eq!(signal.due(&Options::default(), Some(later)), Some((later, Wake::Rescan)));
        let pending = signal.take();
        assert!(pending.overflowed && pending.lost.all);
        assert_eq!(signal.due(&Options::default(), None), None);
    }

    #[test]
    fn an_error_or_a_dead_thread_is_reported_at_once_and_an_old_watcher_is_not_heard() {
        let (signal, mut sink) = wired(&["a.yaml"]);
        sink.handle_event(Err(notify::Error::generic("read failed")));
        assert_eq!(signal.due(&Options::default(), None).map(|(_, wake)| wake), Some(Wake::Rescan));
        assert_eq!(signal.take().failed.as_deref(), Some("inotify failed: read failed"));
        let (signal, sink) = wired(&[]);
        drop(sink);
        assert_eq!(signal.take().failed.as_deref(), Some("inotify failed: its thread has ended"));
        let (signal, sink) = wired(&[]);
        signal.next_generation();
        drop(sink);
        assert_eq!(signal.take().failed, None);
    }

    #[test]
    fn removing_or_moving_a_watched_directory_loses_its_watch() {
        for kind in [
            EventKind::Remove(notify::event::RemoveKind::Folder),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)),
        ] {
            let (signal, mut sink) = wired(&["a.yaml"]);
            sink.handle_event(event(kind, "/etc/app"));
            assert_eq!(signal.take().lost.roots, HashSet::from([PathBuf::from("/etc/app")]));
        }
    }

    #[test]
    fn many_names_become_all_names() {
        let mut interest = Interest::default();
        (0..=MOST_NAMES).for_each(|n| interest.in_name(OsStr::new(&n.to_string())));
        assert!(interest.has(OsStr::new("another")));
        assert!(matches!(interest, Interest::All));
    }
}
