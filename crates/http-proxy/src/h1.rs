//! An HTTP/1 connection, from either side: heads and bodies in and out over one [`Io`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http1::{Body, Decoder, Headers, Limits, Method, Next, RequestHead, ResponseHead, Scan, Version};
use tokio::io::AsyncWrite;

use crate::buffer::Buffer;
use crate::io::Io;
use crate::side::{Broken, Side};
use crate::spare;

/// Below this it is cheaper to copy data behind the head than to hand the kernel two pieces.
const SMALL: usize = 2 * 1024;

#[derive(Debug)]
pub(crate) struct H1 {
    pub(crate) io: Io,
    pub(crate) input: Buffer,
    scan: Scan,
    decoder: Decoder,
    output: Vec<u8>,
    output_at: usize,
    chunked: bool,
    end_is_staged: bool,
    /// The protocol is not HTTP any more: bytes, until both have ended.
    tunnel: bool,
    /// Bytes that went out since the last head was staged.
    pub(crate) written: u64,
    /// Of the last head that came in.
    pub(crate) head_bytes: u64,
    /// Whether anything came in since then.
    pub(crate) heard: bool,
    /// The other side will send nothing more.
    pub(crate) eof: bool,
}

impl H1 {
    pub(crate) fn new(io: Io) -> Self {
        Self {
            io,
            input: Buffer::default(),
            scan: Scan::default(),
            decoder: Decoder::default(),
            output: Vec::new(),
            output_at: 0,
            chunked: false,
            end_is_staged: false,
            tunnel: false,
            written: 0,
            head_bytes: 0,
            heard: false,
            eof: false,
        }
    }

    /// Reads once, if there is room for more.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.eof {
            return Poll::Ready(Ok(0));
        }
        if self.input.is_empty() {
            match self.io.poll_may_read(cx) {
                Poll::Ready(may_read) => may_read?,
                Poll::Pending => {
                    self.input.let_go();
                    return Poll::Pending;
                }
            }
        }
        let read = ready!(self.input.poll_fill(&mut self.io, cx))?;
        self.eof = read == 0;
        self.heard |= read > 0;
        Poll::Ready(Ok(read))
    }

    /// The bytes of a whole head.
    fn poll_head(&mut self, limits: &Limits, is_response: bool, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        loop {
            let bytes = self.input.data();
            let found =
                if is_response { self.scan.find_response(bytes, limits)? } else { self.scan.find(bytes, limits)? };
            if let Some(end) = found {
                self.scan = Scan::default();
                return Poll::Ready(Ok(end));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(Broken::Syntax(http1::Error::Truncated)));
            }
        }
    }

    /// Reads the head of a request; its body follows.
    pub(crate) fn poll_request(
        &mut self,
        limits: &Limits,
        head: &mut RequestHead,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        let end = ready!(self.poll_head(limits, false, cx))?;
        http1::parse_request(&self.input.data()[..end], head)?;
        self.input.consume(end);
        self.head_bytes = end as u64;
        self.decoder = Decoder::new(head.body);
        Poll::Ready(Ok(()))
    }

    /// Reads the head of a response; its body follows.
    pub(crate) fn poll_response(
        &mut self,
        limits: &Limits,
        asked: &Method,
        head: &mut ResponseHead,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        let end = ready!(self.poll_head(limits, true, cx))?;
        if head.headers.memory() == 0 {
            *head = spare::response_head();
        }
        http1::parse_response(&self.input.data()[..end], asked, head)?;
        self.input.consume(end);
        self.decoder = Decoder::new(head.body);
        Poll::Ready(Ok(()))
    }

    pub(crate) fn stage_request(&mut self, head: &RequestHead) {
        self.begin(matches!(head.body, Body::Chunked | Body::UntilClose));
        http1::write_request(head, &mut self.output);
    }

    pub(crate) fn stage_response(&mut self, head: &ResponseHead, to: Version) {
        self.begin(head.body == Body::Chunked);
        http1::write_response(head, to, &mut self.output);
    }

    fn begin(&mut self, chunked: bool) {
        (self.chunked, self.end_is_staged, self.written) = (chunked, false, 0);
        self.heard = !self.input.is_empty();
        if self.output_at == self.output.len() {
            self.give_output();
            self.output = spare::output();
        }
    }

    /// From here on bytes, in both directions. What was read already is the beginning of it.
    pub(crate) fn become_tunnel(&mut self) {
        (self.tunnel, self.chunked) = (true, false);
        self.decoder = Decoder::new(Body::UntilClose);
    }

    /// Whether the body that comes in has been read to its end.
    pub(crate) fn is_read(&self) -> bool {
        self.decoder.is_done()
    }

    /// Nothing is left to write, nothing was read that nobody asked for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_read() && self.input.is_empty() && self.output_at == self.output.len() && !self.eof
    }

    /// Gives back what is not needed while the connection waits.
    pub(crate) fn rest(&mut self) {
        self.input.rest();
        self.give_output();
    }

    fn take_output(&mut self) {
        if self.output.capacity() == 0 {
            self.output = spare::output();
        }
    }

    fn give_output(&mut self) {
        if self.output_at == self.output.len() && self.output.capacity() > 0 {
            spare::keep_output(std::mem::take(&mut self.output));
            self.output_at = 0;
        }
    }

    /// Whether a kept connection is still good: there is nothing to read, not even its end.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        !self.eof
            && self.input.is_empty()
            && (self.io.poll_may_read(&mut cx).is_pending() || self.input.poll_fill(&mut self.io, &mut cx).is_pending())
    }

    fn poll_write_staged(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while self.output_at < self.output.len() {
            let wrote = ready!(Pin::new(&mut self.io).poll_write(cx, &self.output[self.output_at..]))?;
            self.wrote(wrote)?;
        }
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, bytes: usize) -> Result<(), Broken> {
        if bytes == 0 {
            return Err(Broken::Io(io::ErrorKind::WriteZero.into()));
        }
        self.written += bytes as u64;
        self.output_at += bytes;
        if self.output_at >= self.output.len() {
            self.output.clear();
            self.output_at = 0;
        }
        Ok(())
    }

    /// Head and data in one write.
    fn poll_write_both(&mut self, data: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        loop {
            let staged = self.output.len() - self.output_at;
            let wrote = if staged == 0 {
                ready!(Pin::new(&mut self.io).poll_write(cx, data))?
            } else {
                let parts = [IoSlice::new(&self.output[self.output_at..]), IoSlice::new(data)];
                ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &parts))?
            };
            if staged == 0 {
                self.written += wrote as u64;
                return if wrote == 0 {
                    Poll::Ready(Err(Broken::Io(io::ErrorKind::WriteZero.into())))
                } else {
                    Poll::Ready(Ok(wrote))
                };
            }
            self.wrote(wrote.min(staged))?;
            if wrote > staged {
                self.written += (wrote - staged) as u64;
                return Poll::Ready(Ok(wrote - staged));
            }
        }
    }
}

