//! Says when the bytes under some paths may have changed: a wake-up, nothing more.
//!
//! ```text
//!   targets ──► survey ──► one watch per directory that decides what a path means
//!                 ▲                     │ inotify events (notify's one thread)
//!                 │                     ▼
//!                 │           interest table: is it one of OUR names?   no ──► forgotten
//!                 │                     │ yes
//!                 └──── settle ◄────────┘
//!                         │
//!                         ▼
//!                  FileWatch::changed() ──► the caller rescans and hashes: content decides
//! ```
//!
//! A watch on a file dies with the first ConfigMap update, and a watch on its directory misses a link that moves
//! further up. So each target is followed component by component, through every symbolic link; each directory in which
//! a name is looked up is watched, and there only that name counts. Every wake-up repeats the survey, because what
//! happened may have changed which directories matter.
//!
//! Every directory is watched *before* it is read. What changes before is seen by the read, what changes after gives an
//! event: there is no gap between them.
//!
//! Where inotify cannot help (limits of the node, network file systems, permissions) the crate polls and says why.
//! When nothing happens, nothing runs: no timer, no wake-up.

mod expand;
mod inotify;
mod mount;
mod pattern;
mod signal;
mod survey;
mod walk;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

pub use expand::{Found, expand};
pub use mount::never_updates;
pub use watch::FileWatch;

/// What to watch: a file, a directory, a glob (`/etc/rules/*.yaml`), or something that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// May contain `*`, `?`, `[a-z]`, `{a,b}` and `**`; a file that really has such a name is taken literally.
    pub path: PathBuf,
    /// For a directory (or a directory that a glob matches): everything below it too.
    pub recursive: bool,
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polling {
    /// By inotify, and by polling each [`Options::fallback`] where inotify cannot see.
    Auto,
    /// By polling only: no inotify instance is used.
    Every(Duration),
}

/// How patiently to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A wake-up waits until this long nothing has happened, so that a burst is one wake-up.
    pub settle: Duration,
    /// As `settle`, after the `..data` of a ConfigMap or Secret has been swapped: the content is complete by then, and
    /// only the links of new keys are still to come.
    pub settle_swap: Duration,
    /// ... but never longer than this after the first event.
    pub settle_max: Duration,
    pub polling: Polling,
    /// The polling interval where inotify cannot see.
    pub fallback: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            settle: Duration::from_millis(250),
            settle_swap: Duration::from_millis(25),
            settle_max: Duration::from_secs(5),
            polling: Polling::Auto,
            fallback: Duration::from_secs(10),
        }
    }
}

/// Why [`FileWatch::changed`] returned. In each case the caller looks at the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something under a target, or on the way to it, happened.
    Changed,
    /// Events were lost (the kernel's queue overflowed or inotify failed): anything may have changed.
    Rescan,
    /// The polling interval is over.
    Tick,
}

/// How changes are noticed right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By inotify alone.
    Events,
    /// By polling, perhaps besides inotify; `why` is for the operator.
    Polling { why: String },
}
