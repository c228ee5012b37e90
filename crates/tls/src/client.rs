//! The client half: how to speak TLS to a server, and the rustls configuration it makes.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::listed::ListedVerifier;
use crate::{Error, Identity, Roots, provider, version1};

/// What a client needs to know. TLS 1.2 is the oldest version spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    pub roots: Roots,
    /// Where the system's bundle is, when it is not at a usual place (a sidecar passes SSL_CERT_FILE here).
    pub system_bundle: Option<PathBuf>,
    /// Our own certificate, for a server that asks for one.
    pub identity: Option<Identity>,
    /// Talks to whoever answers. Only for an operator who asked for exactly that.
    pub dangerously_skip_verification: bool,
    /// How the operator spells the setting that fills `roots`, for error texts.
    pub ca_setting: String,
}

impl Default for ClientTls {
    fn default() -> Self {
        Self {
            roots: Roots::System,
            system_bundle: None,
            identity: None,
            dangerously_skip_verification: false,
            ca_setting: "ca_file".into(),
        }
    }
}

impl ClientTls {
    /// Reads the files and builds the configuration. Call it late and again: that is how rotation works.
    pub fn load(&self) -> Result<ClientConfig, Error> {
        let provider = provider();
        let verifier: Arc<dyn ServerCertVerifier> = if self.dangerously_skip_verification {
            Arc::new(AnyServer(Arc::clone(&provider)))
        } else {
            let trust = self.roots.load(self.system_bundle.as_deref())?;
            let webpki = webpki_verifier(trust.store, Arc::clone(&provider))?;
            Arc::new(ListedVerifier::new(webpki, &trust.listed))
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::text(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.load()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| identity.refused(&error))?
            }
        };
        // A few connections an hour: a session cache costs memory and saves nothing.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// For a client that is only going to speak plain http but must be given some configuration: costs no file
/// and no memory, and refuses every server should it be used after all.
pub fn trusting_nobody() -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::text(error.to_string()))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn webpki_verifier(store: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
    builder.build().map_err(|error| Error::text(error.to_string()))
}

/// Accepts every certificate, also those of version 1. The signatures are still checked: a damaged handshake is not a choice.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match version1::public_key(certificate) {
            // rustls checks none of these with a bare key. Nobody asked who it is, so nothing is lost by it.
            Some(_) => Ok(HandshakeSignatureValid::assertion()),
            None => verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        match version1::public_key(certificate) {
            Some(key) => verify_tls13_signature_with_raw_key(message, &key[..].into(), signature, known),
            None => verify_tls13_signature(message, certificate, signature, known),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
