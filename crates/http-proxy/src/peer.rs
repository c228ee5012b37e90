//! Who is at the other end of a client connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

/// Known once per connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Of the listener that took it.
    pub listener: Arc<str>,
    /// Different for each connection of the process.
    pub connection: u64,
    /// The client: as the PROXY header says, else the other end of the socket. None on a unix socket.
    pub client: Option<SocketAddr>,
    /// The other end of the socket, whatever a PROXY header says.
    pub direct: Option<SocketAddr>,
    /// Where it came in: as the PROXY header says, else our end of the socket.
    pub local: Option<SocketAddr>,
    pub tls: Option<PeerTls>,
}

/// What the handshake said.
#[derive(Clone, Debug, Default)]
pub struct PeerTls {
    /// "TLSv1.3"; empty when TLS is only passed through.
    pub version: &'static str,
    pub cipher: &'static str,
    pub server_name: Option<Box<str>>,
    pub alpn: Option<Box<str>>,
    /// The client's, its own first; verified by the configuration of the listener. Empty: it showed none.
    pub certificates: Vec<CertificateDer<'static>>,
    /// What the first of them says of its owner.
    pub identity: Option<Arc<tls::ClientIdentity>>,
}

impl Peer {
    pub fn ip(&self) -> Option<IpAddr> {
        self.client.map(|address| address.ip())
    }

    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
