//! Whom to trust: the system's CA bundle, a file, or both.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use crate::{Error, pem};

/// Where distributions put the bundle: Debian and Alpine, Fedora and RHEL, SUSE, then the old OpenSSL name.
pub const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Which certificates may have signed the other side's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// What the system trusts.
    #[default]
    System,
    /// Only what is in this PEM file.
    File(PathBuf),
    /// Both.
    SystemAnd(PathBuf),
}

/// The system's bundle: the explicit path when one is given (a sidecar passes SSL_CERT_FILE here), else the
/// first usual place that exists.
pub fn system_bundle(explicit: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = explicit {
        return Ok(path.to_owned());
    }
    let found = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.is_file());
    found
        .map(Path::to_owned)
        .ok_or_else(|| Error::text(format!("no CA bundle on this system: looked for {}", SYSTEM_BUNDLES.join(", "))))
}

/// Roots, loaded.
pub(crate) struct Trust {
    pub(crate) store: RootCertStore,
    /// What the operator's own file lists: see `listed.rs`. The system's bundle holds no servers.
    pub(crate) listed: Vec<CertificateDer<'static>>,
}

impl Roots {
    pub(crate) fn load(&self, system: Option<&Path>) -> Result<Trust, Error> {
        let mut trust = Trust { store: RootCertStore::empty(), listed: Vec::new() };
        if let Self::System | Self::SystemAnd(_) = self {
            let path = system_bundle(system)?;
            // A bundle of 140 may hold one that rustls cannot read: nobody here can repair it.
            let (usable, _) = trust.store.add_parsable_certificates(pem::certificates(&path)?);
            if usable == 0 {
                return Err(Error::file(&path, "no usable certificate found"));
            }
        }
        if let Self::File(path) | Self::SystemAnd(path) = self {
            trust.listed = pem::certificates(path)?;
            for (index, certificate) in trust.listed.iter().enumerate() {
                // The operator's own file: a certificate that is silently left out is a puzzle later.
                trust
                    .store
                    .add(certificate.clone())
                    .map_err(|_| Error::file(path, format!("certificate {} is not an X.509 certificate", index + 1)))?;
            }
        }
        Ok(trust)
    }

    /// "/etc/tls/ca.crt": for error texts.
    pub(crate) fn spoken(&self, system: Option<&Path>) -> String {
        let bundle =
            || system_bundle(system).map_or_else(|_| "the system's CA bundle".into(), |p| p.display().to_string());
        match self {
            Self::System => bundle(),
            Self::File(path) => path.display().to_string(),
            Self::SystemAnd(path) => format!("{} or {}", bundle(), path.display()),
        }
    }
}
