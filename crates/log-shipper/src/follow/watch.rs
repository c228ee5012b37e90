//! Events of directories, straight from the kernel: one descriptor, no thread, and only what a follower needs.
//!
//! `file-watch` answers another question ("may these bytes have changed?", settled, on notify). Here an app may write
//! 100,000 times a second into one file: the kernel merges what nobody has read yet, so reading late is reading less.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::{CStr, OsStr},
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::inotify::{self, CreateFlags, Event, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use tokio::io::{Interest, unix::AsyncFd};

/// So many buffers, then somebody else's turn.
const MOST_READS: usize = 64;
/// More names than a rotation of everything takes; who makes more files is not rotating logs.
const MOST_NAMES: usize = 10_000;

pub(super) struct Watch {
    kernel: AsyncFd<OwnedFd>,
    paths: HashMap<i32, PathBuf>,
    numbers: HashMap<PathBuf, i32>,
}

/// What events told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Names came, went or moved; or the kernel lost events: look at everything.
    pub(super) look: bool,
    /// The names that came or went.
    pub(super) named: HashSet<PathBuf>,
    /// These were written to.
    pub(super) written: HashSet<PathBuf>,
}

impl Watch {
    /// Must be called inside the runtime.
    #[expect(deprecated, reason = "unsound for types that may change their descriptor; an OwnedFd never does")]
    pub(super) fn new() -> io::Result<Self> {
        let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { kernel: AsyncFd::new(kernel)?, paths: HashMap::new(), numbers: HashMap::new() })
    }

    /// Watches these directories and no others. The first problem is given back; the rest is watched all the same.
    pub(super) fn set(&mut self, listed: &BTreeSet<PathBuf>, looked: &BTreeSet<PathBuf>) -> Result<(), String> {
        let gone: Vec<_> =
            self.numbers.keys().filter(|dir| !listed.contains(*dir) && !looked.contains(*dir)).cloned().collect();
        for dir in gone {
            if let Some(number) = self.numbers.remove(&dir) {
                self.paths.remove(&number);
                // The directory may be gone, and the watch with it.
                let _ = inotify::remove_watch(&self.kernel, number);
            }
        }
        let names = WatchFlags::CREATE
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let mut problem = Ok(());
        let wanted = listed.iter().map(|dir| (dir, names | WatchFlags::MODIFY | WatchFlags::ATTRIB));
        for (dir, flags) in wanted.chain(looked.difference(listed).map(|dir| (dir, names))) {
            match inotify::add_watch(&self.kernel, dir.as_path(), flags | WatchFlags::ONLYDIR) {
                Ok(number) => {
                    self.paths.insert(number, dir.clone());
                    self.numbers.insert(dir.clone(), number);
                }
                // Whoever took it away has caused an event further up.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => problem = problem.and(Err(explained(dir, error, self.numbers.len()))),
            }
        }
        problem
    }

    /// Waits until there is something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.kernel.readable().await.map(drop)
    }

    /// Reads what is there; not all of it in a storm, so that others get a turn.
    pub(super) fn read(&mut self) -> News {
        let Self { kernel, paths, numbers } = self;
        let mut news = News::default();
        let mut last = None;
        for _ in 0..MOST_READS {
            // Reading until there is nothing makes the next wait one for the next event.
            let read = kernel.try_io(Interest::READABLE, |kernel| {
                let mut buffer = [MaybeUninit::uninit(); 8 << 10];
                let mut reader = Reader::new(kernel, &mut buffer);
                loop {
                    let event = reader.next()?;
                    understand(&event, &mut news, paths, numbers, &mut last);
                    if reader.is_buffer_empty() {
                        return Ok(());
                    }
                }
            });
            if read.is_err() {
                break;
            }
        }
        news
    }
}

fn understand(
    event: &Event<'_>,
    news: &mut News,
    paths: &mut HashMap<i32, PathBuf>,
    numbers: &mut HashMap<PathBuf, i32>,
    last: &mut Option<(i32, Vec<u8>)>,
) {
    let name = event.file_name().map_or(&b""[..], CStr::to_bytes);
    if event.events().contains(ReadFlags::IGNORED) {
        if let Some(dir) = paths.remove(&event.wd()) {
            numbers.remove(&dir);
        }
        news.look = true;
    } else if event.events().contains(ReadFlags::MODIFY) {
        // A file that is written to all the time gives thousands of these in a row.
        if last.as_ref().is_none_or(|(number, before)| *number != event.wd() || before != name) {
            *last = Some((event.wd(), name.to_vec()));
            let dir = paths.get(&event.wd());
            news.written.extend(dir.map(|dir| dir.join(OsStr::from_bytes(name))));
        }
    } else {
        news.look = true;
        let dir = paths.get(&event.wd()).filter(|_| !name.is_empty() && news.named.len() < MOST_NAMES);
        news.named.extend(dir.map(|dir| dir.join(OsStr::from_bytes(name))));
    }
}

fn explained(dir: &Path, error: Errno, watches: usize) -> String {
    let limit = |name: &str| {
        values::read_text(Path::new(&format!("/proc/sys/fs/inotify/{name}")), 64)
            .map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
    };
    match error {
        Errno::NOSPC => format!(
            "inotify is exhausted after {watches} directories: fs.inotify.max_user_watches is {}, shared by all \
             processes of this user on the node; raise it there",
            limit("max_user_watches")
        ),
        _ => format!("{} cannot be watched: {error}", dir.display()),
    }
}
