//! Opens a connection to an endpoint: all addresses of a name, then PROXY header, then TLS.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ipnet::IpNet;
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::cluster::{self, UpstreamProtocol};
use crate::io::{Io, Plain, Raw};
use crate::peer::Peer;
use crate::proxy_header;

use super::member::{Member, Target};

/// RFC 8305 section 5: when the next address is tried beside the one that does not answer.
const STAGGER: Duration = Duration::from_millis(250);

/// Whom the connection is for.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) peer: &'a Peer,
    /// A tunnel: what the client says goes on as it is, without our TLS.
    pub(crate) bare: bool,
}

#[derive(Debug)]
pub(crate) struct ConnectError {
    pub(crate) text: String,
    /// Nobody listens there (yet).
    pub(crate) refused: bool,
    /// The name means nothing.
    pub(crate) unresolved: bool,
    /// It leads where no connection may be made to.
    pub(crate) forbidden: bool,
}

impl ConnectError {
    pub(crate) fn new(text: String) -> Self {
        Self { text, refused: false, unresolved: false, forbidden: false }
    }
}

pub(crate) async fn connect(
    member: &Member,
    settings: &cluster::Cluster,
    client: Client<'_>,
) -> Result<Io, ConnectError> {
    match timeout(settings.connect_timeout, open(member, settings, client)).await {
        Ok(result) => result,
        Err(_) => {
            let text = format!("{}: no connection within {:?}", member.label, settings.connect_timeout);
            Err(ConnectError::new(text))
        }
    }
}

async fn open(member: &Member, settings: &cluster::Cluster, client: Client<'_>) -> Result<Io, ConnectError> {
    let failed = |error: io::Error| ConnectError {
        refused: matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound),
        ..ConnectError::new(format!("{}: {error}", member.label))
    };
    let socket = match &member.target {
        Target::Unix(path) => Plain::Unix(UnixStream::connect(path).await.map_err(failed)?),
        Target::Tcp(name) => {
            let addresses = name.addresses().await.map_err(|text| ConnectError {
                unresolved: true,
                ..ConnectError::new(format!("{}: {text}", name.host()))
            })?;
            let addresses = allowed(&addresses, &settings.forbidden).ok_or_else(|| ConnectError {
                forbidden: true,
                ..ConnectError::new(format!("{}: no connection may be made to where it leads", member.label))
            })?;
            let stream = Box::pin(race(&addresses)).await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            Plain::Tcp(stream)
        }
    };
    let mut raw = Raw::new(socket);
    if let Some(version) = settings.proxy_protocol {
        let header = proxy_header::write(version, client.peer.client, client.peer.local);
        raw.write_all(&header).await.map_err(failed)?;
    }
    let Some(tls) = settings.tls.as_ref().filter(|_| !client.bare) else { return Ok(Io::Raw(raw)) };
    let mut config = (tls.config)().map_err(ConnectError::new)?;
    if settings.protocol == UpstreamProtocol::Http2 && config.alpn_protocols.is_empty() {
        let mut with_alpn = (*config).clone();
        with_alpn.alpn_protocols = vec![b"h2".to_vec()];
        config = with_alpn.into();
    }
    let host = match (&tls.server_name, &member.target) {
        (Some(name), _) => name.as_str(),
        (None, Target::Tcp(name)) => member.host.as_deref().unwrap_or(name.host()),
        (None, Target::Unix(_)) => "localhost",
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::new(format!("{host}: not a TLS server name")))?;
    let handshake = Box::pin(TlsConnector::from(config).connect(name, raw));
    let stream = handshake.await.map_err(|error| ConnectError::new(format!("{}: TLS: {error}", member.label)))?;
    Ok(Io::Client(Box::new(stream)))
}

/// The addresses that may be connected to. None: there are only others.
fn allowed<'a>(addresses: &'a Arc<[SocketAddr]>, forbidden: &[IpNet]) -> Option<Cow<'a, [SocketAddr]>> {
    if forbidden.is_empty() {
        return Some(Cow::Borrowed(addresses));
    }
    let may = |address: &&SocketAddr| !meanings(address.ip()).any(|ip| forbidden.iter().any(|net| net.contains(&ip)));
    let left: Vec<SocketAddr> = addresses.iter().filter(may).copied().collect();
    (!left.is_empty()).then_some(Cow::Owned(left))
}

/// The address, and the one of IPv4 that it leads to: written as IPv6, or through NAT64 (RFC 6052).
fn meanings(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let nat64 = match ip {
        IpAddr::V6(six) => match six.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                let [a, b] = high.to_be_bytes();
                let [c, d] = low.to_be_bytes();
                Some(IpAddr::from([a, b, c, d]))
            }
            _ => None,
        },
        IpAddr::V4(_) => None,
    };
    [ip.to_canonical()].into_iter().chain(nat64)
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Happy eyeballs: the first address, the next one when it fails or takes long, until one of them answers.
async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    if let [only] = addresses {
        return TcpStream::connect(only).await;
    }
    let mut left = interleaved(addresses).into_iter();
    let mut running: Vec<Attempt> = Vec::new();
    loop {
        if let Some(next) = left.next() {
            running.push(Box::pin(TcpStream::connect(next)));
        }
        let one = first(&mut running);
        let result = if left.len() == 0 {
            one.await
        } else {
            tokio::select! {
                result = one => result,
                () = sleep(STAGGER) => continue,
            }
        };
        if result.is_ok() || (running.is_empty() && left.len() == 0) {
            return result;
        }
    }
}

/// The families in turn, IPv6 first, as RFC 8305 section 4 has it.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (mut six, mut four): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().rev().copied().partition(SocketAddr::is_ipv6);
    let mut order = Vec::new();
    while !six.is_empty() || !four.is_empty() {
        order.extend(six.pop());
        order.extend(four.pop());
    }
    order
}

/// Whichever is done first; it is taken out.
async fn first(running: &mut Vec<Attempt>) -> io::Result<TcpStream> {
    std::future::poll_fn(|cx| {
        for index in 0..running.len() {
            if let Poll::Ready(result) = running[index].as_mut().poll(cx) {
                drop(running.swap_remove(index));
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    })
    .await
}
