//! Sends bodies to the server until it has every document that it takes: those it has no time for again, those it
//! refuses into the dead letters, and what is too large in parts.

use std::collections::VecDeque;

use common::Failure;
use http_client::{Bytes, Error, Expect, Kind, Reply, Request};

use super::{
    Elasticsearch,
    answer::{self, Problem},
    body::Piece,
    refused,
    types::Types,
    verdict::{Later, Verdict, verdict},
};
use crate::{
    fill::Batch,
    output::{
        Deliver, Delivery, Outcome, Reports,
        dead_letter::bury,
        gzip::Compression,
        on_a_thread,
        web::{Asked, Largest, Servers, below, hint},
    },
};

/// More of an answer is not read; the documents it would have told of are sent again.
const LONGEST_ANSWER: usize = 8 << 20;
/// When so many documents in a row are refused each alone, by a 400 for the whole request, it is not the documents.
const MOST_LONE: u32 = 8;
/// How often in one batch the server may change its mind about types.
const MOST_TURNS: u32 = 2;
/// The answer tells the outcome of each document and nothing else: a seventh of the bytes.
const SHORT: (&str, &str) = ("filter_path", "errors,items.*.status,items.*.error");

pub(super) struct Sender {
    settings: Elasticsearch,
    reports: Reports,
    /// Asked for a short answer; and as plainly as can be, for servers that know nothing of that.
    short: Servers,
    plain: Servers,
    asks_short: bool,
    types: Types,
    largest: Largest,
    /// It has taken a request: what it refuses now is refused for itself.
    is_proven: bool,
    lone: u32,
}

impl Sender {
    pub(super) fn new(settings: Elasticsearch, types: Types) -> Result<Self, Failure> {
        let asked = Asked {
            method: "POST",
            content_type: "application/x-ndjson",
            // The reason for a 400 is needed whole.
            expect: Expect::default().and(400),
            max_reply: LONGEST_ANSWER,
        };
        let pipeline = settings.pipeline.as_deref().map(super::encoded);
        let servers = |more: Option<(&str, &str)>| {
            let pipeline = pipeline.as_deref().map(|name| ("pipeline", name));
            let query: Vec<_> = pipeline.into_iter().chain(more).collect();
            Servers::new(&settings.web, &asked, |base| below(base, &settings.bulk_path(), &query))
        };
        Ok(Self {
            short: servers(Some(SHORT))?,
            plain: servers(None)?,
            asks_short: true,
            reports: Reports::default(),
            types,
            largest: Largest::default(),
            is_proven: false,
            lone: 0,
            settings,
        })
    }

    /// Everything that can be done about a piece now. What is left comes back, with the reason.
    async fn send_all(&mut self, whole: Piece, dead: &mut u64) -> Option<(Piece, Later)> {
        let mut work = VecDeque::from([whole]);
        let mut kept = Vec::new();
        let mut turns = 0;
        while let Some(piece) = work.pop_front() {
            let piece = self.prepared(piece).await;
            if piece.count > 1 && self.largest.is_exceeded_by(&piece.bytes) {
                halve(&piece, &mut work);
                continue;
            }
            let later = match self.send(&piece).await {
                Verdict::Done => {
                    self.proven();
                    continue;
                }
                Verdict::Partly(digest) => {
                    self.proven();
                    let unburied = self.bury(digest.dead, dead).await;
                    let left: Vec<_> = digest.again.into_iter().chain(unburied).collect();
                    let Some((_, why)) = left.first().cloned() else { continue };
                    kept.extend(left.into_iter().map(|(piece, _)| piece));
                    Later { why, after: None }
                }
                Verdict::Later(later) => {
                    kept.push(piece);
                    later
                }
                Verdict::TooLarge(why) => {
                    if piece.count > 1 {
                        self.largest.learn(&piece.bytes, &self.reports);
                        halve(&piece, &mut work);
                    } else {
                        let problem = Problem { status: 413, kind: refused::TOO_LARGE.into(), reason: why };
                        if let Some((piece, why)) = self.bury(vec![(problem, piece.plain())], dead).await {
                            kept.push(piece);
                            kept.extend(work);
                            return Some((Piece::join(&kept), Later { why, after: None }));
                        }
                    }
                    continue;
                }
                Verdict::Refused(problem) if turns < MOST_TURNS && self.types.are_refused(&problem) => {
                    turns += 1;
                    self.types.turn();
                    self.reports.tell(|events, output| events.types_turned(output, self.types.are_sent()));
                    work.push_front(piece);
                    continue;
                }
                Verdict::Refused(_) if piece.count > 1 && self.lone < MOST_LONE => {
                    // It is the fault of one, most likely: of which, the server does not say.
                    halve(&piece, &mut work);
                    continue;
                }
                Verdict::Refused(problem) => {
                    self.lone += 1;
                    if self.is_proven && self.lone < MOST_LONE {
                        kept.extend(self.bury(vec![(problem, piece.plain())], dead).await.map(|(piece, _)| piece));
                        continue;
                    }
                    kept.push(piece);
                    if self.lone < MOST_LONE && !work.is_empty() {
                        // Perhaps it takes another one.
                        continue;
                    }
                    Later { why: format!("every request is refused: {problem}"), after: None }
                }
            };
            kept.extend(work);
            return Some((Piece::join(&kept), later));
        }
        if kept.is_empty() {
            return None;
        }
        let why = "some documents are refused by themselves, and nothing is taken yet".into();
        Some((Piece::join(&kept), Later { why, after: None }))
    }

