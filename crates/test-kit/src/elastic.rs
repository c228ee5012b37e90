//! Elasticsearch and OpenSearch as far as bulk requests go: takes nothing that the real ones would not, keeps what it
//! takes by index and id, and fails as it is told.
//!
//! What it answers was compared with OpenSearch 2.19.1: tests/log_shipper_http/double.rs.

mod bulk;
mod document;
mod wire;

use std::{
    collections::{BTreeMap, VecDeque},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{PATIENCE, Pair, eventually};

/// Whose ways it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Elasticsearch 6: every document has to have a type.
    Six,
    /// Elasticsearch 8: none may have one.
    #[default]
    Eight,
    /// As Elasticsearch 8, and takes zstd.
    OpenSearch,
}

/// What it takes, and from whom.
#[derive(Clone, Debug)]
pub struct Rules {
    pub version: Version,
    /// The largest request.
    pub largest: usize,
    /// Answers to a request that is too large without reading it, and closes, as some proxies do.
    pub slams: bool,
    /// What the header Authorization has to say.
    pub authorization: Option<String>,
    /// Before `/_bulk`.
    pub path: String,
    /// Names that begin so are data streams.
    pub data_streams: Vec<String>,
    pub pipelines: Vec<String>,
    /// How long a connection may be idle.
    pub idle: Option<Duration>,
    /// Its certificate.
    pub tls: Option<Pair>,
    /// Who must have signed those of its clients.
    pub client_authority: Option<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: Version::default(),
            largest: 100 << 20,
            slams: false,
            authorization: None,
            path: String::new(),
            data_streams: Vec::new(),
            pipelines: Vec::new(),
            idle: None,
            tls: None,
            client_authority: None,
        }
    }
}

/// What it does to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    None,
    /// Keeps nothing, and answers this.
    Status(u16, &'static str),
    /// Keeps nothing, and says when to come back.
    RetryAfter(u16, String),
    /// Every so many documents of a request one is not kept, with this status and type of error.
    Items(usize, u16, &'static str),
    /// Keeps everything, and answers later.
    Slow(Duration),
    /// Keeps nothing, and says nothing until the client goes.
    Hang,
    /// Closes a connection when the first bytes of a request come: as if they had met on the way.
    Race,
    /// Keeps nothing, and closes.
    Close,
    /// Keeps everything, and closes.
    CloseAfter,
    /// Keeps nothing, sends no more, but reads on.
    HalfClose,
    /// Keeps everything, and answers what is no HTTP.
    Garbage,
    /// Keeps everything, and answers what is no JSON.
    Html,
    /// Keeps everything, and the answer never ends.
    Endless,
    /// Keeps everything, and closes before so many bytes of the answer are out.
    Cut(usize),
    /// Keeps everything, and announces an answer of so many bytes.
    Length(usize),
    /// Keeps so many documents, and tells of those only.
    Fewer(usize),
}

/// What it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub index: String,
    pub id: String,
    pub source: Value,
}

/// A request, also one that was refused.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub bytes: usize,
    /// How many documents it had, if it could be read.
    pub documents: usize,
    /// Counted from 0.
    pub connection: usize,
    pub at: Instant,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Listens on 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub struct ElasticServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Rules,
    store: Mutex<Store>,
    calls: Mutex<Vec<Call>>,
    /// The last one is for all that come after.
    script: Mutex<VecDeque<Fault>>,
    stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct Store {
    /// In the order in which they came.
    documents: Vec<Stored>,
    known: BTreeMap<(String, String), usize>,
    /// What a field of an index is, since its first document.
    mappings: BTreeMap<(String, String), document::Kind>,
}

impl ElasticServer {
    /// Takes everything that Elasticsearch 8 does.
    pub fn start() -> Self {
        Self::ruled(Rules::default())
    }

    /// Does one thing after the other, and the last one for ever.
    pub fn failing(script: impl IntoIterator<Item = Fault>) -> Self {
        let server = Self::start();
        server.fail(script);
        server
    }

    pub fn ruled(rules: Rules) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), rules)
    }

    /// On a port that is known before.
    pub fn at(addr: SocketAddr) -> Self {
        Self::on(TcpListener::bind(addr).unwrap(), Rules::default())
    }

    fn on(listener: TcpListener, rules: Rules) -> Self {
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { rules, ..Shared::default() });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                if theirs.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let theirs = Arc::clone(&theirs);
                // What goes wrong on a connection is what the test is about.
                thread::spawn(move || wire::serve(&theirs, &stream, number));
            }
        });
        Self { addr, shared }
    }

    /// From now on does these in turn, and the last one for ever.
    pub fn fail(&self, script: impl IntoIterator<Item = Fault>) {
        *self.shared.script.lock().unwrap() = script.into_iter().collect();
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        let scheme = if self.shared.rules.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    pub fn documents(&self) -> Vec<Stored> {
        self.shared.store.lock().unwrap().documents.clone()
    }

    pub fn count(&self) -> usize {
        self.shared.store.lock().unwrap().documents.len()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// Waits until there are so many, and returns them.
    #[track_caller]
    pub fn wait_documents(&self, count: usize) -> Vec<Stored> {
        let came = eventually(PATIENCE, || self.count() >= count);
        assert!(came, "expected {count} documents, got {}, by {:#?}", self.count(), self.calls());
        self.documents()
    }

    #[track_caller]
    pub fn wait_calls(&self, count: usize) -> Vec<Call> {
        let came = eventually(PATIENCE, || self.calls().len() >= count);
        let calls = self.calls();
        assert!(came, "expected {count} requests, got {calls:#?}");
        calls
    }
}

impl Drop for ElasticServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // One more caller, so that accept comes back and the port is given up.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn next_fault(&self) -> Fault {
        let mut script = self.script.lock().unwrap();
        let fault = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        fault.unwrap_or(Fault::None)
    }

    /// Whether the next request will not even be read; then it is that one's turn.
    fn races(&self) -> bool {
        let is_next = matches!(self.script.lock().unwrap().front(), Some(Fault::Race));
        is_next && matches!(self.next_fault(), Fault::Race)
    }
}
