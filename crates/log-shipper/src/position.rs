//! What the outputs have for good, remembered on disk: a journal of short lines, each with its checksum.
//!
//! An acknowledgement appends one line; when the journal has become long, it is written anew. Nothing is lost by a
//! crash: at worst the last lines are missing, and what they told is shipped a second time.
//!
//! ```text
//! 3f0c11aa lane 0 elasticsearch
//! 91d2c07e file 7 65025 1310 1763718000000000000 0 5c1d8f02aa91e377 1024 9ae16a3b2f90404f /var/log/app/a.log
//! 0b77e1c4 at 0 7 81920 90112
//! 5e01fa93 done 65025 1298 1763717000000000000
//! ```

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{FlockOperation, flock};

use crate::follow::{Followed, Head, Identity, NOT_TAKEN};

/// A journal shorter than this is not written anew.
const SHORT: u64 = 64 << 10;
/// No line of ours is longer, whatever the file is.
const LONGEST_LINE: u64 = 64 << 10;
/// More files than any node has; what is beyond is not read.
const MOST_BYTES: u64 = 64 << 20;

/// What an earlier process knew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub files: Vec<Saved>,
    /// Rotated files that are none of ours, or that every output has.
    pub done: HashSet<Identity>,
}

/// What it knew about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub identity: Identity,
    pub generation: u32,
    /// What record ids are made of, if there were any.
    pub id: Option<u64>,
    pub head: Head,
    /// How large it was when it was last looked at.
    pub size: u64,
    /// The name the operator knows it by, and where it was found.
    pub shown: PathBuf,
    pub home: PathBuf,
    /// By the names of the outputs.
    pub offsets: BTreeMap<String, u64>,
}

impl Saved {
    /// Whether an output does not have all of it.
    pub fn has_more(&self) -> bool {
        self.offsets.values().any(|offset| *offset < self.size)
    }

    /// Where the quickest output is.
    pub fn furthest(&self) -> u64 {
        self.offsets.values().max().copied().unwrap_or(0)
    }
}

/// The journal being written.
pub struct Positions {
    lanes: Vec<String>,
    files: BTreeMap<u64, Entry>,
    done: HashSet<Identity>,
    /// The numbers of files, by where they are in memory.
    numbers: HashMap<usize, u64>,
    next: u64,
    disk: Option<Disk>,
    /// Everything is known that an earlier process knew: from now on the journal is ours.
    taken_over: bool,
    /// Why it is not on disk at the moment.
    trouble: Option<String>,
}

struct Entry {
    file: Arc<Followed>,
    written: Known,
}

/// What is written about a file, and seldom changes.
type Known = (Identity, Option<u64>, Head);

fn known(file: &Followed) -> Known {
    (file.identity(), file.known_id(), file.head())
}

struct Disk {
    path: PathBuf,
    journal: File,
    bytes: u64,
    /// How long it was when it was written anew.
    compact: u64,
}

impl Positions {
    /// Only for this process.
    pub fn in_memory(lanes: Vec<String>) -> Self {
        Self {
            lanes,
            files: BTreeMap::new(),
            done: HashSet::new(),
            numbers: HashMap::new(),
            next: 0,
            disk: None,
            taken_over: false,
            trouble: None,
        }
    }

