//! The bodies of one HTTP/2 stream, from either side.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use http1::Headers;

use crate::h2_head;
use crate::side::{Broken, Side};

/// What is handed to the connection at once.
const LARGEST: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(crate) struct H2Body {
    recv: Option<RecvStream>,
    data: Bytes,
    trailers: Option<Box<Headers>>,
    send: Option<SendStream<Bytes>>,
    /// Taken, and held until it is known whether it is the last: the end of a stream goes with it, and is no frame of its own.
    held: Bytes,
}

impl H2Body {
    pub(crate) fn set_recv(&mut self, recv: RecvStream) {
        self.recv = Some(recv);
    }

    pub(crate) fn set_send(&mut self, send: SendStream<Bytes>) {
        self.send = Some(send);
    }

    fn send_held(&mut self, ended: bool) -> Result<(), Broken> {
        let held = std::mem::take(&mut self.held);
        match &mut self.send {
            Some(send) if ended || !held.is_empty() => send.send_data(held, ended).map_err(broken),
            _ => Ok(()),
        }
    }

    /// It is over, and not well: the peer must not take it for whole.
    pub(crate) fn abort(&mut self) {
        if let Some(send) = &mut self.send {
            send.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    }
}

pub(crate) fn broken(error: h2::Error) -> Broken {
    if error.is_io() {
        return Broken::Io(error.into_io().unwrap_or_else(|| std::io::ErrorKind::ConnectionReset.into()));
    }
    Broken::Reset(if error.is_go_away() { "the connection was given up" } else { "the stream was reset" })
}

impl Side for H2Body {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&[u8]>, Broken>> {
        while self.data.is_empty() {
            let Some(recv) = &mut self.recv else { return Poll::Ready(Ok(None)) };
            match ready!(recv.poll_data(cx)) {
                Some(data) => self.data = data.map_err(broken)?,
                None => {
                    let trailers = ready!(recv.poll_trailers(cx)).map_err(broken)?;
                    self.trailers = trailers.map(|fields| Box::new(h2_head::read_trailers(&fields)));
                    self.recv = None;
                }
            }
        }
        Poll::Ready(Ok(Some(&self.data)))
    }

    fn consume(&mut self, bytes: usize) {
        self.data.advance(bytes);
        if let Some(recv) = &mut self.recv {
            // It fails only for more than was received.
            let _ = recv.flow_control().release_capacity(bytes);
        }
    }

    fn trailers(&mut self) -> Option<Box<Headers>> {
        self.trailers.take()
    }

    fn poll_send(&mut self, data: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        self.send_held(false)?;
        let Some(send) = &mut self.send else { return Poll::Ready(Err(Broken::Reset("nothing may follow"))) };
        let want = data.len().min(LARGEST);
        while send.capacity() == 0 {
            send.reserve_capacity(want);
            match ready!(send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(Broken::Reset("the stream was reset"))),
            }
        }
        let take = send.capacity().min(want);
        self.held = Bytes::copy_from_slice(&data[..take]);
        Poll::Ready(Ok(take))
    }

    fn poll_end(&mut self, trailers: Option<&Headers>, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let fields = trailers.map(h2_head::write_trailers).filter(|fields| !fields.is_empty());
        self.send_held(fields.is_none())?;
        let Some(mut send) = self.send.take() else { return Poll::Ready(Ok(())) };
        Poll::Ready(fields.map_or(Ok(()), |fields| send.send_trailers(fields).map_err(broken)))
    }

    /// The task of the connection writes.
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(self.send_held(false))
    }
}
