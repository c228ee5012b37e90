//! Certificates of X.509 version 1, as `openssl x509 -req` makes them where nobody names extensions. rustls reads none; who
//! shows one only has to know that the key belongs to it, and clients may think of it what they like.

use rustls::SignatureAlgorithm;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

/// The pair, if this is such a certificate and the key is its.
pub(crate) fn pair(
    chain: &[CertificateDer<'static>],
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Option<CertifiedKey> {
    let parsed = parsed(chain.first()?)?;
    let key = provider.key_provider.load_private_key(key).ok()?;
    let is_its = key.public_key()?.as_ref() == parsed.public_key().raw;
    (is_its && key.algorithm() != SignatureAlgorithm::Anonymous).then(|| CertifiedKey::new(chain.to_vec(), key))
}

/// It has no alternative names: what people meant is the common name.
pub(crate) fn names(leaf: &CertificateDer<'_>) -> Option<Vec<String>> {
    let parsed = parsed(leaf)?;
    let names = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    Some(names.map(str::to_owned).collect())
}

/// The key of such a certificate, as it stands there.
pub(crate) fn public_key(leaf: &CertificateDer<'_>) -> Option<Vec<u8>> {
    Some(parsed(leaf)?.public_key().raw.to_vec())
}

fn parsed<'a>(leaf: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    (parsed.version() == X509Version::V1).then_some(parsed)
}
