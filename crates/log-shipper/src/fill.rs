//! Filling batches: a turn for each file that has something, line by line, straight into the output's body.

use std::{
    cell::OnceCell,
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Notify;

use crate::{
    config::{Input, Lines, Output, TooLong},
    events::Events,
    follow::{Finish, Followed, NOT_TAKEN, QUIET, Read, View},
    join::{Joined, Joiner},
    output::Encode,
    parse::{Format, Parsed, container::Stream},
    record::{Body, Field, Origin, Record, Time, recycle},
    select::Only,
};

/// One turn reads so much of a file: little when little comes, more when there is more.
const LEAST: usize = 16 << 10;
const MOST: usize = 256 << 10;
/// Lines of which nothing is shipped count as a batch, too: what was read of them shall be remembered.
const ENOUGH: u64 = 64 << 20;

/// What an output is given to send, and what is true once it has it.
#[derive(Debug, Default)]
pub struct Batch {
    pub body: Vec<u8>,
    pub records: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The first and the last that the files have delivered with it.
    pub commits: Vec<(Arc<Followed>, u64)>,
}

/// How far filling came.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    pub is_empty: bool,
    pub is_full: bool,
    /// When a line that has no end yet counts as one.
    pub due: Option<Instant>,
}

pub struct Filler {
    lane: usize,
    name: String,
    only: Only,
    inputs: Arc<[Input]>,
    encode: Box<dyn Encode>,
    limit: usize,
    events: Arc<Events>,
    cursors: Vec<Cursor>,
    /// The files that the cursors are for.
    files: Arc<[Arc<Followed>]>,
    /// Whose turn is next.
    turn: usize,
    buffer: Vec<u8>,
    want: usize,
    fields: Vec<Field<'static>>,
    records: u64,
    bytes: u64,
    finishing: bool,
    /// To tell who follows the files that one is not what it was.
    look: Arc<Notify>,
}

/// Where a lane is in a file.
struct Cursor {
    file: Arc<Followed>,
    /// The first byte that was not taken.
    read: u64,
    /// What the file's count of writes was when its end was seen.
    seen: u64,
    /// In the middle of a line of which the rest is dropped.
    skipping: bool,
    /// When the bytes after the last line end count as a line, if there are any.
    unfinished: Option<Instant>,
    /// What was taken and not yet part of a batch.
    dirty: bool,
    /// What belongs together and is not whole yet.
    joiner: Option<Box<Joiner>>,
    /// With the name of the stream, for what a container wrote.
    origins: [OnceCell<Origin>; 2],
}

impl Cursor {
    fn new(file: &Arc<Followed>, read: u64) -> Self {
        let file = Arc::clone(file);
        let (joiner, origins) = Default::default();
        Self { file, read, seen: 0, skipping: false, unfinished: None, dirty: false, joiner, origins }
    }

    /// What may be forgotten of the file once the batch has arrived.
    fn commit(&self) -> u64 {
        self.joiner.as_ref().and_then(|joiner| joiner.oldest()).unwrap_or(self.read)
    }

    fn origin(&self, stream: Option<Stream>) -> &Origin {
        let Some(stream) = stream else { return &self.file.origin };
        self.origins[stream as usize].get_or_init(|| {
            let mut origin = self.file.origin.clone();
            origin.fields.push(("stream".into(), stream.name().into()));
            origin
        })
    }
}

/// Whoever was told to open another file may have been in the middle of a line.
const ROTATED: Duration = Duration::from_secs(1);

/// How long the bytes after the last line end must have been the last ones to count as a line.
fn patience(view: &View, file: &Followed, lines: &Lines) -> Duration {
    match view.finishing {
        Some(Finish::Done) => Duration::ZERO,
        // Whoever comes next goes on with what is still being written.
        Some(Finish::Told) => QUIET,
        None if file.has_ended() => ROTATED.min(lines.unfinished_after),
        None => lines.unfinished_after,
    }
}

/// What one turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more.
    More,
    /// Nothing more for now.
    End,
    /// The batch is full.
    Full,
}

