//! notify's watcher, tamed: it cannot panic into us, and its errors say what an operator can do.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use notify::{EventHandler, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::io::Errno;

/// Why a directory is not watched.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is not there any more; whoever took it away caused an event further up.
    Gone,
    /// This directory cannot be watched, others can.
    Denied(String),
    /// No directory can be watched: a limit is reached or the watcher is broken.
    Over(String),
}

pub(crate) struct Inotify {
    /// `Some` until dropped.
    watcher: Option<RecommendedWatcher>,
}

impl Inotify {
    pub(crate) fn open(handler: impl EventHandler) -> Result<Inotify, Refusal> {
        match guard(|| RecommendedWatcher::new(handler, notify::Config::default())) {
            Some(Ok(watcher)) => Ok(Inotify { watcher: Some(watcher) }),
            Some(Err(error)) => Err(Refusal::Over(match raw(&error) {
                Some(Errno::MFILE | Errno::NFILE) => out_of_instances(&error),
                _ => format!("inotify cannot be used: {}", text(&error)),
            })),
            None => Err(broken()),
        }
    }

    /// Adds a watch on the directory (or file) itself, not on what is below it.
    pub(crate) fn watch(&mut self, path: &Path, watches: usize) -> Result<(), Refusal> {
        let watcher = self.watcher.as_mut().ok_or_else(broken)?;
        let Err(error) = guard(|| watcher.watch(path, RecursiveMode::NonRecursive)).ok_or_else(broken)? else {
            return Ok(());
        };
        Err(match (&error.kind, raw(&error)) {
            (notify::ErrorKind::PathNotFound, _) | (_, Some(Errno::NOENT | Errno::NOTDIR)) => Refusal::Gone,
            (notify::ErrorKind::MaxFilesWatch, _) | (_, Some(Errno::NOSPC)) => Refusal::Over(out_of_watches(watches)),
            (_, Some(Errno::MFILE | Errno::NFILE)) => Refusal::Over(out_of_instances(&error)),
            (_, Some(Errno::NOMEM)) => Refusal::Over(format!("inotify cannot be used: {}", text(&error))),
            _ => Refusal::Denied(format!("{} cannot be watched: {}", path.display(), text(&error))),
        })
    }

    /// Often the watch is gone already, because its directory is.
    pub(crate) fn unwatch(&mut self, path: &Path) {
        if let Some(watcher) = &mut self.watcher {
            let _ = guard(|| watcher.unwatch(path));
        }
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        let watcher = self.watcher.take();
        let _ = guard(|| drop(watcher));
    }
}

/// notify unwraps when its thread is dead, which it is from the start when the thread could not be made (a pids limit).
fn guard<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

fn broken() -> Refusal {
    Refusal::Over(
        "inotify cannot be used: its thread is not running (is a limit on processes or threads reached?)".into(),
    )
}

fn raw(error: &notify::Error) -> Option<Errno> {
    match &error.kind {
        notify::ErrorKind::Io(error) => error.raw_os_error().map(Errno::from_raw_os_error),
        _ => None,
    }
}

/// notify's own text repeats the paths in Debug form.
pub(crate) fn text(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::Io(error) => error.to_string(),
        notify::ErrorKind::Generic(text) => text.clone(),
        notify::ErrorKind::MaxFilesWatch => "the limit of watches is reached".into(),
        notify::ErrorKind::PathNotFound => "no such file or directory".into(),
        notify::ErrorKind::WatchNotFound => "there is no such watch".into(),
        notify::ErrorKind::InvalidConfig(_) => "invalid configuration of the watcher".into(),
    }
}

fn out_of_instances(error: &notify::Error) -> String {
    format!(
        "inotify is exhausted ({}): fs.inotify.max_user_instances is {}, shared by all processes of this user on the \
         node; raise it there (or this process's limit on open files)",
        text(error),
        limit("max_user_instances")
    )
}

fn out_of_watches(watches: usize) -> String {
    format!(
        "inotify is exhausted after {watches} directories: fs.inotify.max_user_watches is {}, shared by all processes \
         of this user on the node; raise it there",
        limit("max_user_watches")
    )
}

fn limit(name: &str) -> String {
    let file = File::open(format!("/proc/sys/fs/inotify/{name}")).ok();
    let line = file.and_then(|file| BufReader::new(file).lines().next()?.ok());
    line.unwrap_or_else(|| "unknown".into())
}
