//! A connection to an upstream for one exchange, whatever it speaks.

use std::task::{Context, Poll};

use http1::{Headers, Limits, Method, RequestHead, ResponseHead};

use crate::h1::H1;
use crate::h2_client;
use crate::side::{Broken, Side};

#[derive(Debug)]
pub(crate) enum Upstream {
    H1(Box<H1>),
    H2(Box<h2_client::Stream>),
}

macro_rules! each {
    ($self:expr, $name:ident => $body:expr) => {
        match $self {
            Upstream::H1($name) => $body,
            Upstream::H2($name) => $body,
        }
    };
}

impl Upstream {
    pub(crate) fn stage_request(&mut self, head: &RequestHead) -> Result<(), Broken> {
        match self {
            Self::H1(h1) => {
                h1.stage_request(head);
                Ok(())
            }
            Self::H2(stream) => stream.stage_request(head),
        }
    }

    /// The next head: an interim one, or the final one.
    pub(crate) fn poll_response(
        &mut self,
        limits: &Limits,
        asked: &Method,
        head: &mut ResponseHead,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        match self {
            Self::H1(h1) => h1.poll_response(limits, asked, head, cx),
            Self::H2(stream) => stream.poll_response(asked, head, cx),
        }
    }

    /// Nothing of the request has left this machine.
    pub(crate) fn is_untouched(&self) -> bool {
        match self {
            Self::H1(h1) => h1.written == 0,
            Self::H2(stream) => stream.was_refused(),
        }
    }

    /// Something of a response has come.
    pub(crate) fn was_heard(&self) -> bool {
        match self {
            Self::H1(h1) => h1.heard,
            Self::H2(stream) => stream.was_heard(),
        }
    }

    pub(crate) fn become_tunnel(&mut self) {
        match self {
            Self::H1(h1) => h1.become_tunnel(),
            Self::H2(_) => {}
        }
    }
}

impl Side for Upstream {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&[u8]>, Broken>> {
        each!(self, side => side.poll_data(cx))
    }

    fn consume(&mut self, bytes: usize) {
        each!(self, side => side.consume(bytes));
    }

    fn trailers(&mut self) -> Option<Box<Headers>> {
        each!(self, side => side.trailers())
    }

    fn poll_send(&mut self, data: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        each!(self, side => side.poll_send(data, cx))
    }

    fn poll_end(&mut self, trailers: Option<&Headers>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        each!(self, side => side.poll_end(trailers, cx))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        each!(self, side => side.poll_flush(cx))
    }
}
