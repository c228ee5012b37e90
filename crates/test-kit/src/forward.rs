//! A server of the forward protocol: takes nothing that is not exactly as the protocol has it, and fails as it is told.

mod message;
mod session;

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::{PATIENCE, Pair, eventually};

pub use message::Mode;
use session::Ended;

/// A record that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub tag: String,
    /// Seconds and nanoseconds; none of the latter where the time was a whole number.
    pub time: (i64, Option<u32>),
    pub record: serde_json::Value,
    pub mode: Mode,
    pub chunk: Option<String>,
    /// The number of the connection it came on.
    pub connection: usize,
}

/// What becomes of a message, or of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Taken, and acknowledged where that is asked for.
    None,
    /// Taken, and never acknowledged.
    NoAck,
    /// Taken, and another one acknowledged.
    WrongAck,
    /// Taken, and acknowledged after this.
    LateAck(Duration),
    /// Taken, and closed without a word.
    CloseAfter,
    /// Closed in the middle of the message.
    CloseInside,
    /// Taken, and answered with what is no MessagePack.
    Garbage,
    /// Not read at all.
    Hang,
}

/// How it greets, and whom it lets in.
#[derive(Clone, Debug, Default)]
pub struct Security {
    pub shared_key: Option<String>,
    pub users: Vec<(String, String)>,
    /// Says that connections are for one message only.
    pub closes: bool,
    /// Lets everybody in, without knowing the key.
    pub lies: bool,
    /// Its certificate.
    pub tls: Option<Pair>,
    /// Who must have signed those of its clients.
    pub client_authority: Option<String>,
}

/// Listens on 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub struct ForwardServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    security: Security,
    received: Mutex<Vec<Received>>,
    connections: Mutex<Vec<TcpStream>>,
    /// The last one is for all that come after.
    script: Mutex<VecDeque<Fault>>,
    /// What was not as the protocol has it.
    problems: Mutex<Vec<String>>,
    stopped: Mutex<bool>,
}

impl ForwardServer {
    /// Takes everything from everybody.
    pub fn start() -> Self {
        Self::secured(Security::default())
    }

    /// Does one thing after the other, and the last one for ever.
    pub fn failing(script: impl IntoIterator<Item = Fault>) -> Self {
        let server = Self::start();
        server.fail(script);
        server
    }

    pub fn secured(security: Security) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), security)
    }

    /// On a port that somebody else had.
    pub fn at(addr: SocketAddr) -> Self {
        Self::on(TcpListener::bind(addr).unwrap(), Security::default())
    }

    fn on(listener: TcpListener, security: Security) -> Self {
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { security, ..Shared::default() });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *theirs.stopped.lock().unwrap() {
                    return;
                }
                let number = {
                    let mut connections = theirs.connections.lock().unwrap();
                    connections.push(stream.try_clone().unwrap());
                    connections.len() - 1
                };
                let theirs = Arc::clone(&theirs);
                thread::spawn(move || {
                    if let Err(Ended::Wrong(problem)) = session::serve(&theirs, stream, number) {
                        theirs.problems.lock().unwrap().push(problem);
                    }
                    // Our copy of it would keep it open.
                    let _ = theirs.connections.lock().unwrap()[number].shutdown(Shutdown::Both);
                });
            }
        });
        Self { addr, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on does these in turn, and the last one for ever.
    pub fn fail(&self, script: impl IntoIterator<Item = Fault>) {
        *self.shared.script.lock().unwrap() = script.into_iter().collect();
    }

    /// Every record so far; a message that was not as it should be fails the test.
    pub fn received(&self) -> Vec<Received> {
        let problems = self.shared.problems.lock().unwrap();
        assert!(problems.is_empty(), "{problems:#?}");
        self.shared.received.lock().unwrap().clone()
    }

    /// What one field of every record says.
    pub fn texts(&self, field: &str) -> Vec<String> {
        let text = |received: &Received| received.record[field].as_str().unwrap_or_default().to_owned();
        self.received().iter().map(text).collect()
    }

    /// Waits until so many records have come, and returns all there are.
    pub fn wait_received(&self, count: usize) -> Vec<Received> {
        let came = eventually(PATIENCE, || self.received().len() >= count);
        let received = self.received();
        assert!(came, "expected {count} records, got {}: {:#?}", received.len(), received.last());
        received
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }

    /// Closes all there are, as a server does that restarts.
    pub fn close_all(&self) {
        for connection in self.shared.connections.lock().unwrap().iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn next_fault(&self) -> Fault {
        let mut script = self.script.lock().unwrap();
        let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        next.unwrap_or(Fault::None)
    }
}

impl Drop for ForwardServer {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap() = true;
        // One more caller, so that accept comes back and the port is given up.
        let _ = TcpStream::connect(self.addr);
        self.close_all();
    }
}
