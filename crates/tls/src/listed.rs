//! Accepts a server whose own certificate is in the operator's CA file, byte for byte.
//!
//! `openssl req -x509` makes a self-signed certificate that calls itself a CA. People put it in the server and
//! in `ca_file`, and OpenSSL and Go accept that; webpki answers CaUsedAsEndEntity. This verifier asks webpki
//! first and gives a second chance to exactly two refusals:
//!
//! * `CaUsedAsEndEntity`: the certificate says CA:TRUE;
//! * `UnknownIssuer`: a server's ordinary certificate was listed instead of the CA that signed it.
//!
//! Why this is safe. The bytes are equal to a certificate the operator chose to trust as a CA, and the
//! handshake proves that the server holds its key: whoever holds that key could sign itself any ordinary server
//! certificate anyway, so nothing new is trusted. Validity: webpki checks the dates before it looks at CA:TRUE
//! or at the issuer, so an expired certificate never reaches the second chance (an update that changed this
//! order would fail `refuses_an_expired_listed_certificate`). The name is checked here, by webpki's own function.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// webpki, and then the list.
#[derive(Debug)]
pub(crate) struct ListedVerifier {
    webpki: Arc<WebPkiServerVerifier>,
    /// SHA-256 of each listed certificate: 32 bytes each, where a whole system bundle would be 150 KiB.
    listed: Vec<[u8; 32]>,
}

impl ListedVerifier {
    pub(crate) fn new(webpki: Arc<WebPkiServerVerifier>, listed: &[CertificateDer<'_>]) -> Self {
        Self { webpki, listed: listed.iter().filter_map(fingerprint).collect() }
    }

    fn lists(&self, certificate: &CertificateDer<'_>) -> bool {
        fingerprint(certificate).is_some_and(|seen| self.listed.contains(&seen))
    }
}

/// SHA-256 of the whole DER, signature included.
fn fingerprint(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    digest(&SHA256, certificate).as_ref().try_into().ok()
}

/// Only these two; every other refusal (dates, name, revocation, purpose, encoding) is final.
fn deserves_a_second_look(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            matches!(inner.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

impl ServerCertVerifier for ListedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(error) if deserves_a_second_look(&error) && self.lists(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
