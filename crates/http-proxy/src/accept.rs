//! A new client connection: who it is, whether it is secret, and what it speaks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tls::{ClientIdentity, Hello, HelloReader, Sniffed};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::cluster::ClusterId;
use crate::engine::{Conn, Worker};
use crate::io::{Io, Plain, Raw};
use crate::listener::{HttpSettings, ListenerSettings, ProxyProtocolIn, Serve, StreamSettings, Tls, TlsChoice};
use crate::peer::{Peer, PeerTls};
use crate::policy::Policy;
use crate::proxy_header::{self, Said};
use crate::stop::Stop;
use crate::{h1_server, h2_server, stream};

/// RFC 8446 allows more; nobody's hello is this long.
const LONGEST_HELLO: usize = 32 * 1024;

/// What the connection is for, once that is known.
enum Use {
    Http(Arc<HttpSettings>),
    Stream(Arc<StreamSettings>, Option<ClusterId>),
}

pub(crate) async fn welcome<P: Policy>(
    worker: Arc<Worker<P>>,
    settings: ListenerSettings,
    plain: Plain,
    direct: Option<SocketAddr>,
    stop: Stop,
) {
    let local = plain.local_address();
    let mut peer = Peer {
        listener: Arc::clone(&settings.name),
        connection: worker.shared.next_connection(),
        client: direct,
        direct,
        local,
        tls: None,
    };
    let needs_time = settings.tls.is_some()
        || settings.proxy_protocol != ProxyProtocolIn::Off
        || matches!(&settings.serve, Serve::Stream(stream) if stream.look_for_name);
    let raw = Raw::new(plain);
    let opened = if needs_time {
        match timeout(settings.handshake_timeout, Box::pin(open(&settings, raw, &mut peer))).await {
            Ok(opened) => opened,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")),
        }
    } else {
        Ok((Io::Raw(raw), usual(&settings.serve)))
    };
    let (io, used) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            worker.view().world.policy.on_refused(&settings.name, &error.to_string());
            return;
        }
    };
    worker.view().world.policy.on_open(&peer);
    drop(settings);
    let peer = Arc::new(peer);
    let open = Open { worker: Arc::clone(&worker), peer: Arc::clone(&peer) };
    match used {
        Use::Http(http) => {
            let is_http2 = peer.tls.as_ref().and_then(|tls| tls.alpn.as_deref()) == Some("h2");
            let conn = Arc::new(Conn::new(worker, peer, http, stop));
            if is_http2 {
                Box::pin(h2_server::serve(&conn, io)).await;
            } else {
                h1_server::serve(&conn, io).await;
            }
        }
        Use::Stream(settings, cluster) => Box::pin(stream::serve(&worker, &peer, &settings, cluster, io)).await,
    }
    drop(open);
}

fn usual(serve: &Serve) -> Use {
    match serve {
        Serve::Http(http) => Use::Http(Arc::clone(http)),
        Serve::Stream(stream) => Use::Stream(Arc::clone(stream), None),
    }
}

async fn open(settings: &ListenerSettings, mut raw: Raw, peer: &mut Peer) -> io::Result<(Io, Use)> {
    if settings.proxy_protocol != ProxyProtocolIn::Off {
        let said = proxy_header::read(&mut raw, settings.proxy_protocol == ProxyProtocolIn::Required).await?;
        if let Said::Addresses { client, local } = said {
            (peer.client, peer.local) = (Some(client), Some(local));
        }
    }
    let used = usual(&settings.serve);
    let config = match &settings.tls {
        Some(Tls::Terminate(config)) => config(),
        Some(Tls::ByName(choose)) => {
            let hello = peek(&mut raw).await?.ok_or_else(|| invalid("the client does not speak TLS"))?;
            match choose(hello.server_name.as_deref()) {
                TlsChoice::Terminate(config) => config,
                TlsChoice::PassThrough(cluster) => {
                    peer.tls = Some(passed_through(hello));
                    let stream = match &settings.serve {
                        Serve::Stream(stream) => Arc::clone(stream),
                        Serve::Http(_) => Arc::default(),
                    };
                    return Ok((Io::Raw(raw), Use::Stream(stream, Some(cluster))));
                }
                TlsChoice::Refuse => return Err(invalid("no certificate for the name asked for")),
            }
        }
        None => {
            if matches!(&settings.serve, Serve::Stream(stream) if stream.look_for_name) {
                peer.tls = peek(&mut raw).await?.map(passed_through);
            }
            return Ok((Io::Raw(raw), used));
        }
    };
    let (io, tls) = terminate(config, raw).await?;
    peer.tls = Some(tls);
    Ok((io, used))
}

/// In words that an operator can act on.
fn explained(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(cause) => io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {}", tls::explain_client(cause))),
        None => error,
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

async fn terminate(config: Arc<ServerConfig>, raw: Raw) -> io::Result<(Io, PeerTls)> {
    let stream = TlsAcceptor::from(config).accept(raw).await.map_err(explained)?;
    let session = stream.get_ref().1;
    let certificates: Vec<CertificateDer<'static>> =
        session.peer_certificates().unwrap_or_default().iter().map(|der| der.clone().into_owned()).collect();
    let tls = PeerTls {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default(),
        server_name: session.server_name().map(Into::into),
        alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into()),
        // A certificate that the handshake has verified can be read; if not, it says nothing.
        identity: certificates.first().and_then(|own| ClientIdentity::of(own).ok()).map(Arc::new),
        certificates,
    };
    Ok((Io::Server(Box::new(stream)), tls))
}

/// The server name of a TLS hello; everything that was read is read again by whoever comes next. None: it is not TLS.
async fn peek(raw: &mut Raw) -> io::Result<Option<Hello>> {
    let (mut reader, mut seen) = (HelloReader::default(), Vec::new());
    loop {
        let mut piece = [0; 2048];
        let read = raw.read(&mut piece).await?;
        seen.extend_from_slice(&piece[..read]);
        let hello = match reader.feed(&piece[..read]) {
            Sniffed::More if read == 0 || seen.len() > LONGEST_HELLO => None,
            Sniffed::More => continue,
            Sniffed::Hello(hello) => Some(hello),
            Sniffed::NotTls => None,
        };
        raw.push_back(seen);
        return Ok(hello);
    }
}

fn passed_through(hello: Hello) -> PeerTls {
    PeerTls { server_name: hello.server_name.map(Into::into), ..PeerTls::default() }
}

/// Says that the connection is closed, however it ends.
struct Open<P: Policy> {
    worker: Arc<Worker<P>>,
    peer: Arc<Peer>,
}

impl<P: Policy> Drop for Open<P> {
    fn drop(&mut self) {
        self.worker.view().world.policy.on_close(&self.peer);
    }
}
