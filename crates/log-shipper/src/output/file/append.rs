//! One append: all of it or nothing, on the disk or not delivered.

use std::{
    fs::{self, File as Handle, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::{File, Rotate, rotate};
use crate::output::{Reports, plain};

/// How much is read at once in search of the last line end.
const STEP: u64 = 64 << 10;

pub(super) fn append(file: &File, path: &Path, bytes: &[u8], reports: &Reports) -> Result<(), String> {
    let named = |why: String| format!("{}: {why}", path.display());
    let opened = Opened::new(path).map_err(|error| named(explained(&error)))?;
    let mut opened = opened.ok_or_else(|| named("another process writes to it".into()))?;
    let cut = opened.mend().map_err(|error| named(plain(&error)))?;
    if cut > 0 {
        reports.tell(|events, output| events.unfinished_cut(output, path, cut));
    }
    if let Some(rotate) = file.rotate.as_ref().filter(|rotate| opened.is_due(rotate, bytes.len() as u64)) {
        rotate::move_away(path, rotate).map_err(|error| named(format!("cannot be moved away: {}", plain(&error))))?;
        let anew = Opened::new(path).map_err(|error| named(explained(&error)))?;
        opened = anew.ok_or_else(|| named("another process writes to it".into()))?;
    }
    opened.write(bytes, file.sync).map_err(named)?;
    if opened.is_new && file.sync {
        sync_directory(path).map_err(|error| named(plain(&error)))?;
    }
    Ok(())
}

/// A file that nobody else of us writes to, and what it was before.
struct Opened {
    handle: Handle,
    length: u64,
    is_new: bool,
    /// What is none, such as a pipe or a terminal, has no disk that it could be on, and nothing that could be cut.
    is_regular: bool,
}

impl Opened {
    /// None where somebody else has it.
    fn new(path: &Path) -> io::Result<Option<Self>> {
        let open = || OpenOptions::new().append(true).read(true).create(true).open(path);
        let handle = match (open(), path.parent()) {
            (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(parent)?;
                open()?
            }
            (opened, _) => opened?,
        };
        // A second shipper must not see half a batch as a line cut short.
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            // Some network file systems know no locks.
            Err(_) => {}
        }
        let found = handle.metadata()?;
        let (length, is_regular) = (found.len(), found.is_file());
        Ok(Some(Self { handle, length, is_new: length == 0 && is_regular, is_regular }))
    }

    /// Cuts off what a process that died in the middle of a batch has left after the last line end: all of that batch
    /// is sent again. Returns how many bytes it was.
    fn mend(&mut self) -> io::Result<u64> {
        let mut buffer = Vec::new();
        let mut end = self.length;
        while end > 0 {
            // Most often it is whole: one byte shows it.
            let step = if end == self.length { 1 } else { STEP.min(end) };
            buffer.resize(step as usize, 0);
            self.handle.seek(SeekFrom::Start(end - step))?;
            self.handle.read_exact(&mut buffer)?;
            if let Some(found) = memchr::memrchr(b'\n', &buffer) {
                end = end - step + found as u64 + 1;
                break;
            }
            end -= step;
        }
        let cut = self.length - end;
        if cut > 0 {
            self.handle.set_len(end)?;
            self.length = end;
        }
        Ok(cut)
    }

    fn is_due(&self, rotate: &Rotate, more: u64) -> bool {
        let written = || self.handle.metadata().and_then(|found| found.modified()).ok();
        self.length > 0 && (rotate.is_full(self.length + more) || rotate.is_of_before(written))
    }

    fn write(&mut self, bytes: &[u8], sync: bool) -> Result<(), String> {
        let written = self.handle.write_all(bytes);
        let written = written.and_then(|()| if sync && self.is_regular { self.handle.sync_data() } else { Ok(()) });
        let Err(error) = written else { return Ok(()) };
        // All or nothing: half of a batch would be there twice.
        match self.handle.set_len(self.length) {
            Ok(()) => Err(format!("{} (nothing of this batch is in it)", explained(&error))),
            Err(second) => Err(format!("{}, and cannot be cut: {}", explained(&error), plain(&second))),
        }
    }
}

/// A new file is on the disk when its directory knows it.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Handle::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// What an operator can do about it, where that is known.
fn explained(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => ": is its directory writable for the user that the shipper runs as?",
        io::ErrorKind::ReadOnlyFilesystem => ": is the volume mounted read-only?",
        io::ErrorKind::IsADirectory => ": expected the path of a file",
        _ => "",
    };
    format!("{}{hint}", plain(error))
}
