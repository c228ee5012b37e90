//! One connection, whatever it runs on: TCP or a unix socket, bare or with TLS.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A socket, and what was read ahead of its reader (a PROXY header is longer than it looks, a TLS hello is read twice).
#[derive(Debug)]
pub(crate) struct Raw {
    socket: Plain,
    ahead: Vec<u8>,
}

#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Plain {
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl Raw {
    pub(crate) fn new(socket: Plain) -> Self {
        Self { socket, ahead: Vec::new() }
    }

    /// What the next reader sees first.
    pub(crate) fn push_back(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.ahead.is_empty(), "read only once");
        self.ahead = bytes;
    }
}

macro_rules! each {
    ($self:expr, $name:ident => $body:expr) => {
        match $self {
            Plain::Tcp($name) => $body,
            Plain::Unix($name) => $body,
        }
    };
}

impl AsyncRead for Raw {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let take = self.ahead.len().min(out.remaining());
            out.put_slice(&self.ahead[..take]);
            self.ahead.drain(..take);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        each!(&mut self.socket, socket => Pin::new(socket).poll_read(cx, out))
    }
}

impl AsyncWrite for Raw {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(&mut self.socket, socket => Pin::new(socket).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(&mut self.socket, socket => Pin::new(socket).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.socket, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.socket, socket => Pin::new(socket).poll_shutdown(cx))
    }
}

#[derive(Debug)]
pub(crate) enum Io {
    Raw(Raw),
    Server(Box<tokio_rustls::server::TlsStream<Raw>>),
    Client(Box<tokio_rustls::client::TlsStream<Raw>>),
}

impl Io {
    /// Pending: surely nothing is here, and the task is woken when there is. Cheaper than a read that finds nothing.
    pub(crate) fn poll_may_read(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Raw(Raw { socket: Plain::Tcp(stream), ahead }) if ahead.is_empty() => stream.poll_read_ready(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Whether what was written may still lie in a buffer of ours.
    pub(crate) fn needs_flush(&self) -> bool {
        !matches!(self, Self::Raw(_))
    }
}

macro_rules! any {
    ($self:expr, $name:ident => $body:expr) => {
        match $self {
            Io::Raw($name) => $body,
            Io::Server($name) => $body,
            Io::Client($name) => $body,
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        any!(&mut *self, io => Pin::new(io).poll_read(cx, out))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        any!(&mut *self, io => Pin::new(io).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        any!(&mut *self, io => Pin::new(io).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        any!(&mut *self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        any!(&mut *self, io => Pin::new(io).poll_shutdown(cx))
    }
}
