//! The files that are followed right now. Looking blocks: it walks the disk.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use file_watch::{Found, Target};

use super::{
    file::{Begin, Followed, NOT_TAKEN},
    identity::{Head, Identity, file_id, read_full},
    rotation::Kin,
    siblings,
};
use crate::{
    config::{Input, Start},
    events::Events,
    position::{Memory, Positions, Saved},
    record::Origin,
    select::Select,
};

/// So many descriptors stay open for files that are delivered to their end, and so many in all: those of files that go
/// away before they are read are worth the most.
const IDLE_OPEN: usize = 20;
const MOST_OPEN: usize = 512;

/// A known head shorter than this does not tell one file from another.
pub(super) const TELLING: usize = 64;

/// File systems stamp times by a clock that ticks: a file that was made after us may look older.
const TICK: Duration = Duration::from_millis(20);

pub struct Catalog {
    pub(super) inputs: Arc<[Input]>,
    pub(super) lanes: Vec<(String, Select)>,
    pub(super) events: Arc<Events>,
    pub(super) positions: Arc<Mutex<Positions>>,
    /// What an earlier process knew, as long as it was not found.
    pub(super) saved: Vec<Saved>,
    pub(super) files: Vec<Arc<Followed>>,
    pub(super) known: HashMap<(usize, Identity), Arc<Followed>>,
    /// Rotated files that are delivered to their end, or were there before us, as long as they are there.
    pub(super) done: HashSet<Identity>,
    /// Paths of which all rotated files are known that were there before us.
    pub(super) homes: HashSet<PathBuf>,
    /// How often files were cut, where that is not known by what is followed.
    pub(super) generations: HashMap<Identity, u32>,
    /// Something was found out that changes what was seen before.
    pub(super) look_again: bool,
    /// There are new files of which it cannot be said yet what they are.
    pub(super) unclear: bool,
    /// So many files are about to be opened again, because they were written to.
    opening: usize,
    /// Files that could not be opened: said once.
    unreadable: HashSet<PathBuf>,
    pub(super) begun: SystemTime,
    first: bool,
}

/// What a look found out about the directories.
#[derive(Debug, Default)]
pub struct Seen {
    pub listed: BTreeSet<PathBuf>,
    pub looked: BTreeSet<PathBuf>,
    pub blind: Option<String>,
    /// There are files that no event tells about any more, or that have to be looked at again.
    pub leaving: bool,
    /// More files are open than need to be.
    pub crowded: bool,
}

/// A file on disk, about to be understood.
pub(super) struct Candidate<'a> {
    pub number: usize,
    pub input: &'a Input,
    pub shown: &'a Path,
    pub real: &'a Path,
    /// Where it was before it was rotated, if it was.
    pub home: &'a Path,
    pub identity: Identity,
    pub size: u64,
    pub file: File,
    pub head: Head,
}

impl<'a> Candidate<'a> {
    pub(super) fn open(number: usize, input: &'a Input, shown: &'a Path, real: &'a Path) -> io::Result<Self> {
        let file = File::open(real)?;
        // In this order: if it is cut in between, the size is that of what is there now, and the head tells on it.
        let head = Head::of(&file)?;
        let found = file.metadata()?;
        let (identity, size) = (Identity::of(&found), found.len());
        Ok(Self { number, input, shown, real, home: real, identity, size, file, head })
    }
}

impl Catalog {
    pub fn new(
        inputs: Arc<[Input]>,
        lanes: Vec<(String, Select)>,
        events: Arc<Events>,
        positions: Arc<Mutex<Positions>>,
        memory: Memory,
    ) -> Self {
        Self {
            inputs,
            lanes,
            events,
            positions,
            homes: memory.files.iter().map(|saved| saved.home.clone()).collect(),
            saved: memory.files,
            files: Vec::new(),
            known: HashMap::new(),
            done: memory.done,
            generations: HashMap::new(),
            look_again: false,
            unclear: false,
            opening: 0,
            unreadable: HashSet::new(),
            begun: SystemTime::now() - TICK,
            first: true,
        }
    }

    pub fn files(&self) -> &[Arc<Followed>] {
        &self.files
    }

    /// Tells the files at these paths that they were written to. False when there is a path that is none of ours.
    pub fn written(&mut self, paths: &HashSet<PathBuf>) -> bool {
        self.opening = 0;
        let mut all_known = true;
        for path in paths {
            let mut is_known = false;
            for file in self.files.iter().filter(|file| file.is_at(path)) {
                is_known = true;
                self.opening += usize::from(file.open_since().is_none());
                file.touch();
            }
            all_known &= is_known;
        }
        all_known
    }