impl Side for H1 {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&[u8]>, Broken>> {
        loop {
            let (used, next) = self.decoder.next(self.input.data())?;
            self.input.consume(used);
            match next {
                Next::End => return Poll::Ready(Ok(None)),
                Next::Data(most) if !self.input.is_empty() => {
                    let data = self.input.data();
                    let most = usize::try_from(most).unwrap_or(usize::MAX).min(data.len());
                    return Poll::Ready(Ok(Some(&data[..most])));
                }
                Next::Data(_) | Next::More => {
                    if ready!(self.poll_fill(cx))? == 0 {
                        self.decoder.ended()?;
                    }
                }
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.decoder.took(bytes as u64);
    }

    fn trailers(&mut self) -> Option<Box<Headers>> {
        self.decoder.trailers()
    }

    fn poll_send(&mut self, data: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        if !self.chunked && data.len() >= SMALL {
            return self.poll_write_both(data, cx);
        }
        // Whatever is staged beside a head was not taken by the socket: no more until it is.
        if self.output.len() - self.output_at > 4 * SMALL {
            ready!(self.poll_write_staged(cx))?;
        }
        self.take_output();
        if self.chunked {
            http1::write_chunk_start(data.len(), &mut self.output);
        }
        self.output.extend_from_slice(data);
        if self.chunked {
            self.output.extend_from_slice(b"\r\n");
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_end(&mut self, trailers: Option<&Headers>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.chunked && !self.end_is_staged {
            self.take_output();
            http1::write_last_chunk(trailers, &mut self.output);
            self.end_is_staged = true;
        }
        ready!(self.poll_flush(cx))?;
        if self.tunnel {
            // The other direction goes on.
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        ready!(self.poll_write_staged(cx))?;
        self.give_output();
        if self.io.needs_flush() {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}
