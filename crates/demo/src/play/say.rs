//! What is said: events to standard error, what containers say to standard output and to a file each.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// A line that is longer is cut into pieces.
const LONGEST_LINE: u64 = 64 * 1024;

pub struct Say {
    began: Instant,
    /// Events and lines of several containers, one after the other.
    turn: Mutex<()>,
    quiet: bool,
}

impl Say {
    /// `quiet`: what containers say is in their files only.
    pub fn new(quiet: bool) -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), turn: Mutex::default(), quiet })
    }

    /// Something happened to `who`: a pod, or `pod/container`.
    pub fn event(&self, who: &str, what: &str) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has gone away does not want to know.
        let _ = writeln!(std::io::stderr(), "{:9.3}  {who}: {what}", self.began.elapsed().as_secs_f64());
    }

    pub fn note(&self, what: &str) {
        let _ = writeln!(std::io::stderr(), "note: {what}");
    }

    fn line(&self, who: &str, line: &[u8]) {
        if !self.quiet {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let mut out = std::io::stdout().lock();
            // Whoever has gone away does not want it.
            let _ = write!(out, "{who} | ").and_then(|()| out.write_all(line)).and_then(|()| out.flush());
        }
    }
}

/// The words of one container, byte for byte, over all its restarts: what `kubectl logs` shows.
pub struct Words {
    pub who: String,
    file: Mutex<File>,
    say: Arc<Say>,
}

impl Words {
    pub fn new(who: String, path: &Path, say: &Arc<Say>) -> Result<Arc<Self>, String> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Arc::new(Self { who, file: Mutex::new(file), say: Arc::clone(say) }))
    }

    pub async fn listen(&self, from: impl AsyncRead + Unpin) {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while let Ok(1..) = (&mut from).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            // A full disk shows in the terminal, where the lines go all the same.
            let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            self.say.line(&self.who, &line);
            line.clear();
        }
    }
}