impl Filler {
    pub fn new(
        lane: usize,
        output: &Output,
        inputs: Arc<[Input]>,
        encode: Box<dyn Encode>,
        events: Arc<Events>,
        look: Arc<Notify>,
    ) -> Self {
        Self {
            lane,
            name: output.name.clone(),
            only: output.only.clone(),
            inputs,
            encode,
            limit: output.batch.bytes,
            events,
            cursors: Vec::new(),
            files: Arc::default(),
            turn: 0,
            buffer: Vec::new(),
            want: LEAST,
            fields: Vec::new(),
            records: 0,
            bytes: 0,
            finishing: false,
            look,
        }
    }

    /// Goes round the files until the batch is full or there is nothing more.
    pub fn fill(&mut self, view: &View) -> Filled {
        self.meet(view);
        if view.finishing.is_some() && !self.finishing {
            self.finishing = true;
            // What was written at the very end may have caused no event any more.
            self.cursors.iter_mut().for_each(|cursor| cursor.seen = 0);
        }
        let mut is_full = self.encode.size() >= self.limit;
        let mut idle = 0;
        while !is_full && idle < self.cursors.len() {
            self.turn %= self.cursors.len();
            let at = self.turn;
            match self.take_turn(at, view) {
                Turn::More => idle = 0,
                Turn::End => idle += 1,
                Turn::Full => is_full = true,
            }
            if !is_full {
                self.turn += 1;
            }
        }
        if idle > 0 && !is_full {
            // Nothing to read for now: no memory for it.
            (self.buffer, self.want) = (Vec::new(), LEAST);
        }
        let due = self.cursors.iter().flat_map(|cursor| {
            cursor.unfinished.into_iter().chain(cursor.joiner.as_ref().and_then(|joiner| joiner.due()))
        });
        let is_empty = self.records == 0 && !self.cursors.iter().any(|cursor| cursor.dirty);
        Filled { is_empty, is_full, due: due.min() }
    }

    /// What is filled, to be sent.
    pub fn seal(&mut self) -> Batch {
        let commit = |cursor: &mut Cursor| {
            std::mem::take(&mut cursor.dirty).then(|| (Arc::clone(&cursor.file), cursor.commit()))
        };
        Batch {
            commits: self.cursors.iter_mut().filter_map(commit).collect(),
            body: self.encode.seal(),
            records: std::mem::take(&mut self.records),
            bytes: std::mem::take(&mut self.bytes),
        }
    }

    /// Takes up new files, and leaves those that are not followed any more. The order is that of the files.
    fn meet(&mut self, view: &View) {
        if Arc::ptr_eq(&self.files, &view.files) {
            return;
        }
        self.files = Arc::clone(&view.files);
        let old = std::mem::take(&mut self.cursors).into_iter();
        let mut old: HashMap<_, _> = old.map(|cursor| (Arc::as_ptr(&cursor.file), cursor)).collect();
        for file in self.files.iter().filter(|file| file.starts[self.lane] != NOT_TAKEN) {
            let new = || Cursor::new(file, file.starts[self.lane]);
            self.cursors.push(old.remove(&Arc::as_ptr(file)).unwrap_or_else(new));
        }
        // What is in the batch has yet to be acknowledged.
        self.cursors.extend(old.into_values().filter(|cursor| cursor.dirty));
    }

    fn take_turn(&mut self, at: usize, view: &View) -> Turn {
        let cursor = &self.cursors[at];
        let file = Arc::clone(&cursor.file);
        let touched = file.touched();
        let patience = patience(view, &file, &self.inputs[file.input].lines);
        let all = file.written().elapsed() >= patience;
        let held = cursor.joiner.as_ref().and_then(|joiner| joiner.due());
        let ends = view.finishing.is_some() || file.has_ended();
        let now = Instant::now();
        let due = cursor.unfinished.is_some_and(|moment| moment <= now || all)
            || held.is_some_and(|moment| moment <= now || (ends && all));
        if file.is_given_up() || (touched == cursor.seen && !due) || self.waits(at) {
            return Turn::End;
        }
        match self.read(at, patience, ends) {
            Ok(Turn::End) => {
                self.cursors[at].seen = touched;
                Turn::End
            }
            Ok(turn) => turn,
            Err(error) => {
                // Whoever follows the files will see why, and say it.
                self.events.unreadable(file.origin.path.as_ref(), &error);
                self.look.notify_one();
                self.cursors[at].seen = touched;
                Turn::End
            }
        }
    }

