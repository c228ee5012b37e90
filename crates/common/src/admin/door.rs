//! The door of the admin port, for sidecars that guard it: what is spoken through a connection, and who is let in.

use std::{future::Future, io, pin::Pin};

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Guards every path of the port, probes too.
pub trait Door: Send + Sync + 'static {
    /// What is spoken through a connection that was just accepted: the connection itself, or TLS.
    fn open(&self, stream: TcpStream) -> Soon<'_, io::Result<Box<dyn Connection>>>;

    /// Whether a request with these headers may come in.
    fn admit<'a>(&'a self, headers: &'a HeaderMap) -> Soon<'a, Verdict>;
}

/// A request is let in, or answered at the door.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The status it is turned away with. None lets it in.
    pub refusal: Option<u16>,
    /// What the answer says in either case.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}
