//! Sends bodies until the receiver has them or refuses them for good; what is too large goes in parts.

use std::collections::VecDeque;

use common::Failure;
use http_client::{Bytes, Error, Kind, MAX_BODY, Request};

use super::{Http, body::Piece};
use crate::{
    fill::Batch,
    output::{
        Deliver, Delivery, Outcome, Reports,
        dead_letter::bury,
        gzip::Compression,
        on_a_thread,
        web::{Asked, Largest, Servers, hint},
    },
};

const TOO_LARGE: &str = "too_large";
const REFUSED: &str = "refused";

pub(super) struct Sender {
    http: Http,
    servers: Servers,
    largest: Largest,
    reports: Reports,
}

impl Sender {
    pub(super) fn new(http: Http) -> Result<Self, Failure> {
        let asked = Asked {
            method: http.method.name(),
            content_type: http.format.content_type(),
            expect: http.success.clone(),
            max_reply: MAX_BODY,
        };
        let servers = Servers::new(&http.web, &asked, str::to_owned)?;
        Ok(Self { servers, http, largest: Largest::default(), reports: Reports::default() })
    }

    /// What is left of the batch when something has to wait stays in it.
    async fn send_all(&mut self, batch: &mut Batch) -> Outcome {
        let whole = Piece { bytes: std::mem::take(&mut batch.body).into(), count: batch.records };
        let mut work = VecDeque::from([whole]);
        let mut arrived = 0;
        while let Some(piece) = work.pop_front() {
            if self.largest.is_exceeded_by(&piece.bytes)
                && let Some(halves) = piece.halves(self.http.format)
            {
                halves.into_iter().rev().for_each(|half| work.push_front(half));
                continue;
            }
            let Err(error) = self.send(&piece).await else {
                arrived += piece.count;
                continue;
            };
            let (mut why, after) = (format!("{error}{}", hint(&error)), error.retry_after());
            let refused = match error.kind() {
                Kind::Status(413) => match piece.halves(self.http.format) {
                    Some(halves) => {
                        self.largest.learn(&piece.bytes, &self.reports);
                        halves.into_iter().rev().for_each(|half| work.push_front(half));
                        continue;
                    }
                    None => Some(TOO_LARGE),
                },
                Kind::Status(status) if self.http.refused.accepts(status) => Some(REFUSED),
                _ => None,
            };
            if let Some(reason) = refused {
                match bury(piece.dead(self.http.format, reason, &why), self.http.dead_letter.as_ref(), &self.reports)
                    .await
                {
                    Ok(_) => {
                        batch.records = batch.records.saturating_sub(piece.count);
                        continue;
                    }
                    Err(unwritable) => why = unwritable,
                }
            }
            work.push_front(piece);
            let left = Piece::join(work.make_contiguous(), self.http.format);
            self.reports.tell(|events, output| events.arrived(output, arrived));
            (batch.body, batch.records) = (left.bytes.into(), left.count);
            return Outcome::Again { why, after };
        }
        Outcome::Delivered
    }

    async fn send(&mut self, piece: &Piece) -> Result<(), Error> {
        let (mut bytes, compression): (Bytes, _) = (piece.bytes.clone(), self.http.web.compression);
        if Compression::of(&bytes) != compression {
            bytes = on_a_thread(bytes, move |bytes| compression.pack(&bytes).into()).await;
        }
        let encoding = compression.encoding().map(|name| ("Content-Encoding".to_owned(), name.to_owned()));
        self.reports.tell(|events, output| events.sent(output, bytes.len()));
        let request = Request { headers: encoding.into_iter().collect(), body: Some(bytes), is_repeatable: true };
        self.servers.send(&request).await.map(drop)
    }
}

impl Deliver for Sender {
    fn report_to(&mut self, reports: Reports) {
        self.servers.report_to(&reports);
        self.reports = reports;
    }

    fn deliver<'a>(&'a mut self, batch: &'a mut Batch) -> Delivery<'a> {
        Box::pin(self.send_all(batch))
    }
}
