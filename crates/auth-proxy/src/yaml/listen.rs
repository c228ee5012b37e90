//! `listen` and `tls`: where clients come in, and how.

use std::path::PathBuf;

use common::config::Section;
use tls::{Certificate, ClientCertificates, Identity, ServerTls};
use values::ListenAddr;

use crate::listen::Listener;

/// The addresses, and the port of https for those who come without.
pub(super) fn listeners(root: &mut Section) -> (Vec<Listener>, Option<u16>) {
    let mut first = Listener::plain(root.parsed("listen").unwrap_or(ListenAddr::Any(4180)));
    first.mode = root.parsed::<Mode>("listen_mode").map(|Mode(mode)| mode);
    if first.mode.is_some() && !matches!(first.addr, ListenAddr::Unix(_)) {
        root.problem("listen_mode: expected a socket file to listen on");
    }
    let Some(mut section) = root.section("tls") else { return (vec![first], None) };
    let redirect_from: Option<ListenAddr> = section.parsed("redirect_from");
    first.tls = Some(server(&mut section));
    let port = first.addr.port();
    let mut listeners = vec![first];
    let Some(from) = redirect_from else { return (listeners, None) };
    // Behind a Service the port that people see is another one.
    let shown = section.parsed("redirect_to").or(port);
    listeners.push(Listener { what: "redirect", ..Listener::plain(from) });
    (listeners, shown)
}

fn server(section: &mut Section) -> ServerTls {
    let usual = ServerTls::default();
    let certificate: Option<PathBuf> = section.required("cert_file");
    let key: Option<PathBuf> = section.required("key_file");
    let identity = certificate.zip(key).map(|(certificate, key)| Identity { certificate, key });
    let roots = section.parsed("client_ca_file");
    let asked = section.parsed::<String>("client_certificates");
    let clients = ClientCertificates::asked(asked.as_deref(), roots).unwrap_or_else(|problem| {
        section.problem(problem);
        ClientCertificates::Ignored
    });
    ServerTls {
        certificates: identity.map(Certificate::from).into_iter().collect(),
        clients,
        min_version: section.parsed("min_version").unwrap_or(usual.min_version),
        cipher_suites: section.list("cipher_suites"),
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        ..usual
    }
}

/// `0660`.
struct Mode(u32);

impl std::str::FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        crate::listen::mode(text).map(Self).ok_or("expected a mode such as 0660")
    }
}
