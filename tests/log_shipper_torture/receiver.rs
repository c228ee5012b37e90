//! A server of bulk requests that keeps what it took even when it goes away in the middle, and is seldom well.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{chance::Chance, ledger::Ledger};

#[derive(Debug)]
pub(crate) struct Receiver {
    addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    ledger: Arc<Ledger>,
    chance: Chance,
    is_well: AtomicBool,
    is_gone: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    /// Requests of which something was taken and the sender was not told.
    untold: AtomicU64,
}

impl Receiver {
    pub(crate) fn start(ledger: &Arc<Ledger>, chance: Chance) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            ledger: Arc::clone(ledger),
            chance,
            is_well: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            connections: Mutex::default(),
            untold: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.is_gone.load(Ordering::Relaxed) {
                    continue;
                }
                let mut connections = theirs.connections.lock().unwrap();
                // Those that are over have nobody at the other end.
                connections.retain(|stream| stream.peer_addr().is_ok());
                connections.push(stream.try_clone().unwrap());
                let theirs = Arc::clone(&theirs);
                // An error is the end of the connection.
                thread::spawn(move || theirs.serve(stream));
            }
        });
        Self { addr, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// As `kill -9` does it: every connection ends where it is, and nobody answers.
    pub(crate) fn go_away(&self) {
        self.state.is_gone.store(true, Ordering::Relaxed);
        for connection in self.state.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn come_back(&self) {
        self.state.is_gone.store(false, Ordering::Relaxed);
    }

    pub(crate) fn get_well(&self) {
        self.state.is_well.store(true, Ordering::Relaxed);
    }

    pub(crate) fn untold(&self) -> u64 {
        self.state.untold.load(Ordering::Relaxed)
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::with_capacity(64 << 10, stream.try_clone()?);
        let mut writer = stream;
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            self.answer(&body, &mut writer)?;
        }
    }

    fn answer(&self, body: &[u8], writer: &mut TcpStream) -> std::io::Result<()> {
        let ill = !self.is_well.load(Ordering::Relaxed);
        let fate = if ill { self.chance.below(40) } else { u64::MAX };
        match fate {
            // Gone before anything was taken.
            0 => return writer.shutdown(Shutdown::Both),
            1 => return say(writer, "503 Service Unavailable", "{}"),
            2 => return say(writer, "429 Too Many Requests\r\nRetry-After: 0", "{}"),
            3 => thread::sleep(Duration::from_millis(self.chance.below(300))),
            _ => {}
        }
        let mut items = String::from("{\"took\":1,\"errors\":true,\"items\":[");
        let (mut count, mut refused) = (0, 0);
        let mut lines = body.split(|byte| *byte == b'\n');
        while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
            if action.is_empty() {
                break;
            }
            count += 1;
            // Now and then some of them, and not the others.
            let status = if fate == 4 && self.chance.one_in(3) { 429 } else { 201 };
            if status == 201 {
                self.ledger.arrive(id(action), line(document));
            } else {
                refused += 1;
            }
            let comma = if count > 1 { "," } else { "" };
            let error = if status == 201 { "" } else { ",\"error\":{\"type\":\"busy\",\"reason\":\"try again\"}" };
            items.push_str(&format!("{comma}{{\"create\":{{\"_index\":\"t\",\"status\":{status}{error}}}}}"));
        }
        self.ledger.request(count);
        items.push_str("]}");
        if fate == 5 {
            // Taken, and not told.
            self.untold.fetch_add(1, Ordering::Relaxed);
            return writer.shutdown(Shutdown::Both);
        }
        if refused == 0 {
            return say(writer, "200 OK", "{\"took\":1,\"errors\":false,\"items\":[]}");
        }
        say(writer, "200 OK", &items)
    }
}

fn say(writer: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    writer.write_all((head + body).as_bytes())
}

/// What the document is called: `"_id":"..."`.
fn id(action: &[u8]) -> u64 {
    let text = std::str::from_utf8(action).unwrap();
    let id = text.split_once("\"_id\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("an id").0;
    BuildHasherDefault::<DefaultHasher>::default().hash_one(id)
}

/// `w3 17 ...`: the writer and the number of the line. None where it is not whole.
fn line(document: &[u8]) -> Option<(usize, u64)> {
    let text = std::str::from_utf8(document).ok()?;
    let message = text.split_once("\"message\":\"w")?.1.split_once('"')?.0;
    let mut words = message.split(' ');
    let (writer, number, length, filling) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_whole = length.parse() == Ok(filling.len());
    is_whole.then_some((writer.parse().ok()?, number.parse().ok()?))
}
