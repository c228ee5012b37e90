//! The bytes of an exchange: the request to the upstream, the response to the client, each as fast as the other side takes
//! it, and nobody waited for too long.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http1::{RequestHead, ResponseHead};

use crate::client::Client;
use crate::exchange::Flag;
use crate::policy::{Policy, RouteSettings};
use crate::side::{Pump, PumpError, Waits};
use crate::timer::after;
use crate::trouble::Trouble;
use crate::upstream::Upstream;

use super::Run;

impl<P: Policy, C: Client> Run<'_, P, C> {
    /// Sends the request and waits for the final head of a response.
    pub(super) async fn attempt(
        &mut self,
        upstream: &mut Upstream,
        response: &mut ResponseHead,
        settings: &RouteSettings,
        head: &mut RequestHead,
        until: Option<Instant>,
    ) -> Result<(), Trouble> {
        self.deaf = false;
        // What the client wants of its connection is nothing to the upstream.
        let persistent = std::mem::replace(&mut head.persistent, true);
        let staged = upstream.stage_request(head);
        head.persistent = persistent;
        staged.map_err(|broken| Trouble::upstream(&broken))?;
        if std::mem::take(&mut head.expects_continue) {
            self.client.stage_interim(&ResponseHead::new(100));
        }
        let started = self.now;
        let within = settings.retries.per_try_timeout.and_then(|timeout| after(started, timeout));
        let mut moved = started;
        loop {
            poll_fn(|cx| {
                let before = self.request.bytes;
                if let Poll::Ready(result) = self.poll_request(upstream, cx) {
                    result?;
                }
                if self.request.bytes > before {
                    moved = if before == 0 && self.request.done { started } else { Instant::now() };
                    self.check_rate(started, self.request.bytes)?;
                }
                // An interim head may be waiting to go out; a client that is gone shows below.
                let _ = self.client.poll_flush(cx);
                let limits = &self.conn.http.head;
                if let Poll::Ready(result) = upstream.poll_response(limits, &head.method, response, cx) {
                    return Poll::Ready(result.map_err(|broken| Trouble::upstream(&broken)));
                }
                if self.request.done
                    && let Poll::Ready(broken) = self.client.poll_gone(cx)
                {
                    return Poll::Ready(Err(Trouble::client(&broken)));
                }
                let stalled = self.patience(settings).and_then(|patience| after(moved, patience));
                if self.timer.poll(earliest([until, within, stalled]), cx).is_pending() {
                    return Poll::Pending;
                }
                let is_stalled = stalled.is_some_and(|stalled| stalled <= Instant::now());
                let late = || Trouble::new(Flag::UpstreamTimeout, "no response in time");
                Poll::Ready(Err(if is_stalled { self.stall() } else { late() }))
            })
            .await?;
            if !response.is_interim() || response.status == 101 {
                self.record.upstream_status = Some(response.status);
                self.now = Instant::now();
                self.record.responded = Some(self.now - self.record.started);
                return Ok(());
            }
            // 100 was ours to say.
            if response.status != 100 {
                response.strip_hop_by_hop();
                self.client.stage_interim(response);
            }
            moved = Instant::now();
        }
    }

    /// Moves the request's body. Ready: with it, or because the client has broken off.
    fn poll_request(&mut self, upstream: &mut Upstream, cx: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        if self.request.done || self.deaf {
            return Poll::Ready(Ok(()));
        }
        let (policy, ctx) = (&self.view.world.policy, &mut self.ctx);
        match self.request.poll(self.client, upstream, cx, |trailers| policy.on_trailers(trailers, ctx)) {
            Poll::Ready(Err(PumpError::From(broken))) => Poll::Ready(Err(Trouble::client(&broken))),
            Poll::Ready(Err(PumpError::TooLarge)) => {
                Poll::Ready(Err(Trouble::new(Flag::BodyTooLarge, "the body is longer than allowed")))
            }
            Poll::Ready(Err(PumpError::To(_))) => {
                self.deaf = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// How long the side that is waited for may be silent.
    fn patience(&self, settings: &RouteSettings) -> Option<Duration> {
        match (self.request.done || self.deaf, self.request.waits) {
            (true, _) => settings.answer_timeout.or(settings.read_timeout),
            (false, Waits::From) => Some(self.conn.http.body_timeout),
            (false, Waits::To) => settings.send_timeout,
        }
    }

    /// It was, for too long.
    fn stall(&self) -> Trouble {
        match (self.request.done || self.deaf, self.request.waits) {
            (true, _) => Trouble::new(Flag::UpstreamTimeout, "the upstream does not answer"),
            (false, Waits::From) => Trouble::new(Flag::DownstreamTimeout, "the client does not send"),
            (false, Waits::To) => Trouble::new(Flag::UpstreamTimeout, "the upstream does not read"),
        }
    }

    pub(super) fn check_rate(&self, started: Instant, bytes: u64) -> Result<(), Trouble> {
        let (http, passed) = (&self.conn.http, started.elapsed());
        if http.min_body_rate == 0 || passed < http.body_timeout {
            return Ok(());
        }
        if bytes < http.min_body_rate.saturating_mul(passed.as_secs()) {
            return Err(Trouble::new(Flag::DownstreamTimeout, "the client sends too slowly"));
        }
        Ok(())
    }

    /// Moves what is left of the request, and the body of the response.
    pub(super) async fn relay(
        &mut self,
        upstream: &mut Upstream,
        settings: &RouteSettings,
        tunnel: bool,
        until: Option<Instant>,
    ) -> Result<(), Trouble> {
        let (mut down, mut moved, mut seen) = (Pump::default(), None, 0);
        // A tunnel lasts as long as it is used.
        let until = if tunnel { None } else { until };
        let result = poll_fn(|cx| {
            if let Poll::Ready(result) = self.poll_request(upstream, cx)
                && (tunnel || !down.done)
            {
                result?;
            }
            let response = match down.poll(upstream, self.client, cx, |_| {}) {
                Poll::Ready(Err(PumpError::To(broken))) => return Poll::Ready(Err(Trouble::client(&broken))),
                Poll::Ready(Err(PumpError::From(broken))) => return Poll::Ready(Err(Trouble::upstream(&broken))),
                Poll::Ready(Err(PumpError::TooLarge)) | Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(())) => Poll::Ready(()),
            };
            let is_over = self.request.done || self.deaf;
            if response.is_ready() && (!tunnel || is_over) {
                return Poll::Ready(Ok(()));
            }
            let bytes = down.bytes + self.request.bytes;
            if moved.is_none() || bytes != seen {
                (moved, seen) = (Some(Instant::now()), bytes);
            }
            let waits_for_client = down.waits == Waits::To && !tunnel;
            let timeout = if waits_for_client { Some(self.conn.http.send_timeout) } else { settings.read_timeout };
            let stalled = moved.zip(timeout).and_then(|(moved, timeout)| after(moved, timeout));
            if self.timer.poll(earliest([until, stalled, None]), cx).is_pending() {
                return Poll::Pending;
            }
            let flag = match (tunnel, waits_for_client) {
                (true, _) => Flag::StreamIdle,
                (false, true) => Flag::DownstreamTimeout,
                (false, false) => Flag::UpstreamTimeout,
            };
            Poll::Ready(Err(Trouble::new(flag, "the response stopped")))
        })
        .await;
        self.record.response_bytes = down.bytes;
        result
    }
}

fn earliest(deadlines: [Option<Instant>; 3]) -> Option<Instant> {
    deadlines.into_iter().flatten().min()
}
