//! One file that is followed, from its first byte to its last, under whatever name. All outputs read it through this.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    catalog::Candidate,
    identity::{Head, Identity, file_id, read_full},
};
use crate::record::Origin;

/// What a lane that does not take this file has acknowledged of it.
pub const NOT_TAKEN: u64 = u64::MAX;

#[derive(Debug)]
pub struct Followed {
    pub origin: Origin,
    /// Known once there is a first line.
    id: OnceLock<u64>,
    /// Where it was found, before anybody renamed it.
    pub home: PathBuf,
    /// Which of the configured inputs it belongs to.
    pub input: usize,
    /// How often this file was cut and begun anew before.
    pub generation: u32,
    /// Where each lane begins.
    pub starts: Vec<u64>,
    /// How far each lane's output has taken it for good.
    acked: Vec<AtomicU64>,
    /// When that was, in milliseconds since the file was met.
    delivered: Vec<AtomicU64>,
    met: Instant,
    /// Counts the times that something was written.
    touched: AtomicU64,
    /// As seen last.
    size: AtomicU64,
    /// It has another name or none, or its content moved: nothing new is expected, and it is let go at its end.
    ended: AtomicBool,
    /// Its content is no longer what was being read.
    replaced: AtomicBool,
    /// And cannot be found elsewhere.
    given_up: AtomicBool,
    place: Mutex<Place>,
}

#[derive(Debug)]
struct Place {
    identity: Identity,
    /// Where it can be opened again.
    path: PathBuf,
    file: Option<Arc<File>>,
    head: Head,
    /// Somebody has read from it: its head is no longer open to question.
    begun: bool,
    /// It is a copy of what was read: that may go further than the copy.
    copied: bool,
    used: Instant,
    written: Instant,
}

impl Place {
    /// Whoever reads first says what the file is: before that it may have been another one.
    fn reads(&mut self, offset: u64, bytes: &[u8]) -> (Head, bool) {
        if !bytes.is_empty() && !std::mem::replace(&mut self.begun, true) && offset == 0 && bytes.len() > self.head.len
        {
            self.head = Head::over(bytes);
        }
        (self.head, self.copied)
    }
}

/// Where a file begins for us.
pub(super) struct Begin {
    /// For each lane.
    pub(super) starts: Vec<u64>,
    pub(super) generation: u32,
    pub(super) id: Option<u64>,
}

/// What reading came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes; fewer than asked for at the end of the file.
    Bytes(usize),
    /// The file was cut or written anew: what is at this offset now is something else.
    Replaced,
}

impl Followed {
    pub(super) fn new(origin: Origin, found: Candidate<'_>, begin: Begin) -> Self {
        let Begin { starts, generation, id } = begin;
        let acked = starts.iter().map(|start| AtomicU64::new(*start)).collect();
        let delivered = starts.iter().map(|_| AtomicU64::new(0)).collect();
        let now = Instant::now();
        let begun = starts.iter().any(|start| *start > 0 && *start != NOT_TAKEN);
        Self {
            origin,
            id: id.map(OnceLock::from).unwrap_or_default(),
            home: found.home.to_owned(),
            input: found.number,
            generation,
            starts,
            acked,
            delivered,
            met: now,
            touched: AtomicU64::new(1),
            size: AtomicU64::new(found.size),
            ended: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            place: Mutex::new(Place {
                identity: found.identity,
                path: found.real.to_owned(),
                file: Some(Arc::new(found.file)),
                head: found.head,
                begun,
                copied: false,
                used: now,
                written: now,
            }),
        }
    }

