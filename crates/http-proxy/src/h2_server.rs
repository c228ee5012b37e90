//! A client connection of HTTP/2: each stream is a request of its own.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http1::{Headers, Method, RequestHead, ResponseHead, Version};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::engine::Conn;
use crate::forward::Run;
use crate::h1::H1;
use crate::h2_body::{H2Body, broken};
use crate::h2_head;
use crate::io::Io;
use crate::policy::Policy;
use crate::side::{Broken, Side};
use crate::spare;
use crate::trouble::Trouble;

/// Streams that a client opens and resets before we have looked at them; more end the connection (CVE-2023-44487).
const MOST_UNSEEN_RESETS: usize = 20;
/// Of one stream, beyond what the client has room for.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that we reset because of what the client does.
const MOST_ERRORS: usize = 256;

/// The client began with the preface of HTTP/2.
pub(crate) async fn take_over<P: Policy>(conn: &Arc<Conn<P>>, h1: H1) {
    let H1 { io, input, .. } = h1;
    let Io::Raw(mut raw) = io else { return };
    raw.push_back(input.data().to_vec());
    drop(input);
    serve(conn, Io::Raw(raw)).await;
}

pub(crate) async fn serve<P: Policy>(conn: &Arc<Conn<P>>, io: Io) {
    let Some(settings) = &conn.http.http2 else { return };
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(settings.max_streams)
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_header_list_size(settings.max_head)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_UNSEEN_RESETS)
        .max_local_error_reset_streams(Some(MOST_ERRORS))
        .enable_connect_protocol();
    let Ok(Ok(mut connection)) = timeout(conn.http.head_timeout, builder.handshake::<_, Bytes>(io)).await else {
        return;
    };
    let mut streams = JoinSet::new();
    let mut stop = Box::pin(conn.stop.clone().wait());
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            () = &mut stop, if !stopping => {
                stopping = true;
                connection.graceful_shutdown();
            }
            Some(_) = streams.join_next(), if !streams.is_empty() => {
                // Those that have ended together are one turn, and the connection writes for all of them at once.
                while streams.try_join_next().is_some() {}
            }
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    conn.count_request();
                    // Boxed here: a task is moved several times before it runs.
                    streams.spawn(Box::pin(one(Arc::clone(conn), request, respond)));
                    if !stopping && !conn.may_go_on() {
                        stopping = true;
                        connection.graceful_shutdown();
                    }
                }
                Some(Err(_)) | None => break,
            },
            // Begun only when it is waited for.
            () = async { sleep(conn.http.idle_timeout).await }, if streams.is_empty() && !stopping => {
                stopping = true;
                connection.graceful_shutdown();
            }
        }
    }
    drop(connection);
    // Each notices by itself that its client has gone, and says so in the log.
    while streams.join_next().await.is_some() {}
}

async fn one<P: Policy>(conn: Arc<Conn<P>>, request: http::Request<RecvStream>, respond: SendResponse<Bytes>) {
    let started = Instant::now();
    let (read, recv) = read(&conn, request);
    let mut body = H2Body::default();
    body.set_recv(recv);
    let mut client = Http2Client { respond, body, failed: false };
    let mut timer = conn.timer();
    let view = conn.worker.view();
    let mut run = Run::new((&conn, &view), &mut client, &mut timer, started, Version::Http2);
    match read {
        Ok(mut head) => {
            run.serve(&mut head).await;
            spare::keep_request_head(head);
        }
        Err(error) => {
            let trouble = Trouble::client(&Broken::Syntax(error));
            Box::pin(run.refuse(trouble, &mut RequestHead::default())).await;
        }
    }
    drop(run);
    conn.keep_timer(timer);
}

/// Not in the future of the stream, which would hold what came for as long as it lasts.
fn read<P: Policy>(
    conn: &Conn<P>,
    request: http::Request<RecvStream>,
) -> (Result<RequestHead, http1::Error>, RecvStream) {
    let (parts, recv) = request.into_parts();
    // A cookie comes in pieces, which are one field again (RFC 9113 section 8.2.3).
    let crumbs = parts.headers.get_all(http::header::COOKIE).iter().count().saturating_sub(1);
    if parts.headers.len() - crumbs > conn.http.head.fields {
        return (Err(http1::Error::TooManyFields), recv);
    }
    let head = h2_head::read_request(&parts, recv.is_end_stream()).and_then(|mut head| {
        let protocol = parts.extensions.get::<h2::ext::Protocol>();
        protocol.map_or(Ok(()), |protocol| accept_protocol(&mut head, protocol.as_str())).map(|()| head)
    });
    (head, recv)
}

/// RFC 8441: a WebSocket over a stream is the same handshake as GET with Upgrade to everybody behind us.
fn accept_protocol(head: &mut RequestHead, protocol: &str) -> Result<(), http1::Error> {
    if protocol != "websocket" {
        return Err(http1::Error::Expectation);
    }
    head.method = Method::Get;
    head.upgrade = true;
    head.protocol = Some(protocol.into());
    head.body = http1::Body::None;
    head.headers.set("Upgrade", protocol);
    // The client has no key; what it is good for (proving that the server knows the protocol) the upstream's 101 shows.
    head.headers.set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    Ok(())
}

/// One stream.
struct Http2Client {
    respond: SendResponse<Bytes>,
    body: H2Body,
    /// The head could not be sent: nothing after it can.
    failed: bool,
}

impl Client for Http2Client {
    fn stage_interim(&mut self, head: &ResponseHead) {
        // It is only a courtesy: if the stream is gone, the final head will say so.
        let _ = self.respond.send_informational(h2_head::write_response(head));
    }

    fn stage_response(&mut self, head: &mut ResponseHead, asked: &RequestHead, _: bool) {
        let upgraded = head.status == 101;
        if upgraded {
            head.status = 200;
            head.headers.remove("sec-websocket-accept");
        }
        let ended = !upgraded && asked.method != Method::Connect && head.body.is_empty();
        match self.respond.send_response(h2_head::write_response(head), ended) {
            Ok(send) if !ended => self.body.set_send(send),
            Ok(_) => {}
            Err(_) => self.failed = true,
        }
    }

    fn become_tunnel(&mut self) {}

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        self.respond.poll_reset(cx).map(|result| match result {
            Ok(_) => Broken::Reset("the stream was reset"),
            Err(error) => broken(error),
        })
    }

    fn abort(&mut self) {
        self.body.abort();
    }
}

impl Side for Http2Client {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&[u8]>, Broken>> {
        self.body.poll_data(cx)
    }

    fn consume(&mut self, bytes: usize) {
        self.body.consume(bytes);
    }

    fn trailers(&mut self) -> Option<Box<Headers>> {
        self.body.trailers()
    }

    fn poll_send(&mut self, data: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        self.body.poll_send(data, cx)
    }

    fn poll_end(&mut self, trailers: Option<&Headers>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.failed {
            return Poll::Ready(Err(Broken::Reset("the stream was reset")));
        }
        self.body.poll_end(trailers, cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.body.poll_flush(cx)
    }
}
