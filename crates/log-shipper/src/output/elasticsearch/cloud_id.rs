//! A cloud id, as hosted clusters are named: `NAME:base64(DOMAIN$ELASTICSEARCH$KIBANA)`.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_STANDARD};

/// Where the cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudId {
    pub url: String,
}

impl FromStr for CloudId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a cloud id, NAME:BASE64, as the cluster's page shows it";
        let encoded = text.rsplit_once(':').map_or(text, |(_, encoded)| encoded);
        let plain = BASE64_STANDARD.decode(encoded).map_err(|_| EXPECTED)?;
        let plain = String::from_utf8(plain).map_err(|_| EXPECTED)?;
        let mut parts = plain.split('$');
        let (Some(domain), Some(cluster)) = (parts.next(), parts.next()) else { return Err(EXPECTED) };
        let (domain, all_ports) = with_port(domain, "443");
        let (cluster, port) = with_port(cluster, all_ports);
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        };
        if !is_name(domain) || !is_name(cluster) || port.parse::<u16>().is_err() {
            return Err(EXPECTED);
        }
        Ok(Self { url: format!("https://{cluster}.{domain}:{port}") })
    }
}

fn with_port<'a>(text: &'a str, otherwise: &'a str) -> (&'a str, &'a str) {
    text.split_once(':').unwrap_or((text, otherwise))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(plain: &str) -> Result<String, &'static str> {
        format!("my-cluster:{}", BASE64_STANDARD.encode(plain)).parse::<CloudId>().map(|id| id.url)
    }

    #[test]
    fn a_cloud_id_is_a_url() {
        assert_eq!(url("eu.example.io$abc$def").unwrap(), "https://abc.eu.example.io:443");
        assert_eq!(url("eu.example.io:9243$abc$").unwrap(), "https://abc.eu.example.io:9243");
        assert_eq!(url("eu.example.io:9243$abc:9244$def").unwrap(), "https://abc.eu.example.io:9244");
    }

    #[test]
    fn what_is_none_is_refused() {
        for plain in ["", "eu.example.io", "$abc", "eu.example.io$", "a/b$c", "a$b:x", "a$b@c"] {
            assert!(url(plain).is_err(), "{plain:?}");
        }
        assert!("my-cluster:***".parse::<CloudId>().is_err());
    }
}
