//! What the owner of the engine decides: where a request goes, how it is changed, and what is remembered of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http1::{Headers, RequestHead, ResponseHead};

use crate::cluster::ClusterId;
use crate::exchange::{Exchange, Flag};
use crate::peer::Peer;

/// The owner's side of every request. Called on the thread of the connection: what takes long is awaited.
pub trait Policy: Send + Sync + 'static {
    /// What the policy remembers between the calls about one request.
    type Ctx: Default + Send + 'static;

    /// A request was read. Fields of the hop (`Connection`, `Keep-Alive`, `TE`) are gone already; changes to `head` are
    /// what goes upstream.
    fn on_request(
        &self,
        head: &mut RequestHead,
        peer: &Peer,
        ctx: &mut Self::Ctx,
    ) -> impl Future<Output = Verdict> + Send;

    /// The body that [`Verdict::Read`] asked for is here, whole. A verdict to forward sends it on, as it came.
    fn on_body(
        &self,
        head: &mut RequestHead,
        body: Bytes,
        peer: &Peer,
        ctx: &mut Self::Ctx,
    ) -> impl Future<Output = Verdict> + Send {
        let _ = (head, body, peer, ctx);
        std::future::ready(Verdict::Answer(Answer::text(500, "")))
    }

    /// What came after the request's body and may be passed on ([`http1::may_trail`]). Apps may take a trailer for a header:
    /// what the policy takes out of heads it takes out here as well.
    fn on_trailers(&self, trailers: &mut Headers, ctx: &mut Self::Ctx) {
        let _ = (trailers, ctx);
    }

    /// The final response of the upstream was read; changes are what the client sees. Not called for answers of the
    /// policy's own, which it has made as it wants them.
    fn on_response(&self, head: &mut ResponseHead, ctx: &mut Self::Ctx) {
        let _ = (head, ctx);
    }

    /// The engine answers by itself, because it has no response to pass on or the request is malformed (then
    /// `on_request` was not called). `answer` is a short text that may be changed.
    fn on_failure(&self, why: Flag, answer: &mut Answer, ctx: &mut Self::Ctx) {
        let _ = (why, answer, ctx);
    }

    /// The last byte was passed on, or it failed. For access log and metrics.
    fn on_done(&self, exchange: &Exchange, peer: &Peer, ctx: &Self::Ctx) {
        let _ = (exchange, peer, ctx);
    }

    /// Where a bare stream goes (`Serve::Stream`); `peer.tls` has the server name when it was looked for. None: closed.
    fn on_stream(&self, peer: &Peer) -> Option<ClusterId> {
        let _ = peer;
        None
    }

    /// A bare stream has ended.
    fn on_stream_done(&self, exchange: &Exchange, peer: &Peer) {
        let _ = (exchange, peer);
    }

    /// A client connection is open, after its PROXY header and TLS handshake.
    fn on_open(&self, peer: &Peer) {
        let _ = peer;
    }

    /// It is closed. Comes once for each `on_open`.
    fn on_close(&self, peer: &Peer) {
        let _ = peer;
    }

    /// A client connection came to nothing: handshake or PROXY header failed, or there are too many.
    fn on_refused(&self, listener: &str, why: &str) {
        let _ = (listener, why);
    }

    /// Something happened to a connection of a cluster.
    fn on_upstream(&self, cluster: &str, event: UpstreamEvent<'_>) {
        let _ = (cluster, event);
    }
}

/// What is counted of upstream connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamEvent<'a> {
    Connected {
        address: &'a str,
        took: Duration,
    },
    ConnectFailed {
        address: &'a str,
        error: &'a str,
    },
    /// Comes once for each `Connected`.
    Closed {
        address: &'a str,
    },
    /// The same request is sent again.
    Retried,
    /// Names of an endpoint could not be resolved.
    ResolveFailed {
        name: &'a str,
        error: &'a str,
    },
}

/// What is to be done with a request.
#[derive(Clone, Debug)]
pub enum Verdict {
    Forward(Forward),
    Answer(Answer),
    /// The body is needed first: it is read, and `on_body` is asked. More bytes than this are answered with 413, a client that
    /// does not send with 408; in both cases `on_body` is not called. Not an answer to `on_body`.
    Read(usize),
}

/// Pass it on.
#[derive(Clone, Debug)]
pub struct Forward {
    pub cluster: ClusterId,
    pub settings: Arc<RouteSettings>,
    /// For a cluster without endpoints of its own (a forward proxy): the host and port to go to.
    pub to: Option<(String, u16)>,
    /// For [`crate::Balance::Hash`]: equal numbers go to the same endpoint.
    pub hash: Option<u64>,
}

/// How requests of one route are treated. Shared: made once for each route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSettings {
    /// From the whole request to the end of the response. None: for ever.
    pub timeout: Option<Duration>,
    /// Between two pieces of the response's body, and of a tunnel.
    pub read_timeout: Option<Duration>,
    /// Until the head of the response. None: as `read_timeout`.
    pub answer_timeout: Option<Duration>,
    /// Between two pieces of the request's body that the upstream takes.
    pub send_timeout: Option<Duration>,
    pub retries: Retries,
    /// Bytes of the request's body; more is 413.
    pub max_body: Option<u64>,
    /// Whether the connection may become another protocol (WebSocket, CONNECT).
    pub upgrade: bool,
}

impl Default for RouteSettings {
    fn default() -> Self {
        Self {
            timeout: None,
            read_timeout: Some(Duration::from_secs(60)),
            answer_timeout: None,
            send_timeout: Some(Duration::from_secs(60)),
            retries: Retries::default(),
            max_body: None,
            upgrade: true,
        }
    }
}

/// When a request is sent again. Never after the first byte of a response was passed on, and only while the whole request
/// is still here. A connection that the upstream closed before it read the request is replaced without counting as a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Beside the first try.
    pub attempts: u32,
    /// The endpoint could not be reached: nothing was sent.
    pub connect: bool,
    /// The connection ended without a response.
    pub reset: bool,
    /// A try took longer than `per_try_timeout`.
    pub timeout: bool,
    pub statuses: Vec<u16>,
    /// Also methods that do something each time (POST, PATCH).
    pub non_idempotent: bool,
    pub per_try_timeout: Option<Duration>,
    /// Before the first retry; doubled for each one after it.
    pub backoff: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 1,
            connect: true,
            reset: false,
            timeout: false,
            statuses: Vec::new(),
            non_idempotent: false,
            per_try_timeout: None,
            backoff: Duration::from_millis(25),
        }
    }
}

/// A response that is made here. The engine adds its length, and leaves the body out where none may be.
#[derive(Clone, Debug)]
pub struct Answer {
    pub head: ResponseHead,
    pub body: Bytes,
}

impl Answer {
    /// A short text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        let mut head = ResponseHead::new(status);
        head.headers.append("Content-Type", "text/plain; charset=utf-8");
        Self { head, body: Bytes::from(text.into()) }
    }
}
