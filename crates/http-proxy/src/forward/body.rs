//! A request's body that the policy wants to see before it decides: read whole, up to a limit, in bounded time.

use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http1::{Method, RequestHead, ResponseHead};

use crate::client::Client;
use crate::exchange::Flag;
use crate::policy::{Policy, Verdict};
use crate::side::Pump;
use crate::timer::after;
use crate::trouble::Trouble;

use super::Run;

/// Room is made for what has come, not for what a client says will come.
const FIRST_ROOM: usize = 4 * 1024;

impl<P: Policy, C: Client> Run<'_, P, C> {
    /// Reads the body and asks again.
    pub(super) async fn ask_with_body(&mut self, head: &mut RequestHead, most: usize) -> Result<Verdict, Trouble> {
        let body = self.read_body(head, most).await?;
        let policy = &self.view.world.policy;
        let verdict = policy.on_body(head, body, &self.conn.peer, &mut self.ctx).await;
        self.now = Instant::now();
        Ok(verdict)
    }

    async fn read_body(&mut self, head: &mut RequestHead, most: usize) -> Result<Bytes, Trouble> {
        // What follows a CONNECT or a handshake is not a body.
        if head.body.is_empty() || head.method == Method::Connect {
            return Ok(Bytes::new());
        }
        let too_large = || Trouble::new(Flag::BodyTooLarge, format!("the body is longer than {most} bytes"));
        if head.body.length().is_some_and(|length| length > most as u64) {
            return Err(too_large());
        }
        if std::mem::take(&mut head.expects_continue) {
            head.headers.remove("expect");
            self.client.stage_interim(&ResponseHead::new(100));
        }
        let expected = head.body.length().and_then(|length| usize::try_from(length).ok());
        let mut body = Vec::with_capacity(expected.unwrap_or(FIRST_ROOM).min(FIRST_ROOM));
        let started = Instant::now();
        let mut moved = started;
        poll_fn(|cx| {
            loop {
                match self.client.poll_data(cx) {
                    Poll::Ready(Ok(None)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(Some(data))) => {
                        let length = data.len();
                        if body.len() + length > most {
                            return Poll::Ready(Err(too_large()));
                        }
                        body.extend_from_slice(data);
                        self.client.consume(length);
                        moved = Instant::now();
                        self.check_rate(started, body.len() as u64)?;
                    }
                    Poll::Ready(Err(broken)) => return Poll::Ready(Err(Trouble::client(&broken))),
                    Poll::Pending => {
                        // An interim head may be waiting to go out; a client that is gone shows when it is read from.
                        let _ = self.client.poll_flush(cx);
                        ready!(self.timer.poll(after(moved, self.conn.http.body_timeout), cx));
                        let late = Trouble::new(Flag::DownstreamTimeout, "the client does not send");
                        return Poll::Ready(Err(late));
                    }
                }
            }
        })
        .await?;
        let trailers = self.client.trailers();
        // Kept: it goes on when the policy lets it.
        self.request = Pump::whole(body.clone(), trailers);
        Ok(Bytes::from(body))
    }
}