    /// Reads at `offset`, and makes sure that what was read belongs to this file and not to what has replaced it.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<Read> {
        loop {
            if self.is_replaced() {
                return Ok(Read::Replaced);
            }
            let file = self.open()?;
            let count = read_full(&file, buffer, offset)?;
            // Said before it is made sure of: who finds the file cut in the meantime has to know what was read of it.
            let (head, copied) = self.place().reads(offset, &buffer[..count]);
            // After reading: a file is cut at once, but no old byte comes back.
            let size = file.metadata()?.len();
            let still = if size < offset && !copied { None } else { head.still(&file)? };
            let mut place = self.place();
            let is_current = place.file.as_ref().is_none_or(|current| Arc::ptr_eq(current, &file));
            if !is_current || place.head != head {
                // It goes on in a copy since then, or somebody else knows more of its beginning.
                continue;
            }
            let Some(head) = still.filter(|_| !self.is_replaced()) else {
                self.replaced.store(true, Ordering::Release);
                return Ok(Read::Replaced);
            };
            place.head = head;
            place.used = Instant::now();
            if self.size.swap(size, Ordering::AcqRel) != size {
                place.written = place.used;
                // The other lanes have to know as well.
                self.touch();
            }
            return Ok(Read::Bytes(count));
        }
    }

    /// What record ids are made of. Asked when there is a first line: before that it would be another one.
    pub fn id(&self) -> io::Result<u64> {
        if let Some(id) = self.id.get() {
            return Ok(*id);
        }
        let id = file_id(&self.identity(), self.generation, &*self.open()?)?;
        Ok(*self.id.get_or_init(|| id))
    }

    /// The same, where it was asked for before.
    pub fn known_id(&self) -> Option<u64> {
        self.id.get().copied()
    }

    /// The descriptor; opened again if it was closed to save one.
    fn open(&self) -> io::Result<Arc<File>> {
        let mut place = self.place();
        if let Some(file) = &place.file {
            return Ok(Arc::clone(file));
        }
        let file = File::open(&place.path)?;
        if Identity::of(&file.metadata()?) != place.identity {
            return Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken its name"));
        }
        let file = Arc::new(file);
        place.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Gives the descriptor back until it is needed again. Only for files that can be found again.
    pub fn close(&self) {
        self.place().file = None;
    }

    /// Since when nobody has read it, while it is open.
    pub fn open_since(&self) -> Option<Instant> {
        let place = self.place();
        place.file.as_ref().map(|_| place.used)
    }

    /// Its content goes on in a copy: what is not read yet is read there.
    pub fn goes_on_in(&self, path: PathBuf, identity: Identity, copy: File) {
        let size = copy.metadata().map_or(0, |found| found.len());
        let mut place = self.place();
        place.identity = identity;
        place.path = path;
        place.file = Some(Arc::new(copy));
        place.copied = true;
        self.size.store(size, Ordering::Release);
        self.replaced.store(false, Ordering::Release);
        drop(place);
        self.end();
        self.touch();
    }

    /// What was not read of it is nowhere to be found. Gives back how much that was, for the slowest output.
    pub fn give_up(&self) -> u64 {
        let size = self.size.swap(0, Ordering::AcqRel);
        self.given_up.store(true, Ordering::Release);
        self.ended.store(true, Ordering::Release);
        self.place().file = None;
        size.saturating_sub(self.least_acked())
    }

    /// It was found under another name.
    pub fn moved_to(&self, path: PathBuf) {
        self.place().path = path;
    }

    pub fn path(&self) -> PathBuf {
        self.place().path.clone()
    }

    pub fn is_at(&self, path: &Path) -> bool {
        self.place().path == path
    }

    pub fn identity(&self) -> Identity {
        self.place().identity
    }

    pub fn head(&self) -> Head {
        self.place().head
    }

    /// Looks at the size without reading. True when the content is not what it was: then the size stays what it was, too.
    pub fn look(&self) -> io::Result<bool> {
        if self.is_replaced() {
            return Ok(true);
        }
        // In this order: who reads at the same moment may find it larger than it was here.
        let before = self.size();
        let size = self.open()?.metadata()?.len();
        if size < before {
            self.replaced.store(true, Ordering::Release);
        } else if size > before {
            self.size.store(size, Ordering::Release);
            self.place().written = Instant::now();
            self.touch();
        }
        Ok(self.is_replaced())
    }

    /// Whether it is not what it was, also when nobody has noticed yet.
    pub fn is_cut(&self) -> bool {
        if self.look().unwrap_or(false) {
            return true;
        }
        loop {
            let head = self.head();
            let is_another = self.open().is_ok_and(|file| matches!(head.still(&file), Ok(None)));
            let place = self.place();
            // Who has read from it in the meantime knows what it is.
            if !is_another || place.head == head {
                self.replaced.fetch_or(is_another, Ordering::AcqRel);
                return self.is_replaced();
            }
        }
    }

    pub fn touch(&self) {
        self.touched.fetch_add(1, Ordering::AcqRel);
    }

    pub fn touched(&self) -> u64 {
        self.touched.load(Ordering::Acquire)
    }

    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub fn end(&self) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            self.place().written = Instant::now();
            self.touch();
        }
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    /// When it grew last, or ended.
    pub fn written(&self) -> Instant {
        self.place().written
    }

    pub fn ack(&self, lane: usize, offset: u64) {
        self.acked[lane].store(offset, Ordering::Release);
        let since = self.met.elapsed().as_millis();
        self.delivered[lane].store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// When a lane's output took something last, or when the file was met.
    pub fn delivered(&self, lane: usize) -> Instant {
        self.met + Duration::from_millis(self.delivered[lane].load(Ordering::Acquire))
    }

    pub fn acked(&self, lane: usize) -> u64 {
        self.acked[lane].load(Ordering::Acquire)
    }

    /// How far the slowest output has taken it for good.
    pub fn least_acked(&self) -> u64 {
        self.acked.iter().map(|acked| acked.load(Ordering::Acquire)).min().unwrap_or(NOT_TAKEN)
    }

    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Whether every output has all of it for good.
    pub fn is_delivered(&self) -> bool {
        self.least_acked() >= self.size()
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
