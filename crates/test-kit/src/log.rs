//! What a process says on stderr and stdout, kept line by line while it runs.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

/// One line of output.
#[derive(Clone, Debug)]
pub struct Line {
    pub raw: String,
    /// The fields, if it is a JSON object.
    pub json: Option<Map<String, Value>>,
}

impl Line {
    fn new(raw: String) -> Self {
        let json = serde_json::from_str(&raw).ok();
        Self { raw, json }
    }

    /// A field as text: strings as they are, the rest as JSON, "" when it is not there.
    pub fn field(&self, name: &str) -> String {
        match self.json.as_ref().and_then(|fields| fields.get(name)) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    pub fn message(&self) -> String {
        self.field("message")
    }

    pub fn level(&self) -> String {
        self.field("level")
    }
}

/// The lines of one stream, read by a thread of its own so that the process never waits for the test.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    ended: bool,
}

impl Captured {
    pub(crate) fn from(stream: impl Read + Send + 'static) -> Self {
        let captured = Self::default();
        let theirs = captured.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut bytes = Vec::new();
            while stream.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
                let line = Line::new(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned());
                theirs.0.state.lock().unwrap().lines.push(line);
                theirs.0.changed.notify_all();
                bytes.clear();
            }
            theirs.0.state.lock().unwrap().ended = true;
            theirs.0.changed.notify_all();
        });
        captured
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.state.lock().unwrap().lines.clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().iter().map(|line| format!("{}\n", line.raw)).collect()
    }

    /// The first line that is wanted, now or later. None when the time is up or the stream has ended without it.
    pub(crate) fn wait(&self, timeout: Duration, wanted: impl Fn(&Line) -> bool) -> Option<Line> {
        let end = Instant::now() + timeout;
        let mut state = self.0.state.lock().unwrap();
        let mut seen = 0;
        loop {
            if let Some(line) = state.lines[seen..].iter().find(|line| wanted(line)) {
                return Some(line.clone());
            }
            seen = state.lines.len();
            let left = end.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// After the process has ended: until all it said is here. A grandchild may hold the pipe open, so not for ever.
    pub(crate) fn wait_end(&self) {
        self.wait(Duration::from_secs(1), |_| false);
    }
}
