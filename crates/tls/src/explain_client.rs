//! A failed handshake with a client, in words an operator can act on.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Why a client was turned away, or went away.
pub fn explain_client(error: &Error) -> String {
    match error {
        Error::NoCertificatesPresented => "the client showed no certificate, and one is required".into(),
        Error::InvalidCertificate(reason) => certificate(reason),
        Error::InvalidMessage(_) => "the client does not speak TLS (plain http on a TLS port?)".into(),
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon) => {
            "the client has no cipher in common with this server".into()
        }
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => "the client speaks no TLS version that is allowed here".into(),
        Error::NoApplicationProtocol => "the client asked by ALPN for protocols that are not spoken here".into(),
        Error::General(text) if text.contains("no server certificate chain resolved") => {
            "the client asked for a server name that is not served here".into()
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
        ) => "the client does not trust our certificate".into(),
        Error::AlertReceived(AlertDescription::CertificateExpired) => "the client found our certificate expired".into(),
        Error::AlertReceived(alert) => {
            format!("the client ended the handshake with the alert {}", alert.as_str().unwrap_or("unknown"))
        }
        other => other.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
    }
}

fn certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => "the client's certificate is from an unknown issuer".into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the client's certificate has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the client's certificate is not valid yet: are the clocks right?".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the client's certificate is not made for clients (extendedKeyUsage)".into()
        }
        CertificateError::BadSignature => "the client's certificate has a wrong signature".into(),
        CertificateError::Revoked => "the client's certificate was revoked".into(),
        _ => "the client's certificate was refused".into(),
    }
}
