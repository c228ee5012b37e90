//! A failed handshake in words an operator can act on. rustls' own texts are for programmers (UNIX seconds,
//! names of its types), so the cases that happen in practice are told here.

use std::time::{Duration, UNIX_EPOCH};

use rustls::{AlertDescription, CertificateError, Error};
use rustls_pki_types::UnixTime;

use crate::ClientTls;

impl ClientTls {
    /// Why the handshake with a server failed, and which setting changes it.
    pub fn explain(&self, error: &Error) -> String {
        one_line(&self.cause(error))
    }

    fn cause(&self, error: &Error) -> String {
        match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
                "the server certificate is from an unknown issuer: no CA in {} signed it (set {} to a PEM file with its CA)",
                self.roots.spoken(self.system_bundle.as_deref()),
                self.ca_setting,
            ),
            Error::InvalidCertificate(reason) => certificate(reason, &self.ca_setting),
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::InvalidMessage(_) => "the server does not speak TLS here (is it plain http?)".into(),
            Error::PeerIncompatible(_) => {
                "the server speaks no TLS version or cipher we accept (TLS 1.2 or newer)".into()
            }
            other => other.to_string(),
        }
    }

    /// The server's own complaint, most often about our certificate.
    fn alert(&self, alert: AlertDescription) -> String {
        let ours = self.identity.as_ref().map(|identity| identity.certificate.display().to_string());
        match (alert, ours) {
            (AlertDescription::CertificateRequired, _) | (AlertDescription::HandshakeFailure, None) => {
                "the server ended the handshake: it may require a client certificate, and none is configured".into()
            }
            (
                AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
                Some(path),
            ) => {
                format!("the server refused our client certificate {path}: it does not trust who signed it")
            }
            (AlertDescription::CertificateExpired, Some(path)) => {
                format!("the server refused our client certificate {path}: it expired")
            }
            (AlertDescription::ProtocolVersion, _) => {
                "the server speaks no TLS version we accept (TLS 1.2 or newer)".into()
            }
            (AlertDescription::UnrecognisedName, _) => "the server does not know the host name we asked for".into(),
            (other, _) => {
                format!("the server ended the handshake with the alert {}", other.as_str().unwrap_or("unknown"))
            }
        }
    }
}

fn certificate(reason: &CertificateError, ca_setting: &str) -> String {
    match reason {
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match presented.as_slice() {
                [] => format!("the server certificate names no host (no subjectAltName), expected {expected}"),
                names => {
                    let names: Vec<_> = names.iter().map(|name| bare_name(name)).collect();
                    format!("the server certificate is for {}, not for {expected}", names.join(", "))
                }
            }
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the server certificate expired on {}", date(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the server certificate is not valid before {} (is the clock right?)", date(*not_before))
        }
        CertificateError::Expired => "the server certificate expired".into(),
        CertificateError::NotValidForName => "the server certificate is for another host".into(),
        CertificateError::Revoked => "the server certificate was revoked".into(),
        CertificateError::BadSignature => {
            format!("the server certificate has a wrong signature: is its CA in {ca_setting} outdated?")
        }
        CertificateError::BadEncoding => "the server certificate is damaged".into(),
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "the server certificate is not made for servers (extendedKeyUsage)".into()
        }
        CertificateError::Other(inner) if inner.to_string() == "CaUsedAsEndEntity" => {
            format!(
                "the server certificate is a CA certificate (CA:TRUE): accepted only when {ca_setting} lists exactly this one"
            )
        }
        other => format!("the server certificate was refused: {other}"),
    }
}

/// webpki gives the names as `DnsName("a.example")` and `IpAddress(10.0.0.1)`.
fn bare_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`. A certificate may name any year; httpdate stops at 9999.
fn date(time: UnixTime) -> String {
    const YEAR_9999: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs().min(YEAR_9999)))
}

/// A certificate's names come from the other side: nothing of them may end the line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
