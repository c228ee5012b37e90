//! PEM files: the blocks that were asked for, or a line that says what was found instead.

use std::path::Path;

use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use crate::Error;

/// Ten times the largest system bundle.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Every certificate of a bundle, in order; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = values::read_capped(path, LARGEST).map_err(Error::text)?;
    let mut found = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(&bytes) {
        // The parser's own text may quote a line of the file: the place is enough.
        let (kind, der) = block.map_err(|_| damaged(path, &bytes))?;
        if kind == SectionKind::Certificate {
            found.push(CertificateDer::from(der));
        }
    }
    match found.is_empty() {
        true => Err(Error::file(path, format!("no CERTIFICATE block found{}", instead(&bytes)))),
        false => Ok(found),
    }
}

/// The first private key of a file: PKCS#8, PKCS#1 (RSA) or SEC1 (EC).
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let bytes = values::read_capped(path, LARGEST).map_err(Error::text)?;
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(&bytes) {
        let (kind, der) = block.map_err(|_| damaged(path, &bytes))?;
        return Ok(match kind {
            SectionKind::PrivateKey => PrivatePkcs8KeyDer::from(der).into(),
            SectionKind::RsaPrivateKey => PrivatePkcs1KeyDer::from(der).into(),
            SectionKind::EcPrivateKey => PrivateSec1KeyDer::from(der).into(),
            _ => continue,
        });
    }
    if labels(&bytes).iter().any(|label| label == "ENCRYPTED PRIVATE KEY") {
        return Err(Error::file(path, "the private key is encrypted, expected one without a passphrase"));
    }
    Err(Error::file(path, format!("no PRIVATE KEY block found{}", instead(&bytes))))
}

fn damaged(path: &Path, bytes: &[u8]) -> Error {
    let begun = labels(bytes).len();
    Error::file(path, format!("damaged PEM text (expected BEGIN, base64 and END lines; {begun} blocks begin here)"))
}

/// " (found CERTIFICATE)": the usual mistake is two files swapped.
fn instead(bytes: &[u8]) -> String {
    let mut labels = labels(bytes);
    labels.dedup();
    if !labels.is_empty() {
        return format!(" (found {})", labels.join(", "));
    }
    match bytes {
        [] => " (the file is empty)".into(),
        [0x30, 0x81..=0x84, ..] => " (found DER: convert it with `openssl x509 -inform der`)".into(),
        _ => String::new(),
    }
}

/// What the BEGIN lines say. Only what looks like a label, so that a key pasted on one line is never repeated.
fn labels(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let label = |line: &str| Some(line.trim_start().strip_prefix("-----BEGIN ")?.split("-----").next()?.to_owned());
    text.lines()
        .filter_map(label)
        .filter(|label| {
            label.len() <= 32 && label.bytes().all(|b| b.is_ascii_uppercase() || b == b' ' || b.is_ascii_digit())
        })
        .take(16)
        .collect()
}