    /// What had this name before comes first: it stands before it in the list.
    fn waits(&self, at: usize) -> bool {
        let path = &self.cursors[at].file.origin.path;
        let is_before = |cursor: &Cursor| {
            let file = &cursor.file;
            file.has_ended() && !file.is_given_up() && cursor.read < file.size() && file.origin.path == *path
        };
        self.cursors[..at].iter().any(is_before)
    }

    /// Reads once, and takes what is whole.
    fn read(&mut self, at: usize, patience: Duration, ends: bool) -> std::io::Result<Turn> {
        let file = Arc::clone(&self.cursors[at].file);
        let inputs = Arc::clone(&self.inputs);
        let input = &inputs[file.input];
        let longest = input.lines.longest;
        let mut buffer = std::mem::take(&mut self.buffer);
        let turn = loop {
            buffer.resize(self.want, 0);
            let offset = self.cursors[at].read;
            let Read::Bytes(count) = file.read(&mut buffer, offset)? else {
                self.look.notify_one();
                break Turn::End;
            };
            let (bytes, at_end) = (&buffer[..count], count < buffer.len());
            let end = memchr::memrchr(b'\n', bytes).map_or(0, |last| last + 1);
            if end > 0 {
                if self.take_lines(at, input, &bytes[..end])? == Turn::Full {
                    break Turn::Full;
                }
                if !at_end {
                    self.want = (self.want * 2).min(MOST);
                    break Turn::More;
                }
            }
            let rest = &bytes[end..];
            if at_end {
                self.take_end(at, input, rest, patience)?;
                let all = ends && self.cursors[at].unfinished.is_none() && file.written().elapsed() >= patience;
                self.give_up(at, input, all)?;
                break Turn::End;
            }
            // One line is longer than the buffer.
            if count > longest {
                self.take_too_long(at, input, &bytes[..longest])?;
                break Turn::More;
            }
            self.want = (self.want * 2).min((longest + 1).max(MOST));
        };
        self.want = self.want.min(MOST);
        self.buffer = buffer;
        Ok(turn)
    }

