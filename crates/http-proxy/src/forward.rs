//! One exchange: asks the policy, passes the request on, passes the response back, and remembers how it went.

mod body;
mod transfer;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use http1::{Body, Method, Name, RequestHead, ResponseHead, Version};

use crate::client::{Client, Text};
use crate::date;
use crate::engine::{Conn, View};
use crate::exchange::{Exchange, Flag};
use crate::policy::{Answer, Forward, Policy, RouteSettings, UpstreamEvent, Verdict};
use crate::side::Pump;
use crate::spare;
use crate::timer::{Timer, after};
use crate::trouble::{Again, Tried, Tries, Trouble};
use crate::upstream::{self, Acquired, Cluster, Upstream, Wanted};

const MOST_DISCARDED: usize = 64 * 1024;

/// Who has a request, and with what.
pub(crate) struct Run<'a, P: Policy, C: Client> {
    pub(crate) conn: &'a Conn<P>,
    pub(crate) client: &'a mut C,
    pub(crate) timer: &'a mut Timer,
    view: &'a View<P>,
    record: Exchange,
    ctx: P::Ctx,
    request: Pump,
    /// The upstream takes no more of the request; its response may be here all the same.
    deaf: bool,
    responded: bool,
    /// The policy knows how it ended.
    told: bool,
    /// The last time that the clock was asked.
    now: Instant,
}

impl<'a, P: Policy, C: Client> Run<'a, P, C> {
    pub(crate) fn new(
        (conn, view): (&'a Conn<P>, &'a View<P>),
        client: &'a mut C,
        timer: &'a mut Timer,
        started: Instant,
        version: Version,
    ) -> Self {
        Self {
            view,
            conn,
            client,
            timer,
            record: Exchange::new(started, version),
            ctx: P::Ctx::default(),
            request: Pump::default(),
            deaf: false,
            responded: false,
            told: false,
            now: started,
        }
    }

    /// Time has passed since the request began.
    pub(crate) fn look_at_clock(&mut self) {
        self.now = Instant::now();
    }

    /// A request that was read.
    pub(crate) async fn serve(&mut self, head: &mut RequestHead) {
        head.strip_hop_by_hop();
        let view = self.view;
        if !head.may_go_further() {
            // RFC 9110 section 7.6.2: we are the last. TRACE would show a client what others have added for us alone.
            let status = if head.method == Method::Trace { 405 } else { 200 };
            Box::pin(self.answer(Answer::text(status, ""), head)).await;
            return self.done();
        }
        let mut verdict = Ok(self.ask(head).await);
        if let Ok(Verdict::Read(most)) = verdict {
            verdict = Box::pin(self.ask_with_body(head, most)).await;
        }
        let done = match verdict {
            Ok(Verdict::Answer(answer)) => {
                Box::pin(self.answer(answer, head)).await;
                Ok(())
            }
            Ok(Verdict::Forward(forward)) => self.forward(view, &forward, head).await,
            Ok(Verdict::Read(_)) => Err(Trouble::internal("the policy asked for a body that it has")),
            Err(trouble) => Err(trouble),
        };
        if let Err(trouble) = done {
            Box::pin(self.fail(trouble, head)).await;
        }
        self.done();
    }

    async fn ask(&mut self, head: &mut RequestHead) -> Verdict {
        let mut verdict = pin!(self.view.world.policy.on_request(head, &self.conn.peer, &mut self.ctx));
        let mut has_waited = false;
        let verdict = poll_fn(|cx| {
            let polled = verdict.as_mut().poll(cx);
            has_waited |= polled.is_pending();
            polled
        })
        .await;
        if has_waited {
            self.now = Instant::now();
        }
        verdict
    }

    /// Something that is no request.
    pub(crate) async fn refuse(&mut self, trouble: Trouble, head: &mut RequestHead) {
        head.persistent = false;
        Box::pin(self.fail(trouble, head)).await;
        self.done();
    }

