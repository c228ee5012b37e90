//! Sends bodies to the server until it has every document that it takes: those it has no time for again, those it
//! refuses into the dead letters, and what is too large in parts.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use common::Failure;
use http_client::{Bytes, Error, Expect, Kind, Reply, Request};

use super::{
    Elasticsearch,
    answer::{self, Answer, Problem},
    body::{self, Piece},
    dead_letter::{self, Dead},
};
use crate::{
    events::Events,
    fill::Batch,
    output::{
        Deliver, Delivery, Outcome, Reports,
        gzip::{self, Compression},
        web::{Asked, Servers, below, hint},
    },
    record::Time,
};

/// More of an answer is not read; the documents it would have told of are sent again.
const LONGEST_ANSWER: usize = 8 << 20;
/// A request is never split for being too large once it is this small; it is sent, and its documents one by one.
const SMALLEST: usize = 64 << 10;
/// When so many documents in a row are refused each alone, by a 400 for the whole request, it is not the documents.
const MOST_LONE: u32 = 8;
/// The answer tells the outcome of each document and nothing else: a seventh of the bytes.
const SHORT: (&str, &str) = ("filter_path", "errors,items.*.status,items.*.error");

pub(super) struct Sender {
    settings: Elasticsearch,
    reports: Reports,
    /// Asked for a short answer; and as plainly as can be, for servers that know nothing of that.
    short: Servers,
    plain: Servers,
    asks_short: bool,
    without_type: Arc<AtomicBool>,
    /// What the server was found to take.
    largest: Option<usize>,
    /// It has taken a request: what it refuses now is refused for itself.
    is_proven: bool,
    lone: u32,
}

/// What became of one request.
enum Verdict {
    Done,
    /// Some of its documents are to be sent again, some never.
    Partly(Digest),
    /// Nothing of it arrived. The whole of it again, later.
    Later(Later),
    TooLarge(String),
    /// All of it, for something in it or for the way we ask.
    Refused(Problem),
}

#[derive(Debug)]
struct Later {
    why: String,
    after: Option<Duration>,
}

#[derive(Default)]
struct Digest {
    again: Option<(Piece, String)>,
    dead: Vec<Dead>,
}