    fn take_lines(&mut self, at: usize, input: &Input, bytes: &[u8]) -> std::io::Result<Turn> {
        let now = now();
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[begin..end];
            let next = end + 1;
            let cursor = &mut self.cursors[at];
            let offset = cursor.read;
            cursor.dirty = true;
            cursor.unfinished = None;
            self.bytes += (next - begin) as u64;
            if std::mem::take(&mut cursor.skipping) {
                // It was counted when it began.
            } else if line.len() > input.lines.longest {
                self.long(at, input, offset, line, now)?;
            } else {
                self.line(at, input, offset, line, now)?;
            }
            self.cursors[at].read += (next - begin) as u64;
            begin = next;
            if self.encode.size() >= self.limit || self.bytes >= ENOUGH {
                return Ok(Turn::Full);
            }
        }
        Ok(Turn::More)
    }

    /// The bytes after the last line end of the file.
    fn take_end(&mut self, at: usize, input: &Input, rest: &[u8], patience: Duration) -> std::io::Result<()> {
        let count = rest.len() as u64;
        let cursor = &mut self.cursors[at];
        cursor.unfinished = None;
        if count == 0 {
            return Ok(());
        }
        let due = cursor.file.written() + patience;
        if Instant::now() < due {
            cursor.unfinished = Some(due);
            return Ok(());
        }
        let offset = cursor.read;
        cursor.dirty = true;
        if !cursor.skipping {
            self.line(at, input, offset, rest, now())?;
        }
        self.cursors[at].read += count;
        self.bytes += count;
        Ok(())
    }

    /// A line of which the end is not in sight.
    fn take_too_long(&mut self, at: usize, input: &Input, bytes: &[u8]) -> std::io::Result<()> {
        let cursor = &mut self.cursors[at];
        let offset = cursor.read;
        cursor.dirty = true;
        cursor.unfinished = None;
        if !cursor.skipping {
            cursor.skipping = input.lines.too_long != TooLong::Split;
            self.events.too_long(&self.name, input.lines.too_long);
            if input.lines.too_long != TooLong::Skip {
                self.line(at, input, offset, bytes, now())?;
            }
        }
        self.cursors[at].read += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// A whole line that is longer than lines may be.
    fn long(&mut self, at: usize, input: &Input, offset: u64, line: &[u8], now: Time) -> std::io::Result<()> {
        let Lines { longest, too_long, .. } = input.lines;
        self.events.too_long(&self.name, too_long);
        match too_long {
            TooLong::Skip => Ok(()),
            TooLong::Truncate => self.line(at, input, offset, &line[..longest], now),
            TooLong::Split => {
                for (nth, piece) in line.chunks(longest).enumerate() {
                    self.line(at, input, offset + (nth * longest) as u64, piece, now)?;
                }
                Ok(())
            }
        }
    }

    fn line(&mut self, at: usize, input: &Input, offset: u64, line: &[u8], now: Time) -> std::io::Result<()> {
        let line = if input.lines.keep_return { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
        if !input.join.is_needed() {
            return self.record(at, input, &Joined { text: line, offset, time: None, stream: None }, now);
        }
        let joiner = self.cursors[at].joiner.take();
        let mut joiner = joiner.unwrap_or_else(|| Box::new(Joiner::new(&input.join, input.lines.longest)));
        let done = joiner.take(line, offset, &mut |joined| self.record(at, input, &joined, now));
        self.cursors[at].joiner = Some(joiner);
        done
    }

    /// What is held and not whole counts as a record when it has waited long enough, or when nothing more will come.
    fn give_up(&mut self, at: usize, input: &Input, all: bool) -> std::io::Result<()> {
        let Some(mut joiner) = self.cursors[at].joiner.take() else { return Ok(()) };
        let before = joiner.oldest();
        let now = now();
        let done = joiner.give_up(all, &mut |joined| self.record(at, input, &joined, now));
        self.cursors[at].dirty |= joiner.oldest() != before;
        self.cursors[at].joiner = Some(joiner);
        done
    }

    fn record(&mut self, at: usize, input: &Input, joined: &Joined<'_>, now: Time) -> std::io::Result<()> {
        let raw = joined.text;
        if raw.is_empty() && !input.lines.keep_empty {
            return Ok(());
        }
        let cursor = &self.cursors[at];
        let mut fields = recycle(std::mem::take(&mut self.fields));
        let is_raw = matches!(input.format, Format::Raw);
        // Who takes lines as they are does not ask what is in them.
        let text = if is_raw { None } else { std::str::from_utf8(raw).ok() };
        let parsed = text.map_or(Parsed::Not, |text| input.format.parse(text, &mut fields));
        let (body, time) = match parsed {
            Parsed::Fields { time } => (Body::Fields(&fields), time),
            Parsed::Json { json, time } => (Body::Json(json), time),
            Parsed::Not => {
                if !is_raw {
                    self.events.not_understood();
                }
                (Body::Line(raw), None)
            }
        };
        let time = time.or(joined.time).unwrap_or(now);
        let (origin, file) = (cursor.origin(joined.stream), cursor.file.id()?);
        let record = Record { origin, file, offset: joined.offset, raw, time, body };
        if self.only.takes(&record) {
            self.encode.record(&record);
            self.records += 1;
        }
        self.fields = recycle(fields);
        Ok(())
    }
}

/// The time of reading, which is that of a line without one.
fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