    /// Takes the journal over, and gives back what is in it.
    pub fn on_disk(path: &Path, lanes: Vec<String>) -> Result<(Self, Memory), Problem> {
        let problem = |error: io::Error| Problem::Unusable(format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Problem::Unusable(format!("{}: {error}", folder.display())))?;
        }
        let journal = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(problem)?;
        if flock(&journal, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Problem::Taken(format!("{}: another process keeps its positions here", path.display())));
        }
        let memory = load(&journal).map_err(problem)?;
        let disk = Disk { path: path.to_owned(), journal, bytes: 0, compact: 0 };
        let positions = Self { disk: Some(disk), done: memory.done.clone(), ..Self::in_memory(lanes) };
        Ok((positions, memory))
    }

    /// A file is followed from now on.
    pub fn add(&mut self, file: &Arc<Followed>) {
        let number = self.next;
        self.next += 1;
        let written = known(file);
        let mut lines = String::new();
        file_line(&mut lines, number, file, &written);
        for lane in 0..self.lanes.len() {
            at_line(&mut lines, lane, number, file);
        }
        self.numbers.insert(Arc::as_ptr(file).addr(), number);
        self.files.insert(number, Entry { file: Arc::clone(file), written });
        self.append(&lines);
    }

    /// These outputs have more of these files now.
    pub fn acked<'a>(&mut self, lane: usize, files: impl Iterator<Item = &'a Arc<Followed>>) {
        let mut lines = String::new();
        for file in files {
            let Some(number) = self.numbers.get(&Arc::as_ptr(file).addr()) else { continue };
            let Some(entry) = self.files.get_mut(number) else { continue };
            let known = known(file);
            if known != entry.written {
                entry.written = known;
                file_line(&mut lines, *number, file, &known);
            }
            at_line(&mut lines, lane, *number, file);
        }
        self.append(&lines);
    }

    /// A file is not followed any more: every output has it.
    pub fn remove(&mut self, file: &Arc<Followed>) {
        let Some(number) = self.numbers.remove(&Arc::as_ptr(file).addr()) else { return };
        self.files.remove(&number);
        self.done.insert(file.identity());
        let mut lines = String::new();
        line(&mut lines, format_args!("gone {number}"));
        done_line(&mut lines, &file.identity());
        self.append(&lines);
    }

    /// These rotated files need not be read, now or after a restart. Those that are not there any more are forgotten.
    pub fn done(&mut self, done: &HashSet<Identity>) {
        let mut lines = String::new();
        done.difference(&self.done).for_each(|identity| done_line(&mut lines, identity));
        self.done.clone_from(done);
        self.append(&lines);
    }

    /// Everything is known that an earlier process knew.
    pub fn take_over(&mut self) {
        self.taken_over = true;
        self.rewrite();
    }

    /// The last chance to write what could not be written when it was acknowledged.
    pub fn settle(&mut self) {
        if self.trouble.is_some() {
            self.rewrite();
        }
    }

    /// Writes everything anew, which also repairs what a full disk has left. An error stays until it works again.
    fn rewrite(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        let mut lines = String::new();
        for (number, name) in self.lanes.iter().enumerate() {
            line(&mut lines, format_args!("lane {number} {}", escaped(name.as_bytes())));
        }
        for (number, entry) in &mut self.files {
            entry.written = known(&entry.file);
            file_line(&mut lines, *number, &entry.file, &entry.written);
            for lane in 0..self.lanes.len() {
                at_line(&mut lines, lane, *number, &entry.file);
            }
        }
        self.done.iter().for_each(|identity| done_line(&mut lines, identity));
        self.trouble = disk.replace(lines.as_bytes()).err().map(|error| format!("{}: {error}", disk.path.display()));
    }

    /// What is known now, for those who take over.
    pub fn memory(&self) -> Memory {
        let saved = |entry: &Entry| {
            let file = &entry.file;
            let offsets = self.lanes.iter().enumerate().map(|(lane, name)| (name.clone(), file.acked(lane)));
            Saved {
                identity: file.identity(),
                generation: file.generation,
                id: file.known_id(),
                head: file.head(),
                size: file.size(),
                shown: file.origin.path.clone().into(),
                home: file.home.clone(),
                offsets: offsets.filter(|(_, offset)| *offset != NOT_TAKEN).collect(),
            }
        };
        Memory { files: self.files.values().map(saved).collect(), done: self.done.clone() }
    }

    /// What keeps the positions from being written, if something does.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn append(&mut self, lines: &str) {
        let Some(disk) = &mut self.disk else { return };
        if lines.is_empty() || !self.taken_over {
            return;
        }
        // After trouble the end of the journal may be half a line.
        if self.trouble.is_some() || disk.bytes > SHORT.max(disk.compact * 4) {
            self.rewrite();
        } else if let Err(error) = disk.journal.write_all(lines.as_bytes()) {
            self.trouble = Some(format!("{}: {error}", disk.path.display()));
        } else {
            disk.bytes += lines.len() as u64;
        }
    }
}

/// Why positions cannot be kept in a place.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    Unusable(String),
    Taken(String),
}

impl Disk {
    /// A new journal in the place of the old one, whole or not at all.
    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let mut journal = OpenOptions::new().append(true).create(true).open(&new)?;
        journal.set_len(0)?;
        // Locked before it has the name: nobody can take it over in between.
        flock(&journal, FlockOperation::NonBlockingLockExclusive)?;
        journal.write_all(content)?;
        journal.sync_data()?;
        fs::rename(&new, &self.path)?;
        self.journal = journal;
        (self.bytes, self.compact) = (content.len() as u64, content.len() as u64);
        Ok(())
    }
}

