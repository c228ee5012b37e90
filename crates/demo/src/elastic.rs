//! As much of Elasticsearch as log-shipper needs, in memory: bulk requests, an answer for each document, bad days.

use std::{
    collections::{HashMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    http::{self, Answer},
    logs,
};

/// Documents that can still be compared with the files.
const KEPT: usize = 200_000;
/// Enough for the last minutes of the scene.
pub const LATENCIES: usize = 2000;
const LAST: usize = 10;
/// A busy server refuses one document of so many.
const REFUSED: usize = 3;

/// How it is today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Good,
    /// The next request is too much: 429 for some of its documents. Then it is good again.
    Busy,
    /// It keeps what it gets, and fails before it can say so.
    Mute,
}

#[derive(Default)]
pub struct Index {
    /// What tells a document from the others, by its id.
    documents: HashMap<String, String>,
    order: VecDeque<(Instant, String)>,
    /// Different documents, ever.
    pub count: u64,
    /// Sent again, and known by their id.
    pub again: u64,
    /// Refused with 429.
    pub refused: u64,
    /// From written to acknowledged, in ms.
    latencies: VecDeque<f64>,
    last: VecDeque<Value>,
    mood: Mood,
}

pub struct Elastic {
    pub addr: SocketAddr,
    index: Arc<Mutex<Index>>,
    changes: watch::Sender<()>,
    /// Dropped with us, and with it the server ends.
    _server: (watch::Sender<bool>, JoinSet<()>),
}

#[derive(Deserialize)]
struct Action {
    create: Target,
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
}

impl Elastic {
    /// On any free port.
    pub fn start() -> Result<Self, String> {
        let listen = || {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let addr = listener.local_addr()?;
            Ok((addr, TcpListener::from_std(listener)?))
        };
        let listening: std::io::Result<_> = listen();
        let (addr, listener) = listening.map_err(|error| format!("Elasticsearch cannot listen: {error}"))?;
        let (index, changes) = (Arc::<Mutex<Index>>::default(), watch::Sender::new(()));
        let (stop, stopped) = watch::channel(false);
        let mut server = JoinSet::new();
        let (kept, changed) = (Arc::clone(&index), changes.clone());
        server.spawn(http::serve(listener, stopped, move |request| {
            let answer = respond(&mut locked(&kept), request);
            changed.send_replace(());
            answer
        }));
        Ok(Self { addr, index, changes, _server: (stop, server) })
    }

    pub fn index(&self) -> MutexGuard<'_, Index> {
        locked(&self.index)
    }

    /// How many were refused, and how many were sent again that had arrived.
    pub fn refused_and_again(&self) -> (u64, u64) {
        let index = self.index();
        (index.refused, index.again)
    }

    pub fn feels(&self, mood: Mood) {
        self.index().mood = mood;
    }

    /// Waits until something about it is so.
    pub async fn until(&self, within: Duration, so: impl Fn(&Index) -> bool) -> bool {
        let mut changes = self.changes.subscribe();
        let wait = async {
            // The sender is ours, so it cannot be gone.
            while !so(&self.index()) && changes.changed().await.is_ok() {}
        };
        tokio::time::timeout(within, wait).await.is_ok()
    }
}

fn locked(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

fn respond(index: &mut Index, request: &Request<Bytes>) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/_bulk") => index.bulk(request.body()),
        (&Method::GET, "/") => {
            let Index { count, again, refused, last, .. } = &*index;
            let said = json!({ "documents": count, "sent_again": again, "refused": refused, "last": last });
            http::answer(StatusCode::OK, "application/json", format!("{said:#}\n"))
        }
        _ => http::text(StatusCode::NOT_FOUND, "not found, see /"),
    }
}