    fn done(&mut self) {
        self.told = true;
        if !self.record.complete {
            self.now = Instant::now();
        }
        self.record.took = self.now - self.record.started;
        self.record.request_bytes = self.request.bytes;
        let (head, sent) = self.client.on_the_wire().unwrap_or((0, self.record.response_bytes));
        (self.record.received, self.record.sent) = (head + self.record.request_bytes, sent);
        self.view.world.policy.on_done(&self.record, &self.conn.peer, &self.ctx);
    }

    async fn fail(&mut self, trouble: Trouble, head: &RequestHead) {
        self.record.flags.insert(trouble.flag);
        let status = trouble.status.unwrap_or(trouble.flag.status());
        self.record.error = Some(trouble.text);
        if self.responded || trouble.flag == Flag::DownstreamClosed || status == 0 {
            self.client.abort();
            return;
        }
        let mut answer = Answer::text(status, format!("{}\n", http1::reason(status)));
        self.view.world.policy.on_failure(trouble.flag, &mut answer, &mut self.ctx);
        self.answer(answer, head).await;
    }

    async fn answer(&mut self, answer: Answer, head: &RequestHead) {
        let Answer { head: mut response, body } = answer;
        let has_no_body = response.is_interim() || matches!(response.status, 204 | 304);
        let length = body.len() as u64;
        let (framing, announced) = match (has_no_body, &head.method) {
            (true, _) => (Body::None, None),
            // Who has not made the body may know its length.
            (false, Method::Head) => (Body::None, Some(response.announced.unwrap_or(length))),
            (false, _) => (Body::Length(length), None),
        };
        (response.body, response.announced, response.upgrade) = (framing, announced, false);
        if !head.expects_continue {
            self.discard().await;
        }
        self.begin(&mut response, head);
        let mut text = Text(if matches!(framing, Body::Length(_)) { &body } else { b"" });
        let (mut pump, timer, client) = (Pump::default(), &mut *self.timer, &mut *self.client);
        let until = after(Instant::now(), self.conn.http.send_timeout);
        let sent = poll_fn(|cx| match pump.poll(&mut text, client, cx, |_| {}) {
            Poll::Ready(result) => Poll::Ready(result.is_ok()),
            Poll::Pending => timer.poll(until, cx).map(|()| false),
        });
        self.record.complete = sent.await;
        self.now = Instant::now();
        self.record.response_bytes = pump.bytes;
        if !self.record.complete {
            self.record.flags.insert(Flag::DownstreamClosed);
            self.client.abort();
        }
    }