    /// Looks at the disk, and follows what belongs to us now. `named` are names that came or went since the last look:
    /// what had one of them for a moment only is ours, too.
    pub fn look(&mut self, named: &HashSet<PathBuf>) -> Seen {
        let mut seen = self.look_once(named);
        // Whoever cuts files quicker than we look gets his turn as well.
        for _ in 0..3 {
            if !std::mem::take(&mut self.look_again) {
                break;
            }
            seen = self.look_once(named);
        }
        seen.leaving |= self.look_again;
        self.events.following(self.files.len());
        seen
    }

    fn look_once(&mut self, named: &HashSet<PathBuf>) -> Seen {
        let mut seen = Seen::default();
        let mut present = HashSet::new();
        self.unclear = false;
        let inputs = Arc::clone(&self.inputs);
        for (number, input) in inputs.iter().enumerate() {
            let mut found = Found::default();
            for path in &input.paths {
                found.add(&Target { path: path.clone(), recursive: false });
            }
            seen.listed.extend(found.files.values().filter_map(|real| real.parent()).map(Path::to_owned));
            let mut files: Vec<_> = found.files.iter().filter(|(shown, _)| !is_excluded(input, shown)).collect();
            self.originals_first(&mut files);
            for (shown, real) in files {
                present.extend(self.meet(number, input, shown, real).map(|file| Arc::as_ptr(&file)));
            }
            seen.listed.append(&mut found.listed);
            seen.looked.append(&mut found.looked);
            seen.blind = seen.blind.or(found.blind);
        }
        self.end_what_is_gone(&present);
        self.find_copies();
        self.adopt_rotated(named);
        if std::mem::take(&mut self.first) {
            self.forget_lost();
            self.positions.lock().unwrap_or_else(PoisonError::into_inner).take_over();
        }
        seen.leaving = self.let_go(&present) || self.unclear;
        seen.crowded = self.close_idle();
        seen
    }

    /// What a file is a copy of has to be met before it. Names that are followed already are no question.
    fn originals_first(&self, files: &mut [(&PathBuf, &PathBuf)]) {
        let followed: HashSet<PathBuf> = self.files.iter().map(|file| file.path()).collect();
        let listed: HashSet<&PathBuf> = files.iter().map(|(_, real)| *real).collect();
        let has_original = |real: &Path| siblings::originals(real).iter().any(|path| listed.contains(path));
        files.sort_by_cached_key(|(_, real)| !followed.contains(*real) && has_original(real));
    }

    /// A file that the globs mean.
    fn meet(&mut self, number: usize, input: &Input, shown: &Path, real: &Path) -> Option<Arc<Followed>> {
        let found = fs::metadata(real).ok()?;
        if let Some(file) = self.known.get(&(number, Identity::of(&found))).cloned() {
            if !file.has_ended() && !file.is_at(real) {
                file.moved_to(real.to_owned());
            }
            // Events may have been lost; comparing sizes is cheap.
            if file.size() != found.len() && !file.has_ended() {
                // An error comes back when it is read.
                let _ = file.look();
            }
            if !file.is_replaced() {
                return Some(file);
            }
            let candidate = Candidate::open(number, input, shown, real).ok()?;
            return Some(match file.has_ended().then(|| self.kin(&candidate)) {
                // What went on in a copy: somebody makes the next copy in the same file.
                Some(Kin::CopyOf(original)) => self.take_copy(&original, candidate),
                Some(Kin::Unclear) => file,
                Some(Kin::Stranger) | None => self.begin_anew(&file, candidate),
            });
        }
        let age = found.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
        let is_old = input.ignore_older.is_some_and(|most| age > most);
        if is_old || siblings::is_packed(shown.as_os_str().as_bytes()) {
            return None;
        }
        let candidate = match Candidate::open(number, input, shown, real) {
            Ok(candidate) => candidate,
            Err(error) => {
                if self.unreadable.insert(shown.to_owned()) {
                    self.events.unreadable(shown, &error);
                }
                return None;
            }
        };
        self.unreadable.remove(shown);
        // While names move, another file may be there by now.
        if let Some(file) = self.known.get(&(number, candidate.identity)) {
            return Some(Arc::clone(file));
        }
        match self.kin(&candidate) {
            Kin::CopyOf(original) => Some(self.take_copy(&original, candidate)),
            Kin::Unclear => None,
            Kin::Stranger => {
                let begin = self.resume(&candidate);
                Some(self.follow(candidate, begin))
            }
        }
    }

