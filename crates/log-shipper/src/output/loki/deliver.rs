//! Sends streams, request by request, until Loki has every entry that it takes.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::Failure;
use http_client::{Bytes, Error, Expect, Kind, Request};

use super::{Form, Loki, answer, endpoint, entries, push};
use crate::{
    fill::Batch,
    output::{
        Deliver, Delivery, Outcome, Reports,
        gzip::Compression,
        parts::{self, Part},
        web::{Asked, Servers, hint},
    },
};

/// What it says about single entries can be long.
const LONGEST_ANSWER: usize = 256 << 10;
/// As much of it as a log line should have.
const LONGEST_QUOTE: usize = 500;

pub(super) struct Sender {
    loki: Loki,
    servers: Servers,
    reports: Reports,
    /// There are more streams than there may be.
    is_crowded: Arc<AtomicBool>,
}

/// What a request is made of: a stream, or a piece of it.
#[derive(Clone)]
struct Stream {
    labels: String,
    entries: Bytes,
    records: u64,
}

/// What became of one request.
enum Verdict {
    Done,
    /// So many entries of it will never be taken; the others have been.
    Partly(u64, String),
    Refused(String),
    TooLarge(String),
    Later(Wait),
}

struct Wait {
    why: String,
    after: Option<Duration>,
}

impl Sender {
    pub(super) fn new(loki: Loki, is_crowded: Arc<AtomicBool>) -> Result<Self, Failure> {
        let asked = Asked {
            method: "POST",
            content_type: match loki.form {
                Form::Protobuf => "application/x-protobuf",
                Form::Json => "application/json",
            },
            // What a 400 says about which entries is needed whole.
            expect: Expect::default().and(400),
            max_reply: LONGEST_ANSWER,
        };
        let servers = Servers::new(&loki.web, &asked, endpoint)?;
        Ok(Self { loki, servers, reports: Reports::default(), is_crowded })
    }

    async fn send_all(&mut self, batch: &mut Batch) -> Outcome {
        if self.is_crowded.swap(false, Ordering::Relaxed) {
            self.reports.tell(|events, output| events.too_many_streams(output, self.loki.most_streams));
        }
        let mut work: VecDeque<Vec<Stream>> = requests(std::mem::take(&mut batch.body), self.loki.streams);
        let (mut arrived, mut left, mut waits) = (0, Vec::new(), None);
        while let Some(streams) = work.pop_front() {
            // What comes after something that has to wait waits as well: a stream keeps its order.
            if streams.iter().any(|stream| left.iter().any(|waiting: &Stream| waiting.labels == stream.labels)) {
                left.extend(streams);
                continue;
            }
            let count: u64 = streams.iter().map(|stream| stream.records).sum();
            let streams = Arc::new(streams);
            match self.send(&streams).await {
                Verdict::Done => arrived += count,
                Verdict::Partly(refused, why) => {
                    arrived += count.saturating_sub(refused);
                    self.give_up(batch, refused.min(count), &why);
                }
                Verdict::Refused(why) => self.give_up(batch, count, &why),
                Verdict::TooLarge(why) => match halves(&streams) {
                    Some(halves) => halves.into_iter().rev().for_each(|half| work.push_front(half)),
                    None => self.give_up(batch, count, &why),
                },
                Verdict::Later(wait) => {
                    left.extend(Arc::unwrap_or_clone(streams));
                    if !answer::is_of_one_stream(&wait.why) {
                        left.extend(work.drain(..).flatten());
                    }
                    waits.get_or_insert(wait);
                }
            }
        }
        let Some(Wait { why, after }) = waits else { return Outcome::Delivered };
        self.reports.tell(|events, output| events.arrived(output, arrived));
        batch.records = left.iter().map(|stream| stream.records).sum();
        batch.body = parts::join(left.into_iter().map(Stream::into_part).collect());
        Outcome::Again { why, after }
    }

    fn give_up(&self, batch: &mut Batch, count: u64, why: &str) {
        batch.records = batch.records.saturating_sub(count);
        self.reports.tell(|events, output| events.dropped(output, answer::reason(why), count, why));
    }

    async fn send(&mut self, streams: &Arc<Vec<Stream>>) -> Verdict {
        let (form, compress) = (self.loki.form, self.loki.web.compression == Compression::Gzip);
        let theirs = Arc::clone(streams);
        // Compressing takes long enough to keep probes waiting.
        let body = tokio::task::spawn_blocking(move || {
            let streams: Vec<_> = theirs.iter().map(|stream| (stream.labels.as_str(), &*stream.entries)).collect();
            Bytes::from(push::request(&streams, form, compress))
        });
        let body = match body.await {
            Ok(body) => body,
            Err(error) => {
                return Verdict::Later(Wait { why: format!("no request could be made: {error}"), after: None });
            }
        };
        self.reports.tell(|events, output| events.sent(output, body.len()));
        let mut headers = Vec::new();
        if form == Form::Json && compress {
            headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
        }
        // The same line at the same time is there once, however often it is sent.
        match self.servers.send(&Request { headers, body: Some(body), is_repeatable: true }).await {
            Ok(reply) if reply.status == 400 => {
                let text = String::from_utf8_lossy(&reply.body);
                let quote = quote(&text);
                match answer::refused(text.trim()) {
                    Some(count) => Verdict::Partly(count, quote),
                    None => Verdict::Refused(quote),
                }
            }
            Ok(_) => Verdict::Done,
            Err(error) => failed(&error),
        }
    }
}

fn failed(error: &Error) -> Verdict {
    let why = error.to_string();
    let hint = if why.contains("no org id") { " (set tenant)" } else { hint(error) };
    let why = format!("{why}{hint}");
    match error.kind() {
        Kind::Status(413) => Verdict::TooLarge(why),
        // What one part of Loki takes may be too large for the next one.
        Kind::Status(500) if why.contains("received message larger than max") => Verdict::TooLarge(why),
        _ => Verdict::Later(Wait { why, after: error.retry_after() }),
    }
}

impl Stream {
    fn into_part(self) -> Part {
        Part { name: self.labels, bytes: self.entries.into(), records: self.records as usize }
    }
}

/// The streams of a body, so many in each request.
fn requests(body: Vec<u8>, most: usize) -> VecDeque<Vec<Stream>> {
    let body = Bytes::from(body);
    let places = parts::split(&body);
    let stream = |place: &parts::Place<'_>| Stream {
        labels: place.name.to_owned(),
        entries: body.slice(place.range.clone()),
        records: place.records as u64,
    };
    places.chunks(most.max(1)).map(|places| places.iter().map(stream).collect()).collect()
}

/// Half of the streams each, or of the entries where it is but one. None for a single entry.
fn halves(streams: &[Stream]) -> Option<[Vec<Stream>; 2]> {
    if let [stream] = streams {
        let (middle, counts) = entries::middle(&stream.entries)?;
        let half = |entries, count| vec![Stream { labels: stream.labels.clone(), entries, records: count as u64 }];
        let (first, second) = (stream.entries.slice(..middle), stream.entries.slice(middle..));
        return Some([half(first, counts[0]), half(second, counts[1])]);
    }
    let (first, second) = streams.split_at(streams.len() / 2);
    Some([first.to_vec(), second.to_vec()])
}

/// One line, and not all of many.
fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

impl Deliver for Sender {
    fn report_to(&mut self, reports: Reports) {
        self.reports = reports;
    }

    fn deliver<'a>(&'a mut self, batch: &'a mut Batch) -> Delivery<'a> {
        Box::pin(self.send_all(batch))
    }
}