impl Index {
    fn bulk(&mut self, body: &[u8]) -> Answer {
        let mut items = Vec::new();
        let is_busy = self.mood == Mood::Busy;
        let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        while let Some(action) = lines.next() {
            let document = lines.next().unwrap_or_default();
            let (action, document) = match (serde_json::from_slice(action), serde_json::from_slice(document)) {
                (Ok(Action { create }), Ok(document)) => (create, document),
                (Err(error), _) | (_, Err(error)) => return http::text(StatusCode::BAD_REQUEST, error.to_string()),
            };
            let number = items.len() + 1;
            let (status, error) = match number.is_multiple_of(REFUSED) && is_busy {
                true => (429, Some(("es_rejected_execution_exception", "the queue is full"))),
                false if self.take(&action.id, document) => (201, None),
                false => (409, Some(("version_conflict_engine_exception", "document already exists"))),
            };
            self.refused += u64::from(status == 429);
            let mut item = json!({ "_index": action.index, "_id": action.id, "status": status });
            if let Some((kind, reason)) = error {
                item["error"] = json!({ "type": kind, "reason": reason });
            }
            items.push(json!({ "create": item }));
        }
        if self.mood == Mood::Mute {
            return http::text(StatusCode::SERVICE_UNAVAILABLE, "no master");
        }
        if is_busy && items.len() >= REFUSED {
            self.mood = Mood::Good;
        }
        let errors = items.iter().any(|item| item["create"].get("error").is_some());
        let said = json!({ "took": 1, "errors": errors, "items": items });
        http::answer(StatusCode::OK, "application/json", said.to_string())
    }

    /// Whether it is a new one.
    fn take(&mut self, id: &str, document: Value) -> bool {
        if self.documents.contains_key(id) {
            self.again += 1;
            return false;
        }
        // Access logs know the second only.
        if document["n"].is_u64()
            && let Some(ms) = document["@timestamp"].as_str().and_then(age)
        {
            if self.latencies.len() == LATENCIES {
                self.latencies.pop_front();
            }
            self.latencies.push_back(ms);
        }
        if self.order.len() == KEPT
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.documents.remove(&oldest);
        }
        self.documents.insert(id.into(), logs::key(&document));
        self.order.push_back((Instant::now(), id.into()));
        self.count += 1;
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(document);
        true
    }

    /// How many came after this moment.
    pub fn since(&self, moment: Instant) -> usize {
        self.order.iter().rev().take_while(|(at, _)| *at > moment).count()
    }

    /// The latency that such a share of the last ones did not exceed.
    pub fn latency(&self, share: f64, last: usize) -> Option<f64> {
        let mut sorted: Vec<_> = self.latencies.iter().rev().take(last).copied().collect();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() as f64 * share) as usize;
        sorted.get(at.min(sorted.len().checked_sub(1)?)).copied()
    }

    /// Whether each of these is there as often as it was written, and nothing else but `others`.
    pub fn has_once(&self, written: &[String], others: u64) -> Result<(), String> {
        let (wanted, found) = (written.len() as u64 + others, self.count);
        if found != wanted {
            return Err(format!("{wanted} lines were written, the index has {found}"));
        }
        if self.count > self.order.len() as u64 {
            return Ok(()); // it has forgotten what to compare with
        }
        let mut there: HashMap<&str, usize> = HashMap::new();
        self.documents.values().for_each(|key| *there.entry(key).or_default() += 1);
        for key in written {
            match there.get_mut(key.as_str()) {
                Some(left @ 1..) => *left -= 1,
                _ => return Err(format!("the line \"{key}\" is not in the index as often as it was written")),
            }
        }
        Ok(())
    }
}

/// In ms.
fn age(time: &str) -> Option<f64> {
    let time = humantime::parse_rfc3339(time).ok()?;
    SystemTime::now().duration_since(time).ok().map(|age| age.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(ids: &[u64]) -> String {
        let document = |id: &u64| format!("{{\"create\":{{\"_index\":\"i\",\"_id\":\"{id}\"}}}}\n{{\"n\":{id}}}\n");
        ids.iter().map(document).collect()
    }

    #[test]
    fn a_document_is_there_once_however_often_it_is_sent() {
        let mut index = Index { mood: Mood::Mute, ..Index::default() };
        assert_eq!(index.bulk(body(&[1, 2]).as_bytes()).status(), StatusCode::SERVICE_UNAVAILABLE);
        index.mood = Mood::Busy;
        assert_eq!(index.bulk(body(&[1, 2, 3]).as_bytes()).status(), StatusCode::OK);
        assert_eq!((index.count, index.again, index.refused, index.mood), (2, 2, 1, Mood::Good));
        index.bulk(body(&[3]).as_bytes());
        let written = ["1", "2", "3"].map(String::from);
        assert_eq!(index.has_once(&written, 0), Ok(()));
        assert!(index.has_once(&written[..2], 0).is_err(), "one too many");
        assert!(index.has_once(&["1", "2", "2"].map(String::from), 0).is_err(), "another one");
    }
}
