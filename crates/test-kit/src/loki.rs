//! Loki as far as pushing goes: takes nothing that the real one would not, and answers as it is told.

mod wire;

use std::{collections::BTreeMap, io::Read, net::SocketAddr, time::Instant};

use flate2::read::MultiGzDecoder;

use crate::{HookServer, PATIENCE, Reply, Request, eventually};

/// One entry of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub labels: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub time: i64,
    pub line: String,
    /// Structured metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A request, understood.
#[derive(Clone, Debug)]
pub struct Push {
    pub tenant: Option<String>,
    pub content_type: String,
    pub encoding: Option<String>,
    pub streams: usize,
    pub entries: Vec<Entry>,
}

/// Listens on 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub struct LokiServer {
    hook: HookServer,
}

impl LokiServer {
    /// Takes everything, until told otherwise.
    pub fn start() -> Self {
        Self::answering([Self::taken()])
    }

    pub fn answering(script: impl IntoIterator<Item = Reply>) -> Self {
        Self { hook: HookServer::answering(script) }
    }

    /// What it says when all is well.
    pub fn taken() -> Reply {
        Reply::Status(204, String::new())
    }

    pub fn answer(&self, script: impl IntoIterator<Item = Reply>) {
        self.hook.answer(script);
    }

    pub fn addr(&self) -> SocketAddr {
        self.hook.addr()
    }

    pub fn url(&self) -> String {
        self.hook.url("")
    }

    /// Every push so far, also those it did not take.
    pub fn pushes(&self) -> Vec<Push> {
        self.hook.requests().iter().map(read).collect()
    }

    /// When they came.
    pub fn times(&self) -> Vec<Instant> {
        self.hook.requests().iter().map(|request| request.at).collect()
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.pushes().into_iter().flat_map(|push| push.entries).collect()
    }

    pub fn lines(&self) -> Vec<String> {
        self.entries().into_iter().map(|entry| entry.line).collect()
    }

    #[track_caller]
    pub fn wait_pushes(&self, count: usize) -> Vec<Push> {
        let came = eventually(PATIENCE, || self.hook.requests().len() >= count);
        let pushes = self.pushes();
        assert!(came, "expected {count} pushes, got {pushes:#?}");
        pushes
    }

    #[track_caller]
    pub fn wait_entries(&self, count: usize) -> Vec<Entry> {
        let came = eventually(PATIENCE, || self.entries().len() >= count);
        let entries = self.entries();
        assert!(came, "expected {count} entries, got {entries:#?}");
        entries
    }
}

#[track_caller]
fn read(request: &Request) -> Push {
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/loki/api/v1/push"));
    let content_type = request.header("content-type").unwrap_or_default().to_owned();
    let encoding = request.header("content-encoding").map(str::to_owned);
    let streams = match (content_type.as_str(), encoding.as_deref()) {
        ("application/x-protobuf", None | Some("snappy")) => {
            let plain = snap::raw::Decoder::new().decompress_vec(&request.bytes).expect("snappy");
            wire::read(&plain).expect("protobuf")
        }
        ("application/json", None) => json(&request.bytes),
        ("application/json", Some("gzip")) => {
            let mut plain = Vec::new();
            MultiGzDecoder::new(request.bytes.as_slice()).read_to_end(&mut plain).expect("gzip");
            json(&plain)
        }
        other => panic!("{other:?}: neither protobuf nor JSON"),
    };
    for entries in &streams {
        assert!(entries.is_sorted_by_key(|entry| entry.time), "not in the order of time: {entries:#?}");
        let mut seen = std::collections::BTreeSet::new();
        // The real one takes the second for a duplicate, and drops it.
        let is_new = |entry: &Entry| seen.insert((entry.time, entry.line.clone(), entry.metadata.clone()));
        assert!(entries.iter().all(is_new), "twice the same at the same time: {entries:#?}");
    }
    Push {
        tenant: request.header("x-scope-orgid").map(str::to_owned),
        content_type,
        encoding,
        streams: streams.len(),
        entries: streams.into_iter().flatten().collect(),
    }
}

fn json(bytes: &[u8]) -> Vec<Vec<Entry>> {
    let value: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
    let pairs = |value: &serde_json::Value| -> BTreeMap<String, String> {
        let pairs = value.as_object().expect("an object").iter();
        pairs.map(|(name, text)| (name.clone(), text.as_str().expect("a text").to_owned())).collect()
    };
    let stream = |stream: &serde_json::Value| {
        let labels = pairs(&stream["stream"]);
        let entry = |entry: &serde_json::Value| Entry {
            labels: labels.clone(),
            time: entry[0].as_str().expect("a time").parse().expect("nanoseconds"),
            line: entry[1].as_str().expect("a line").to_owned(),
            metadata: entry.get(2).map(pairs).unwrap_or_default(),
        };
        stream["values"].as_array().expect("values").iter().map(entry).collect()
    };
    value["streams"].as_array().expect("streams").iter().map(stream).collect()
}
