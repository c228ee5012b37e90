//! Where the peer listens: in the clear, with TLS, or both.

use tls::{Certificate, Identity, ServerTls, TlsVersion};
use values::ListenAddr;

use super::spoken::Spoken;
use crate::listen::{Listener, mode};

/// The addresses, and the port of https for those who have to come by it.
pub(super) fn listeners(said: &Spoken, problems: &mut Vec<String>) -> (Vec<Listener>, Option<u16>) {
    let mut listeners = Vec::new();
    let mut add = |name: &str, what: &'static str, tls: Option<ServerTls>| match address(said.text(name)) {
        Ok((addr, mode)) => listeners.push(Listener { what, addr, mode, tls }),
        Err(why) => problems.push(format!("{} \"{}\": {why}", said.place(name), said.text(name))),
    };
    let (certificate, key) = (said.said("tls-cert-file"), said.said("tls-key-file"));
    let secure = certificate.is_some() && key.is_some();
    // An empty address switches it off, as long as there is the other one.
    if !secure || !said.text("http-address").is_empty() {
        add("http-address", "proxy", None);
    }
    let identity = certificate.zip(key);
    if let Some((certificate, key)) = identity.filter(|_| !said.text("https-address").is_empty()) {
        let identity = Identity { certificate: certificate.into(), key: key.into() };
        add("https-address", "https", Some(ServerTls { certificates: vec![Certificate::from(identity)], ..tls(said) }));
    }
    if said.is_said("tls-cert-file") != said.is_said("tls-key-file") {
        problems.push("--tls-cert-file and --tls-key-file: expected both of them".into());
    }
    if !secure && (said.is_said("https-address") || said.is_said("tls-min-version")) {
        problems.push("--tls-cert-file: required with --https-address and --tls-min-version".into());
    }
    let version = said.text("tls-min-version");
    if !matches!(version, "" | "TLS1.2" | "TLS1.3") {
        problems.push(format!("{} \"{version}\": expected TLS1.2 or TLS1.3", said.place("tls-min-version")));
    }
    let known = tls::suite_names();
    for suite in said.list("tls-cipher-suite").iter().filter(|suite| !known.contains(suite)) {
        let known = known.join(", ");
        problems.push(format!("{} \"{suite}\": expected one of {known}", said.place("tls-cipher-suite")));
    }
    let port = address(said.text("https-address")).ok().and_then(|(addr, _)| addr.port());
    if said.truth("force-https") && port.is_none() {
        problems.push("--force-https: expected a port in --https-address".into());
    }
    (listeners, port.filter(|_| said.truth("force-https")))
}

fn tls(said: &Spoken) -> ServerTls {
    ServerTls {
        min_version: if said.text("tls-min-version") == "TLS1.3" { TlsVersion::V1_3 } else { TlsVersion::V1_2 },
        cipher_suites: said.list("tls-cipher-suite"),
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        ..ServerTls::default()
    }
}

fn address(text: &str) -> Result<(ListenAddr, Option<u32>), String> {
    if text.to_ascii_lowercase().starts_with("fd:") {
        return Err("sockets that are handed over are not supported".into());
    }
    // `unix:///run/x.sock,mode=0660`
    let (text, bits) = text.split_once(",mode=").map_or((text, None), |(text, bits)| (text, Some(bits)));
    let bits = bits.map(|bits| mode(bits).ok_or("expected a mode such as 0660")).transpose()?;
    let lower = text.to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme)).unwrap_or_default();
    let addr: ListenAddr = text[scheme.len()..].trim_end_matches('/').parse()?;
    Ok((addr, bits))
}
