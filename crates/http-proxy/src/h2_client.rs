//! One request on an HTTP/2 connection to an upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use http1::{Headers, Method, RequestHead, ResponseHead};

use crate::h2_body::{H2Body, broken};
use crate::h2_head;
use crate::io::Io;
use crate::side::{Broken, Side};
use crate::upstream::{Member, Shared};

const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const LARGEST_HEAD: u32 = 60 * 1024;
const SEND_BUFFER: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Stream {
    send: SendRequest<Bytes>,
    https: bool,
    member: Arc<Member>,
    streams: Arc<AtomicUsize>,
    response: Option<ResponseFuture>,
    body: H2Body,
    refused: bool,
    heard: bool,
}

pub(crate) async fn handshake(io: Io) -> Result<(SendRequest<Bytes>, Connection<Io, Bytes>), h2::Error> {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(LARGEST_HEAD)
        .max_send_buffer_size(SEND_BUFFER);
    builder.handshake(io).await
}

impl Stream {
    pub(crate) fn new(shared: Shared, member: Arc<Member>, https: bool) -> Self {
        shared.streams.fetch_add(1, Ordering::Relaxed);
        Self {
            send: shared.send,
            https,
            member,
            streams: shared.streams,
            response: None,
            body: H2Body::default(),
            refused: false,
            heard: false,
        }
    }

    pub(crate) fn stage_request(&mut self, head: &RequestHead) -> Result<(), Broken> {
        let request = h2_head::write_request(head, self.https)?;
        match self.send.send_request(request, head.body.is_empty()) {
            Ok((response, send)) => {
                self.response = Some(response);
                if !head.body.is_empty() {
                    self.body.set_send(send);
                }
                Ok(())
            }
            Err(error) => {
                // The connection takes no more requests; this one never left.
                self.refused = true;
                self.member.drop_shared(&self.streams);
                Err(broken(error))
            }
        }
    }

    pub(crate) fn poll_response(
        &mut self,
        asked: &Method,
        head: &mut ResponseHead,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        let Some(response) = &mut self.response else { return Poll::Ready(Err(Broken::Reset("no response"))) };
        if let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            h2_head::read_response(&interim.into_parts().0, true, asked, head)?;
            return Poll::Ready(Ok(()));
        }
        match ready!(Pin::new(response).poll(cx)) {
            Ok(response) => {
                self.heard = true;
                let (parts, recv) = response.into_parts();
                h2_head::read_response(&parts, recv.is_end_stream(), asked, head)?;
                self.body.set_recv(recv);
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                let is_refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
                self.refused = error.is_remote() && (is_refused || error.is_go_away());
                if error.is_go_away() || error.is_io() {
                    self.member.drop_shared(&self.streams);
                }
                Poll::Ready(Err(broken(error)))
            }
        }
    }

    /// The upstream says that it has not looked at the request.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused
    }

    pub(crate) fn was_heard(&self) -> bool {
        self.heard
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Side for Stream {
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
        self.body.poll_end(trailers, cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.body.poll_flush(cx)
    }
}