    /// Reads over a body that nobody wants, as far as it is here, so that the connection can go on.
    async fn discard(&mut self) {
        let mut left = MOST_DISCARDED;
        poll_fn(|cx| {
            while let Poll::Ready(Ok(Some(data))) = self.client.poll_data(cx) {
                let bytes = data.len();
                self.client.consume(bytes);
                left = left.saturating_sub(bytes);
                if left == 0 {
                    break;
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Hands the final head to the client.
    fn begin(&mut self, response: &mut ResponseHead, head: &RequestHead) {
        if !response.headers.contains("date") {
            date::with_now(self.now, |date| response.headers.append("Date", date));
        }
        self.client.stage_response(response, head, self.conn.may_go_on());
        (self.record.status, self.responded) = (response.status, true);
    }

    async fn forward(&mut self, view: &View<P>, forward: &Forward, head: &mut RequestHead) -> Result<(), Trouble> {
        let settings = &*forward.settings;
        self.record.cluster = Some(forward.cluster);
        let cluster = view.clusters.get(forward.cluster.0);
        let cluster = cluster.ok_or_else(|| Trouble::new(Flag::NoCluster, "no such cluster"))?;
        let entered = cluster.enter();
        let _in_flight = entered.ok_or_else(|| Trouble::new(Flag::Overflow, "too many requests at the cluster"))?;
        let until = settings.timeout.and_then(|timeout| after(self.record.started, timeout));
        self.prepare(settings, head)?;
        let (mut tries, mut tried, mut fresh) = (Tries::default(), Vec::new(), false);
        loop {
            let tunnel = head.method == Method::Connect;
            if self.record.attempts > 0 {
                self.now = Instant::now();
            }
            let wanted = Wanted {
                now: self.now,
                client: upstream::Client { peer: &self.conn.peer, bare: tunnel },
                to: forward.to.as_ref(),
                hash: forward.hash,
                careful: !head.method.is_idempotent(),
                fresh,
                own: tunnel || head.upgrade,
            };
            let mut acquired = self.acquire(cluster, &wanted, &mut tried, until).await?;
            self.record.attempts += 1;
            self.record.upstream = Some(Arc::clone(&acquired.member.label));
            let _active = Active::new(Arc::clone(&acquired.member));
            if head.headers.known(Name::Host).is_none_or(<[u8]>::is_empty) {
                // HTTP/1.0 needs no Host, HTTP/1.1 does.
                head.set_host(&acquired.member.label.replace("unix:", "localhost").replace('/', ""));
            }
            if tunnel {
                return Box::pin(self.tunnel(acquired, settings, head)).await;
            }
            let mut response = ResponseHead::default();
            let trouble = match self.attempt(&mut acquired.upstream, &mut response, settings, head, until).await {
                Ok(()) => match tries.after_status(response.status, &head.method, &settings.retries) {
                    Some(Again::Retry(wait)) if self.request.rewind() => {
                        tried.push(Arc::clone(&acquired.member));
                        Box::pin(self.again(cluster, wait, until)).await?;
                        continue;
                    }
                    _ => {
                        let (good, said) = (response.persistent && response.status != 101, response.keep_alive_timeout);
                        self.respond(&mut acquired.upstream, &mut response, settings, head, until).await?;
                        if good && self.request.done && !self.deaf {
                            cluster.give_back(acquired, said, self.now);
                        }
                        return Ok(());
                    }
                },
                Err(trouble) => trouble,
            };
            let facts = Tried {
                reused: acquired.reused,
                untouched: acquired.upstream.is_untouched(),
                heard: acquired.upstream.was_heard(),
            };
            match tries.after(&trouble, &facts, &head.method, &settings.retries) {
                Some(again) if self.request.rewind() => match again {
                    Again::Fresh => fresh = true,
                    Again::Retry(wait) => {
                        tried.push(Arc::clone(&acquired.member));
                        Box::pin(self.again(cluster, wait, until)).await?;
                    }
                },
                _ => {
                    if tries.are_exhausted(&settings.retries) {
                        self.record.flags.insert(Flag::RetriesExhausted);
                    }
                    return Err(trouble);
                }
            }
        }
    }

    /// What the hop to the upstream needs.
    fn prepare(&mut self, settings: &RouteSettings, head: &mut RequestHead) -> Result<(), Trouble> {
        if head.method == Method::Connect && !settings.upgrade {
            return Err(Trouble::new(Flag::UpgradeRefused, "CONNECT is not allowed here"));
        }
        if head.upgrade && !(settings.upgrade && head.body.is_empty()) {
            // RFC 9110 section 7.8: a server may ignore it.
            head.upgrade = false;
            head.headers.remove("upgrade");
        }
        if let (Some(most), Some(length)) = (settings.max_body, head.body.length())
            && length > most
        {
            return Err(Trouble::new(Flag::BodyTooLarge, format!("a body of {length} bytes")));
        }
        // We answer it: the body is asked for when there is somebody to send it to.
        if head.expects_continue {
            head.headers.remove("expect");
        }
        if self.request.ended {
            // The policy has read it.
            if settings.max_body.is_some_and(|most| self.request.bytes > most) {
                return Err(Trouble::new(Flag::BodyTooLarge, format!("a body of {} bytes", self.request.bytes)));
            }
            if let Some(trailers) = self.request.trailers_mut() {
                self.view.world.policy.on_trailers(trailers, &mut self.ctx);
            }
            return Ok(());
        }
        let replayable = head.method.is_idempotent() || settings.retries.non_idempotent;
        self.request = Pump::new(settings.max_body, replayable && !head.body.is_empty());
        Ok(())
    }

    async fn acquire(
        &mut self,
        cluster: &Arc<Cluster>,
        wanted: &Wanted<'_>,
        tried: &mut Vec<Arc<upstream::Member>>,
        until: Option<Instant>,
    ) -> Result<Acquired, Trouble> {
        let before = tried.len();
        let acquired = {
            if let Some(kept) = cluster.acquire_kept(wanted, tried) {
                return Ok(kept);
            }
            // Boxed: most requests go the way above, and need no memory for this one.
            let mut acquire = Box::pin(cluster.acquire(wanted, tried));
            poll_fn(|cx| match acquire.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(result.map_err(Trouble::from)),
                Poll::Pending => {
                    if let Poll::Ready(broken) = self.client.poll_gone(cx) {
                        return Poll::Ready(Err(Trouble::client(&broken)));
                    }
                    let late = || Err(Trouble::new(Flag::UpstreamTimeout, "no connection in time"));
                    self.timer.poll(until, cx).map(|()| late())
                }
            })
            .await
        };
        match acquired {
            Ok(acquired) => {
                if !acquired.reused {
                    self.now = Instant::now();
                    self.record.connected = Some(self.now - self.record.started);
                }
                Ok(acquired)
            }
            // All others were tried already: those that answered badly may do better now.
            Err(trouble) if trouble.flag == Flag::NoEndpoint && before > 0 => {
                tried.clear();
                Box::pin(self.acquire(cluster, wanted, tried, until)).await
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn again(&mut self, cluster: &Cluster, wait: Duration, until: Option<Instant>) -> Result<(), Trouble> {
        cluster.tell(UpstreamEvent::Retried);
        if until.is_some_and(|until| Instant::now() + wait >= until) {
            return Err(Trouble::new(Flag::UpstreamTimeout, "no time is left for another try"));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn respond(
        &mut self,
        upstream: &mut Upstream,
        response: &mut ResponseHead,
        settings: &RouteSettings,
        head: &RequestHead,
        until: Option<Instant>,
    ) -> Result<(), Trouble> {
        let upgraded = response.status == 101;
        if upgraded && !(head.upgrade && response.upgrade) {
            return Err(Trouble::new(Flag::UpstreamProtocol, "101 to a request that did not ask for it"));
        }
        response.strip_hop_by_hop();
        self.view.world.policy.on_response(response, &mut self.ctx);
        self.begin(response, head);
        spare::keep_response_head(std::mem::take(response));
        if upgraded {
            self.client.become_tunnel();
            upstream.become_tunnel();
            self.request = Pump::default();
        }
        self.relay(upstream, settings, upgraded, until).await?;
        self.record.complete = true;
        self.now = Instant::now();
        Ok(())
    }

    /// CONNECT: bytes, as soon as there is somebody to take them.
    async fn tunnel(
        &mut self,
        mut acquired: Acquired,
        settings: &RouteSettings,
        head: &RequestHead,
    ) -> Result<(), Trouble> {
        let mut response = ResponseHead::new(200);
        self.begin(&mut response, head);
        self.client.become_tunnel();
        acquired.upstream.become_tunnel();
        self.request = Pump::default();
        self.relay(&mut acquired.upstream, settings, true, None).await?;
        self.record.complete = true;
        self.now = Instant::now();
        Ok(())
    }
}

/// Whoever serves has run out of time: the policy hears of the request all the same.
impl<P: Policy, C: Client> Drop for Run<'_, P, C> {
    fn drop(&mut self) {
        // A policy that panicked is not asked again.
        if !self.told && !std::thread::panicking() {
            self.record.error.get_or_insert_with(|| "cut off".into());
            self.done();
        }
    }
}

/// Counts a request at its endpoint.
struct Active(Arc<upstream::Member>);

impl Active {
    fn new(member: Arc<upstream::Member>) -> Self {
        member.active.fetch_add(1, Ordering::Relaxed);
        Self(member)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
