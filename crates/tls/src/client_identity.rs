//! Who a client is, by the certificate it has proved to own.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

use crate::Error;

/// What a certificate says of its owner. It has been verified by the handshake, not here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientIdentity {
    /// As RFC 4514 writes it, most specific first: `CN=api,O=Example`.
    pub subject: String,
    pub issuer: String,
    /// The last common name of the subject.
    pub common_name: Option<String>,
    /// In hexadecimal, upper case.
    pub serial: String,
    pub dns: Vec<String>,
    pub uris: Vec<String>,
    pub emails: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// SHA-256 of the whole certificate, in hexadecimal.
    pub fingerprint: String,
}

impl ClientIdentity {
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| Error::text("the client's certificate is not an X.509 certificate"))?;
        let mut identity = Self {
            subject: spoken(parsed.subject()),
            issuer: spoken(parsed.issuer()),
            common_name: parsed.subject().iter_common_name().last().and_then(|cn| cn.as_str().ok()).map(str::to_owned),
            serial: hex(parsed.raw_serial(), |text, byte| write!(text, "{byte:02X}")),
            fingerprint: hex(digest(&SHA256, certificate).as_ref(), |text, byte| write!(text, "{byte:02x}")),
            ..Self::default()
        };
        // Absent or damaged: then it says nothing.
        if let Ok(Some(names)) = parsed.subject_alternative_name() {
            for name in &names.value.general_names {
                identity.add(name);
            }
        }
        Ok(identity)
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => self.dns.push((*name).to_owned()),
            GeneralName::URI(uri) => self.uris.push((*uri).to_owned()),
            GeneralName::RFC822Name(email) => self.emails.push((*email).to_owned()),
            GeneralName::IPAddress(bytes) => {
                let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
                let v6 = <[u8; 16]>::try_from(*bytes).map(|octets| IpAddr::from(Ipv6Addr::from(octets)));
                self.addresses.extend(v4.or(v6).ok());
            }
            _ => {}
        }
    }

    /// The SPIFFE ID. A certificate with several URIs is no SVID (SPIFFE X.509-SVID, section 2), so it has none.
    pub fn spiffe(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [only] if only.starts_with("spiffe://") => Some(only),
            _ => None,
        }
    }
}

fn hex(bytes: &[u8], print: impl Fn(&mut String, u8) -> std::fmt::Result) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = print(&mut text, *byte);
    }
    text
}

fn spoken(name: &X509Name<'_>) -> String {
    let mut parts = Vec::new();
    for rdn in name.iter_rdn() {
        let values = rdn.iter().map(|attribute| {
            let key = oid2abbrev(attribute.attr_type(), oid_registry())
                .map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
            match attribute.as_str() {
                Ok(text) => format!("{key}={}", escaped(text)),
                Err(_) => format!("{key}=#{}", hex(attribute.as_slice(), |text, byte| write!(text, "{byte:02x}"))),
            }
        });
        parts.push(values.collect::<Vec<_>>().join("+"));
    }
    parts.reverse();
    parts.join(",")
}

/// RFC 4514, section 2.4. Control characters too: this text goes into headers and logs.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', c]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            c if c.is_control() || !c.is_ascii() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_subject_can_end_a_line_or_pretend_to_be_another_part() {
        assert_eq!(escaped("a,CN=admin"), "a\\,CN=admin");
        assert_eq!(escaped("a\r\nx: y"), "a\\0D\\0Ax: y");
        assert_eq!(escaped(" #a "), "\\ #a\\ ");
        assert_eq!(escaped("#é"), "\\#\\C3\\A9");
    }
}