    pub(super) fn follow(&mut self, found: Candidate<'_>, begin: Begin) -> Arc<Followed> {
        let path = found.shown.to_string_lossy().into_owned();
        let mut fields = found.input.fields.clone();
        fields.extend(found.input.path_key.as_ref().map(|key| (key.clone(), path.clone())));
        let line_key = found.input.line_key.clone();
        let origin = Origin { tag: found.input.tag.of(&path), path, fields, line_key };
        let starts = self.lanes.iter().zip(begin.starts);
        let starts = starts.map(|((_, selects), start)| if selects.takes(&origin.tag) { start } else { NOT_TAKEN });
        let begin = Begin { starts: starts.collect(), ..begin };
        let key = (found.number, found.identity);
        let file = Arc::new(Followed::new(origin, found, begin));
        self.events.found(&file);
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).add(&file);
        self.known.insert(key, Arc::clone(&file));
        self.files.push(Arc::clone(&file));
        if self.files.len() > MOST_OPEN {
            file.close();
        }
        file
    }

    /// Where each lane begins in a file that this process has not met, and how often it was begun anew before.
    fn resume(&mut self, found: &Candidate<'_>) -> Begin {
        let fresh = self.fresh(found);
        if let Some(begin) = self.remembered(found, fresh) {
            return begin;
        }
        let was_cut = |saved: &&Saved| saved.identity.may_be(&found.identity) && saved.home == found.home;
        if let Some(saved) = self.saved.iter().rev().find(was_cut) {
            // While we were away. The rest of what it was may be in a copy.
            return Begin { generation: saved.generation + 1, ..self.from(0) };
        }
        match self.generations.remove(&found.identity) {
            Some(generation) => Begin { generation, ..self.from(0) },
            None => self.from(fresh),
        }
    }

    /// Every lane from here.
    pub(super) fn from(&self, offset: u64) -> Begin {
        Begin { starts: vec![offset; self.lanes.len()], generation: 0, id: None }
    }

    /// An earlier process was in this file, or in one of which this is a copy. An output that is new begins at `fresh`.
    pub(super) fn remembered(&mut self, found: &Candidate<'_>, fresh: u64) -> Option<Begin> {
        let begins_so = |saved: &Saved| {
            saved.furthest() <= found.size && (saved.head.len == 0 || siblings::begins_so(&saved.head, &found.file))
        };
        let is_same = |saved: &Saved| saved.identity.may_be(&found.identity) && begins_so(saved);
        let originals = siblings::originals(found.real);
        let is_copy = |saved: &Saved| {
            saved.head.len >= TELLING && originals.contains(&saved.home) && begins_so(saved) && !is_there(saved)
        };
        // One inode may have been several files, each cut. Of those that could be this one, the one that says the most
        // about its content is: of one that was cut while it was empty, nothing is known.
        let same = self.saved.iter().enumerate().filter(|(_, saved)| is_same(saved));
        let same = same.max_by_key(|(_, saved)| (saved.head.len, saved.generation)).map(|(at, _)| at);
        let at = same.or_else(|| self.saved.iter().position(is_copy))?;
        let mut saved = self.saved.swap_remove(at);
        if same.is_none() && saved.id.is_none() {
            // Its first lines may be out already: in the copy they have the ids that they had in the original.
            saved.id = file_id(&saved.identity, saved.generation, &found.file).ok();
        }
        let starts = self.lanes.iter().map(|(name, _)| saved.offsets.get(name).copied().unwrap_or(fresh)).collect();
        Some(Begin { starts, generation: saved.generation, id: saved.id })
    }

    /// What an earlier process was in and what is nowhere any more.
    fn forget_lost(&mut self) {
        self.saved.iter().filter(|saved| saved.has_more()).for_each(|saved| self.events.lost_sight(&saved.shown));
        self.saved.clear();
    }

    fn fresh(&self, found: &Candidate<'_>) -> u64 {
        match found.input.start {
            Start::Tail if self.first => found.size,
            Start::Last(lines) if self.first => lines_before_end(&found.file, found.size, lines),
            Start::LastBytes(bytes) if self.first => found.size.saturating_sub(bytes),
            Start::Byte(at) if self.first => found.size.min(at),
            Start::Line(line) if self.first => line_start(&found.file, found.size, line),
            Start::Since(moment) if self.first => match found.file.metadata().and_then(|file| file.created()) {
                Ok(made) if made < moment => found.size,
                // Where it is not known how old it is, twice is better than never.
                _ => 0,
            },
            _ => 0,
        }
    }

    /// Files that no glob finds any more: renamed, deleted, or in a directory that is gone.
    fn end_what_is_gone(&mut self, present: &HashSet<*const Followed>) {
        for file in self.files.iter().filter(|file| !file.has_ended() && !present.contains(&Arc::as_ptr(file))) {
            // Its descriptor may have been given back: it must be possible to open it again.
            if let Some(sibling) = siblings::with_identity(&file.path(), &file.identity()) {
                file.moved_to(sibling.path);
            }
            self.events.rotated(file);
            file.end();
        }
    }

    /// Lets go of files that are delivered to their end and have been quiet. True while some are still to come. A copy
    /// that a glob finds stays known, or it would be a new file at the next look.
    fn let_go(&mut self, present: &HashSet<*const Followed>) -> bool {
        let leaving: Vec<_> =
            self.files.iter().filter(|file| file.has_ended() && !present.contains(&Arc::as_ptr(file))).collect();
        let is_gone = |file: &&&Arc<Followed>| {
            // An error means that it cannot be opened any more: nothing more will come of it.
            let is_same = file.is_given_up() || !file.look().is_ok_and(|replaced| replaced);
            let is_quiet = file.written().elapsed() >= self.inputs[file.input].rotate_wait;
            is_same && is_quiet && file.is_delivered()
        };
        let gone: Vec<_> = leaving.iter().filter(is_gone).map(|file| Arc::clone(file)).collect();
        let some_stay = leaving.len() > gone.len();
        for file in &gone {
            self.events.let_go(file);
            self.positions.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
            self.done.insert(file.identity());
        }
        let is_gone = |file: &Arc<Followed>| gone.iter().any(|gone| Arc::ptr_eq(gone, file));
        self.files.retain(|file| !is_gone(file));
        self.known.retain(|_, file| !is_gone(file));
        some_stay
    }

    /// Whether more files are open than need to be, or will be.
    pub fn is_crowded(&self) -> bool {
        let open = || self.files.iter().filter(|file| file.open_since().is_some()).count();
        self.files.len() > IDLE_OPEN && open() + self.opening > IDLE_OPEN
    }

    /// Gives descriptors back that nobody has used for long, if there are many. True while there are too many still.
    fn close_idle(&self) -> bool {
        let open = |file: &&Arc<Followed>| !file.has_ended() && file.open_since().is_some();
        let mut idle: Vec<_> = self.files.iter().filter(open).collect();
        let all = idle.len();
        // Those with something to read come last.
        idle.sort_by_key(|file| (!file.is_delivered(), file.open_since()));
        let delivered = idle.partition_point(|file| file.is_delivered());
        let too_many = delivered.saturating_sub(IDLE_OPEN).max(all.saturating_sub(MOST_OPEN));
        idle[..too_many].iter().for_each(|file| file.close());
        self.is_crowded()
    }
}

