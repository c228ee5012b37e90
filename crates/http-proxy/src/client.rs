//! The client's side of an exchange: where the response goes, in the protocol that the client speaks.

use std::task::{Context, Poll};

use http1::{Body, Headers, Method, RequestHead, ResponseHead, Version};

use crate::h1::H1;
use crate::side::{Broken, Side};

pub(crate) trait Client: Side {
    /// 100, 103: another head follows.
    fn stage_interim(&mut self, head: &ResponseHead);

    /// The final head. `go_on`: as far as we are concerned, the connection may be used again.
    fn stage_response(&mut self, head: &mut ResponseHead, asked: &RequestHead, go_on: bool);

    /// Both directions are bytes from here on.
    fn become_tunnel(&mut self);

    /// Ready when the client has gone away. Asked while there is nothing to read from it.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Broken>;

    /// What has been sent is not whole, and the client must notice.
    fn abort(&mut self);

    /// Bytes of the request's head, and of the whole response, as they were on the wire. None: that cannot be told.
    fn on_the_wire(&self) -> Option<(u64, u64)> {
        None
    }
}

/// One request on a connection of HTTP/1.
pub(crate) struct Http1Client<'a> {
    pub(crate) h1: &'a mut H1,
    pub(crate) version: Version,
    /// Whether another request may follow.
    pub(crate) go_on: bool,
}

/// What a client may send before its response is there; the rest waits in the kernel.
const MOST_AHEAD: usize = 16 * 1024;

impl Client for Http1Client<'_> {
    fn stage_interim(&mut self, head: &ResponseHead) {
        if self.version >= Version::Http11 {
            self.h1.stage_response(head, self.version);
        }
    }

    fn stage_response(&mut self, head: &mut ResponseHead, asked: &RequestHead, go_on: bool) {
        // What is left of the request would be taken for the next one; and what a client sends behind a CONNECT that is
        // refused was meant for the tunnel.
        let is_clear = self.h1.is_read() && asked.method != Method::Connect;
        self.go_on = go_on && asked.persistent && is_clear;
        head.body = match head.body {
            // So that the client can tell the end from a failure, and the connection goes on.
            Body::UntilClose | Body::Chunked if self.version >= Version::Http11 => Body::Chunked,
            Body::Chunked | Body::UntilClose => {
                self.go_on = false;
                Body::UntilClose
            }
            // Nothing says that there is nothing.
            Body::None if head.announced.is_none() && needs_a_length(head, &asked.method) => Body::Length(0),
            other => other,
        };
        head.persistent = self.go_on;
        self.h1.stage_response(head, self.version);
    }

    fn become_tunnel(&mut self) {
        self.go_on = false;
        self.h1.become_tunnel();
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        while !self.h1.eof && self.h1.input.data().len() < MOST_AHEAD {
            match self.h1.poll_fill(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Broken::Io(error)),
                Poll::Pending => break,
            }
        }
        // A client that has said everything and shut its side down may still be waiting for the response.
        Poll::Pending
    }

    fn abort(&mut self) {
        self.go_on = false;
    }

    fn on_the_wire(&self) -> Option<(u64, u64)> {
        Some((self.h1.head_bytes, self.h1.written))
    }
}

fn needs_a_length(head: &ResponseHead, asked: &Method) -> bool {
    !head.is_interim() && !matches!(head.status, 204 | 304) && !matches!(asked, Method::Head | Method::Connect)
}

impl Side for Http1Client<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&[u8]>, Broken>> {
        self.h1.poll_data(cx)
    }

    fn consume(&mut self, bytes: usize) {
        self.h1.consume(bytes);
    }

    fn trailers(&mut self) -> Option<Box<Headers>> {
        self.h1.trailers()
    }

    fn poll_send(&mut self, data: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        self.h1.poll_send(data, cx)
    }

    fn poll_end(&mut self, trailers: Option<&Headers>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.h1.poll_end(trailers, cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.h1.poll_flush(cx)
    }
}

/// A body that is here already.
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl Side for Text<'_> {
    fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<&[u8]>, Broken>> {
        Poll::Ready(Ok((!self.0.is_empty()).then_some(self.0)))
    }

    fn consume(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }

    fn trailers(&mut self) -> Option<Box<Headers>> {
        None
    }

    fn poll_send(&mut self, data: &[u8], _: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_end(&mut self, _: Option<&Headers>, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }
}
