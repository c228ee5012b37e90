//! The other side of the door: how the process's own health check comes in.

use std::{
    net::{IpAddr, Ipv4Addr, TcpStream},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use tls::{
    ClientCertificates, ClientTls, Identity,
    rustls::{
        ClientConnection, StreamOwned,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::Tls;

/// Speaks TLS to the port that has these settings. Whoever answers there has to show the very certificate that the
/// settings name: so neither its names nor its dates matter, and nobody else is told a password. `identity` is shown if
/// the port asks for one; nothing said is the port's own.
pub fn visit(
    tls: &Tls,
    identity: Option<Identity>,
    mut socket: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let own = &tls.server.certificates.first().ok_or("the port has no certificate")?.identity;
    let asks = tls.server.clients != ClientCertificates::Ignored;
    let client = ClientTls {
        identity: identity.or_else(|| asks.then(|| own.clone())),
        // Not by an authority, but below, byte for byte.
        dangerously_skip_verification: true,
        ..ClientTls::default()
    };
    let config = client.load().map_err(|error| error.to_string())?;
    let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(|error| error.to_string())?;
    }
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    let expected = CertificateDer::from_pem_file(&own.certificate)
        .map_err(|error| format!("{}: {error}", own.certificate.display()))?;
    if shown != Some(&expected) {
        return Err(format!("who answers there does not show the certificate in {}", own.certificate.display()));
    }
    Ok(StreamOwned::new(connection, socket))
}

/// The header that carries a name and a password, as a whole line.
pub fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{user}:{password}")))
}