/// Whether the file itself is where it was, or was renamed: then nothing else is a copy of it.
fn is_there(saved: &Saved) -> bool {
    let is_whole = |path: &Path| File::open(path).is_ok_and(|file| siblings::begins_so(&saved.head, &file));
    let own = fs::metadata(&saved.home).is_ok_and(|found| Identity::of(&found).may_be(&saved.identity));
    (own && is_whole(&saved.home))
        || siblings::with_identity(&saved.home, &saved.identity).is_some_and(|sibling| is_whole(&sibling.path))
}

pub(super) fn is_excluded(input: &Input, path: &Path) -> bool {
    let name = path.file_name().map(Path::new);
    let is_meant =
        |pattern: &String| means(Path::new(pattern), path) || name.is_some_and(|n| means(Path::new(pattern), n));
    input.exclude.iter().any(is_meant)
}

pub(super) fn means(pattern: &Path, path: &Path) -> bool {
    let matches = || fast_glob::glob_match(pattern.as_os_str().as_bytes(), path.as_os_str().as_bytes());
    pattern == path || path.parent() == Some(pattern) || matches()
}

/// Where a line begins, of which the first is 1.
fn line_start(file: &File, size: u64, line: u64) -> u64 {
    let mut block = vec![0; 64 << 10];
    let (mut at, mut left) = (0, line.saturating_sub(1));
    while left > 0 && at < size {
        let Ok(count @ 1..) = read_full(file, &mut block, at) else { break };
        for end in memchr::memchr_iter(b'\n', &block[..count]) {
            left -= 1;
            if left == 0 {
                return at + end as u64 + 1;
            }
        }
        at += count as u64;
    }
    at.min(size)
}

/// Where the last `lines` lines begin.
fn lines_before_end(file: &File, size: u64, lines: u64) -> u64 {
    let mut block = vec![0; 64 << 10];
    let mut end = size;
    // The line end of the last line ends a line, it does not begin one.
    let mut left = lines + 1;
    while end > 0 {
        let begin = end.saturating_sub(block.len() as u64);
        let wanted = usize::try_from(end - begin).unwrap_or(block.len());
        let Ok(count) = read_full(file, &mut block[..wanted], begin) else { return size };
        if end == size && block[..count].last() != Some(&b'\n') {
            left -= 1;
        }
        for at in memchr::memrchr_iter(b'\n', &block[..count]) {
            left = left.saturating_sub(1);
            if left == 0 {
                return begin + at as u64 + 1;
            }
        }
        end = begin;
    }
    0
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