fn file_line(lines: &mut String, number: u64, file: &Followed, known: &Known) {
    let (Identity { device, inode, born }, id, Head { len, hash }) = *known;
    let (generation, id) = (file.generation, id.unwrap_or(0));
    let shown = escaped(file.origin.path.as_bytes());
    let home = match file.home.to_str() {
        Some(home) if home == file.origin.path => String::new(),
        _ => escaped(file.home.as_os_str().as_bytes()),
    };
    line(
        lines,
        format_args!("file {number} {device} {inode} {born} {generation} {id:x} {len} {hash:x} {shown}\t{home}"),
    );
}

fn at_line(lines: &mut String, lane: usize, number: u64, file: &Followed) {
    let offset = file.acked(lane);
    if offset != NOT_TAKEN {
        line(lines, format_args!("at {lane} {number} {offset} {}", file.size()));
    }
}

fn done_line(lines: &mut String, Identity { device, inode, born }: &Identity) {
    line(lines, format_args!("done {device} {inode} {born}"));
}

fn line(lines: &mut String, text: std::fmt::Arguments<'_>) {
    let at = lines.len();
    // Writing to a String cannot fail.
    let _ = write!(lines, "00000000 {text}");
    let sum = format!("{:08x}", crc32fast::hash(&lines.as_bytes()[at + 9..]));
    lines.replace_range(at..at + 8, &sum);
    lines.push('\n');
}

/// Spaces are fine at the end of a line; line ends and what is not UTF-8 are not.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '%' | '\n' | '\r' | '\t' => text.push_str(&format!("%{:02x}", u32::from(letter))),
                _ => text.push(letter),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02x}"));
        }
    }
    text
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Some(bytes)
}

/// Reads what is whole. A line that is not, such as the last one before a crash, is passed over.
pub fn load(journal: impl Read) -> io::Result<Memory> {
    let mut reader = BufReader::new(journal.take(MOST_BYTES));
    let mut read = Loaded::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(Memory { files: read.files.into_values().collect(), done: read.done });
        }
        if let Some(text) = whole(&bytes) {
            read.understand(text);
        }
    }
}

fn whole(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes.strip_suffix(b"\n")?).ok()?;
    let (sum, text) = (text.get(..8)?, text.get(9..)?);
    (u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(text.as_bytes())).then_some(text)
}

#[derive(Default)]
struct Loaded {
    lanes: BTreeMap<u64, String>,
    files: BTreeMap<u64, Saved>,
    done: HashSet<Identity>,
}

impl Loaded {
    /// What it does not understand was written by a later version: it knows what to do about that, we do not.
    fn understand(&mut self, text: &str) -> Option<()> {
        let (kind, rest) = text.split_once(' ')?;
        match kind {
            "lane" => {
                let (number, name) = rest.split_once(' ')?;
                self.lanes.insert(number.parse().ok()?, String::from_utf8(unescaped(name)?).ok()?);
            }
            "file" => {
                let mut words = rest.splitn(9, ' ');
                let number = words.next()?.parse().ok()?;
                let identity = identity(&mut words)?;
                let generation = words.next()?.parse().ok()?;
                let id = Some(u64::from_str_radix(words.next()?, 16).ok()?).filter(|id| *id > 0);
                let (len, hash) = (words.next()?.parse().ok()?, u64::from_str_radix(words.next()?, 16).ok()?);
                let (shown, home) = words.next()?.split_once('\t')?;
                let path = |text: &str| Some(PathBuf::from(OsString::from_vec(unescaped(text)?)));
                let shown = path(shown)?;
                let home = if home.is_empty() { shown.clone() } else { path(home)? };
                let before = self.files.remove(&number);
                let (offsets, size) = before.map(|saved| (saved.offsets, saved.size)).unwrap_or_default();
                let head = Head { len, hash };
                self.files.insert(number, Saved { identity, generation, id, head, size, shown, home, offsets });
            }
            "at" => {
                let mut words = rest.split(' ');
                let (lane, number) = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?);
                let (offset, size) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                let saved = self.files.get_mut(&number)?;
                saved.offsets.insert(self.lanes.get(&lane)?.clone(), offset);
                saved.size = size;
            }
            "gone" => drop(self.files.remove(&rest.parse().ok()?)),
            "done" => drop(self.done.insert(identity(&mut rest.split(' '))?)),
            _ => {}
        }
        Some(())
    }
}

fn identity<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Identity> {
    Some(Identity {
        device: words.next()?.parse().ok()?,
        inode: words.next()?.parse().ok()?,
        born: words.next()?.parse().ok()?,
    })
}