    /// As the server takes it.
    async fn prepared(&self, piece: Piece) -> Piece {
        let (name, are_sent) = (self.types.name().to_owned(), self.types.are_sent());
        if self.types.never_turned() || piece.begins_with_type(&name) == are_sent {
            return piece;
        }
        on_a_thread(piece, move |piece| if are_sent { piece.with_type(&name) } else { piece.without_type(&name) }).await
    }

    async fn send(&mut self, piece: &Piece) -> Verdict {
        let mut bytes = piece.bytes.clone();
        let compression = self.settings.web.compression;
        if Compression::of(&bytes) != compression {
            bytes = on_a_thread(bytes, move |bytes| compression.pack(&bytes).into()).await;
        }
        let encoding = compression.encoding().map(|name| ("Content-Encoding".to_owned(), name.to_owned()));
        let headers = encoding.into_iter().collect();
        self.reports.tell(|events, output| events.sent(output, bytes.len()));
        let reply = match self.post(&Request { headers, body: Some(bytes), is_repeatable: true }).await {
            Ok(reply) => reply,
            Err(error) if error.kind() == Kind::Status(413) => return Verdict::TooLarge(error.to_string()),
            Err(error) => {
                let why = format!("{error}{}", hint(&error));
                return Verdict::Later(Later { why, after: error.retry_after() });
            }
        };
        if reply.status == 400 {
            return Verdict::Refused(answer::problem(400, &reply.body));
        }
        let (piece, is_of_the_record) = (piece.clone(), self.settings.index.is_of_the_record());
        on_a_thread(reply.body, move |answer| verdict(&piece, &answer, is_of_the_record)).await
    }

    /// One request. A server that refuses the way we ask is asked another way, and if that helps, from then on.
    async fn post(&mut self, request: &Request) -> Result<Reply, Error> {
        if !self.asks_short {
            return self.plain.send(request).await;
        }
        let reply = self.short.send(request).await;
        if !refuses_to_be_short(&reply) {
            return reply;
        }
        let plain = self.plain.send(request).await;
        self.asks_short = refuses_to_be_short(&plain);
        if self.asks_short { reply } else { plain }
    }

    fn proven(&mut self) {
        (self.is_proven, self.lone) = (true, 0);
    }

    /// Gives up these documents, and counts them. Those that cannot be kept where they are to be come back, with the
    /// reason.
    async fn bury(&self, refused: Vec<(Problem, Bytes)>, dead: &mut u64) -> Option<(Piece, String)> {
        let buried = refused.iter().map(|(problem, item)| refused::dead(problem, item)).collect();
        match bury(buried, self.settings.dead_letter.as_ref(), &self.reports).await {
            Ok(count) => {
                *dead += count;
                None
            }
            Err(why) => {
                let items: Vec<_> = refused.iter().map(|(_, item)| item.as_ref()).collect();
                Some((Piece { bytes: items.concat().into(), count: refused.len() as u64 }, why))
            }
        }
    }
}

impl Deliver for Sender {
    fn report_to(&mut self, reports: Reports) {
        self.short.report_to(&reports);
        self.plain.report_to(&reports);
        self.reports = reports;
    }

    fn deliver<'a>(&'a mut self, batch: &'a mut Batch) -> Delivery<'a> {
        Box::pin(async move {
            let whole = Piece { bytes: std::mem::take(&mut batch.body).into(), count: batch.records };
            let mut dead = 0;
            let left = self.send_all(whole, &mut dead).await;
            batch.records = batch.records.saturating_sub(dead);
            let Some((left, Later { why, after })) = left else { return Outcome::Delivered };
            let arrived = batch.records.saturating_sub(left.count);
            self.reports.tell(|events, output| events.arrived(output, arrived));
            batch.records = left.count;
            // Nobody else has it any more, so this copies nothing.
            batch.body = left.bytes.into();
            Outcome::Again { why, after }
        })
    }
}

fn halve(piece: &Piece, work: &mut VecDeque<Piece>) {
    let [first, second] = piece.halves();
    work.push_front(second);
    work.push_front(first);
}

fn refuses_to_be_short(reply: &Result<Reply, Error>) -> bool {
    match reply {
        Ok(reply) if reply.status == 400 => {
            let reason = answer::problem(400, &reply.body).reason;
            reason.contains(SHORT.0) || reason.contains("no handler found")
        }
        Ok(_) => false,
        Err(error) => matches!(error.kind(), Kind::Status(404 | 405)),
    }
}
