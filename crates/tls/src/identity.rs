//! Who we are: a certificate chain and its key, for mutual TLS.

use std::path::PathBuf;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, pem};

/// Two PEM files. They may be the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Our certificate first, then the intermediates.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    pub(crate) fn load(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        Ok((pem::certificates(&self.certificate)?, pem::private_key(&self.key)?))
    }

    /// What rustls says about a pair it refuses, in terms of the two files. Its own text is not repeated:
    /// it may describe the inside of the key.
    pub(crate) fn refused(&self, error: &rustls::Error) -> Error {
        match error {
            rustls::Error::InconsistentKeys(_) => Error::file(
                &self.key,
                format!("this key does not belong to the certificate in {}", self.certificate.display()),
            ),
            rustls::Error::InvalidCertificate(_) => {
                Error::file(&self.certificate, "the first certificate is not an X.509 certificate")
            }
            _ => Error::file(
                &self.key,
                "this private key cannot be used: expected RSA (2048 bits or more), ECDSA P-256, P-384 or Ed25519",
            ),
        }
    }
}
