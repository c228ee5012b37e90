//! A server of bulk requests that counts numbered lines as an index would: a document whose id it knows is there already.

use std::{
    collections::{HashMap, HashSet},
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

pub(crate) struct Index {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    ids: HashSet<String>,
    /// How often each number is there.
    documents: HashMap<u64, u32>,
    refused: HashSet<u64>,
    changed: Option<Instant>,
    /// Answers 503 until then.
    down_until: Option<Instant>,
    /// Answers 429 for every tenth document, the first time.
    is_busy: bool,
    slow: Duration,
}

/// Stands before the number of a line.
pub(crate) const MARK: &str = "seq-";

impl Index {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let state = Arc::<Mutex<State>>::default();
        let theirs = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let theirs = Arc::clone(&theirs);
                // A connection that breaks is the caller's affair.
                thread::spawn(move || serve(stream, &theirs));
            }
        });
        Ok(Self { port, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn be_down(&self, time: Duration) {
        self.state().down_until = Some(Instant::now() + time);
    }

    pub(crate) fn be_busy(&self) {
        self.state().is_busy = true;
    }

    pub(crate) fn be_slow(&self, time: Duration) {
        self.state().slow = time;
    }

    /// Of so many lines: how many are not there, and how many are there more than once.
    pub(crate) fn lost_and_doubled(&self, written: u64) -> (u64, u64) {
        let state = self.state();
        let there = (0..written).filter(|number| state.documents.contains_key(number)).count() as u64;
        (written - there, state.documents.values().map(|times| u64::from(times - 1)).sum())
    }

    /// Until all are there, or nothing has changed for this long, or the same lines come again and again.
    pub(crate) fn wait(&self, written: u64, patience: Duration) {
        let begun = Instant::now();
        while self.lost_and_doubled(written).0 > 0 {
            let quiet_since = self.state().changed.unwrap_or(begun).max(begun);
            if quiet_since.elapsed() > patience || begun.elapsed() > patience * 2 {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        // What comes twice comes a little later.
        thread::sleep(Duration::from_secs(2));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    while let Some(length) = crate::sink::head(&mut reader)? {
        let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        reader.read_exact(&mut body)?;
        let (status, answer) = answer(&body, state);
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
        reader.get_mut().write_all((head + &answer).as_bytes())?;
    }
    Ok(())
}

fn answer(body: &[u8], state: &Mutex<State>) -> (&'static str, String) {
    let slow = lock(state).slow;
    thread::sleep(slow);
    let mut state = lock(state);
    if state.down_until.is_some_and(|until| Instant::now() < until) {
        return ("503 Service Unavailable", "{}".into());
    }
    let (mut items, mut errors) = (Vec::new(), false);
    let mut lines = body.lines().map_while(Result::ok);
    while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
        let status = state.take(&action, &document);
        errors |= status != 201;
        items.push(format!("{{\"create\":{{\"_index\":\"t\",\"status\":{status}}}}}"));
    }
    state.changed = Some(Instant::now());
    ("200 OK", format!("{{\"took\":1,\"errors\":{errors},\"items\":[{}]}}", items.join(",")))
}

impl State {
    fn take(&mut self, action: &str, document: &str) -> u16 {
        let digits = document.split_once(MARK).map_or("", |(_, rest)| rest);
        let number = digits.split(|digit: char| !digit.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
        let Some(number) = number else { return 400 };
        if self.is_busy && number % 10 == 0 && self.refused.insert(number) {
            return 429;
        }
        let id = action.split_once("\"_id\":\"").and_then(|(_, rest)| rest.split_once('"'));
        if id.is_some_and(|(id, _)| !self.ids.insert(id.to_owned())) {
            return 409;
        }
        *self.documents.entry(number).or_default() += 1;
        201
    }
}