impl Sender {
    pub(super) fn new(settings: Elasticsearch, without_type: Arc<AtomicBool>) -> Result<Self, Failure> {
        let asked = Asked {
            method: "POST",
            content_type: "application/x-ndjson",
            // The reason for a 400 is needed whole.
            expect: Expect::codes((200..300).chain([400])),
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
            without_type,
            largest: None,
            is_proven: false,
            lone: 0,
            settings,
        })
    }

    /// Everything that can be done about a piece now. What is left comes back, with the reason.
    async fn send_all(&mut self, whole: Piece, dead: &mut u64) -> Option<(Piece, Later)> {
        let mut work = VecDeque::from([whole]);
        let mut kept = Vec::new();
        while let Some(piece) = work.pop_front() {
            let piece = self.prepared(piece).await;
            if piece.count > 1 && self.largest.is_some_and(|largest| piece.bytes.len() > largest) {
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
                    *dead += self.bury(digest.dead).await;
                    let Some((again, why)) = digest.again else { continue };
                    kept.push(again);
                    Later { why, after: None }
                }
                Verdict::Later(later) => {
                    kept.push(piece);
                    later
                }
                Verdict::TooLarge(why) => {
                    if piece.count > 1 {
                        self.too_large(piece.bytes.len());
                        halve(&piece, &mut work);
                    } else {
                        let problem = Problem { status: 413, kind: dead_letter::TOO_LARGE.into(), reason: why };
                        *dead += self.bury(vec![Dead { problem, item: piece.plain() }]).await;
                    }
                    continue;
                }
                Verdict::Refused(problem) if self.is_about_types(&problem) => {
                    self.without_type.store(true, Ordering::Relaxed);
                    self.reports.tell(Events::type_refused);
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
                        *dead += self.bury(vec![Dead { problem, item: piece.plain() }]).await;
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
        let Some(name) = self.settings.type_name.clone() else { return piece };
        if !self.without_type.load(Ordering::Relaxed) || !piece.begins_with_type(&name) {
            return piece;
        }
        on_a_thread(piece, move |piece| piece.without_type(&name)).await
    }

    async fn send(&mut self, piece: &Piece) -> Verdict {
        let mut bytes = piece.bytes.clone();
        if self.settings.web.compression == Compression::Gzip && !gzip::is_packed(&bytes) {
            bytes = on_a_thread(bytes, |bytes| gzip::pack(&bytes).into()).await;
        }
        let mut headers = Vec::new();
        if gzip::is_packed(&bytes) {
            headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
        }
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

    fn too_large(&mut self, bytes: usize) {
        let half = (bytes / 2).max(SMALLEST);
        if self.largest.is_none_or(|largest| half < largest) {
            self.largest = Some(half);
            self.reports.tell(|events, output| events.too_large(output, bytes, half));
        }
    }

    fn is_about_types(&self, problem: &Problem) -> bool {
        self.settings.type_name.is_some()
            && problem.reason.contains("[_type]")
            && !self.without_type.load(Ordering::Relaxed)
    }

    /// Gives up these documents, and says how many they are.
    async fn bury(&self, dead: Vec<Dead>) -> u64 {
        let count = dead.len() as u64;
        for (at, one) in dead.iter().enumerate() {
            let reason = dead_letter::label(&one.problem);
            let is_same = |other: &&Dead| dead_letter::label(&other.problem) == reason;
            if !dead[..at].iter().any(|other| is_same(&other)) {
                let alike = dead[at..].iter().filter(is_same).count() as u64;
                let why = one.problem.to_string();
                self.reports.tell(|events, output| events.dropped(output, reason, alike, &why));
            }
        }
        let Some(file) = self.settings.dead_letter.clone().filter(|_| count > 0) else { return count };
        let path = file.path.clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = Time(i64::try_from(now).unwrap_or(i64::MAX));
        if let Err(error) = on_a_thread(dead, move |dead| file.append(&dead, now)).await {
            self.reports.tell(|events, output| events.dead_letter_unwritable(output, &path, &error));
        }
        count
    }
}

impl Deliver for Sender {
    fn report_to(&mut self, reports: Reports) {
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

/// What the answer means for each document.
fn verdict(piece: &Piece, answer: &[u8], is_of_the_record: bool) -> Verdict {
    let items = match answer::read(answer) {
        Answer::All => return Verdict::Done,
        Answer::Other => {
            let problem = answer::problem(200, answer);
            let why = format!("the answer is not that of a bulk request: {problem}");
            return Verdict::Later(Later { why, after: None });
        }
        Answer::Each(items) => items,
    };
    let count = usize::try_from(piece.count).unwrap_or(usize::MAX);
    let unanswered = count.saturating_sub(items.answered);
    if items.failed.is_empty() && unanswered == 0 {
        return Verdict::Done;
    }
    let plain = piece.plain();
    let mut failed = items.failed.into_iter().peekable();
    let (mut bytes, mut again) = (Vec::new(), 0);
    let (mut dead, mut first) = (Vec::new(), None);
    for (at, item) in body::items(&plain).enumerate() {
        let problem = failed.next_if(|(number, _)| *number == at).map(|(_, problem)| problem);
        match problem {
            Some(problem) if !is_for_later(&problem, is_of_the_record) => {
                dead.push(Dead { problem, item: plain.slice_ref(item) });
                continue;
            }
            Some(problem) => drop(first.get_or_insert(problem)),
            None if at < items.answered => continue,
            None => {}
        }
        bytes.extend_from_slice(item);
        again += 1;
    }
    let why = match first {
        Some(problem) => format!("{again} of {count} documents are not taken for now, the first one: {problem}"),
        None => format!("the answer does not tell about {unanswered} of {count} documents"),
    };
    let again = (again > 0).then(|| (Piece { bytes: Bytes::from(bytes), count: again }, why));
    Verdict::Partly(Digest { again, dead })
}

/// Whether a document may be taken yet: later, or when somebody has set right what is wrong with the server.
fn is_for_later(problem: &Problem, is_of_the_record: bool) -> bool {
    match problem.status {
        401 | 403 | 408 | 429 | 500.. => true,
        // There is no such index, and none is made. If that is the record's own choice, others need not wait for it.
        404 => !is_of_the_record,
        _ => problem.kind == "index_closed_exception" || problem.reason.starts_with("pipeline with id ["),
    }
}

/// What takes long enough to keep probes waiting. A thread that is gone takes the process with it.
async fn on_a_thread<A, B>(input: A, work: impl FnOnce(A) -> B + Send + 'static) -> B
where
    A: Send + 'static,
    B: Send + 'static,
{
    match tokio::task::spawn_blocking(move || work(input)).await {
        Ok(output) => output,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
