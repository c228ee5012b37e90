//! Versions and cipher suites by the names of their specifications.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::{Error, provider};

/// What rustls speaks. Older versions are broken and nobody here can switch them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

impl FromStr for TlsVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            _ => Err("expected 1.2 or 1.3"),
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        })
    }
}

static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// The versions from the one to the other, newest first.
pub(crate) fn between(min: TlsVersion, max: TlsVersion) -> Result<&'static [&'static SupportedProtocolVersion], Error> {
    match (min, max) {
        (TlsVersion::V1_2, TlsVersion::V1_2) => Ok(&BOTH[1..]),
        (TlsVersion::V1_2, TlsVersion::V1_3) => Ok(&BOTH),
        (TlsVersion::V1_3, TlsVersion::V1_3) => Ok(&BOTH[..1]),
        (TlsVersion::V1_3, TlsVersion::V1_2) => {
            Err(Error::text("the oldest TLS version is 1.3 and the newest 1.2: there is none between them"))
        }
    }
}

/// Every suite there is, as the IANA registry names it: `TLS13_AES_128_GCM_SHA256`,
/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
pub fn suite_names() -> Vec<String> {
    provider().cipher_suites.iter().map(name).collect()
}

fn name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite())
}

/// The provider with only these suites, in this order. None named means all of them, those with SHA-256 first: processors
/// have instructions for it and none for SHA-384, which costs a fifth of a handshake and makes nothing safer here.
pub(crate) fn with_suites(names: &[String]) -> Result<Arc<CryptoProvider>, Error> {
    let all = provider();
    if names.is_empty() {
        let mut cipher_suites = all.cipher_suites.clone();
        cipher_suites.sort_by_key(|suite| (suite.tls13().is_none(), !name(suite).contains("AES_128")));
        return Ok(Arc::new(CryptoProvider { cipher_suites, ..(*all).clone() }));
    }
    let find = |wanted: &String| {
        let found = all.cipher_suites.iter().find(|suite| name(suite) == *wanted);
        found.copied().ok_or_else(|| {
            Error::text(format!("cipher suite \"{wanted}\": expected one of {}", suite_names().join(", ")))
        })
    };
    let cipher_suites = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(CryptoProvider { cipher_suites, ..(*all).clone() }))
}
