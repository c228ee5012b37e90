//! What outputs say about the servers they speak to: host, port, TLS, credentials.

use std::{path::PathBuf, sync::Arc};

use http_client::{Auth, SecretSource};
use tls::{ClientTls, Identity, Roots};
use values::Secret;

use super::classic::{Document, Variables};
use crate::{
    dialect::section::Section,
    output::{gzip::Compression, web::Web},
};

/// Where there is one server, or a file that lists several.
pub(super) struct Net {
    pub(super) servers: Vec<(String, u16)>,
    pub(super) tls: Option<ClientTls>,
    /// The name that a certificate must have, where it is not the host.
    pub(super) tls_name: Option<String>,
}

/// Connections are kept, resolved and given up as the client does it.
const CONNECTIONS: [&str; 2] = ["workers", "buffer_size"];

impl Net {
    pub(super) fn read(section: &mut Section, port: u16, variables: &Variables) -> Self {
        let host = section.text("host").unwrap_or_else(|| "127.0.0.1".into());
        let port = section.read("port", port_number).unwrap_or(port);
        let servers = upstream(section, port, variables).unwrap_or_else(|| vec![(host, port)]);
        let is_on = section.switch("tls").unwrap_or(false);
        let tls_name = section.text("tls.vhost");
        let tls = tls(section);
        section.refused(&["net.source_address"], "a source address cannot be chosen");
        section.no_effect(&CONNECTIONS);
        section.no_effect_beginning("net.");
        Self { servers, tls: is_on.then_some(tls), tls_name }
    }

    /// For what is spoken to by HTTP, at this path.
    pub(super) fn web(self, section: &mut Section, path: &str) -> Web {
        if self.tls_name.is_some() {
            section.problem("tls.vhost: the name of a certificate is that of Host: give the name as Host");
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = |(host, port): &(String, u16)| {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
            format!("{scheme}://{host}:{port}{path}")
        };
        let mut web = Web::new(self.servers.iter().map(url).collect());
        if let Some(tls) = self.tls {
            web.tls = Arc::new(tls);
        }
        web.auth = basic(section, "http_user", "http_passwd");
        web.compression = compression(section);
        web
    }
}

fn port_number(text: &str) -> Result<u16, &'static str> {
    text.parse().ok().filter(|port| *port > 0).ok_or("expected a number 1-65535")
}

/// The nodes of an `Upstream` file.
fn upstream(section: &mut Section, port: u16, variables: &Variables) -> Option<Vec<(String, u16)>> {
    let entry = section.entry("upstream")?;
    let path = PathBuf::from(&entry.value);
    let root = path.parent().unwrap_or(&path).to_owned();
    let mut document = Document::new(&root, variables.clone(), section.findings());
    document.read(&path, Some(&entry.place));
    let mut servers = Vec::new();
    for mut part in std::mem::take(&mut document.sections) {
        part.no_effect(&["name"]);
        if part.kind == "node" {
            let host = part.text("host").unwrap_or_else(|| "127.0.0.1".into());
            servers.push((host, part.read("port", port_number).unwrap_or(port)));
        }
    }
    if servers.is_empty() {
        section.wrong(&entry, "expected a file with a [NODE] in it");
    }
    Some(servers)
}

fn tls(section: &mut Section) -> ClientTls {
    let mut tls = ClientTls { ca_setting: "tls.ca_file".into(), ..ClientTls::default() };
    if let Some(path) = section.text("tls.ca_file") {
        tls.roots = Roots::File(path.into());
    }
    let place = section.place.clone();
    match (section.text("tls.crt_file"), section.text("tls.key_file")) {
        (Some(certificate), Some(key)) => {
            tls.identity = Some(Identity { certificate: certificate.into(), key: key.into() });
        }
        (None, None) => {}
        _ => section.findings().problem(&place, "tls.crt_file and tls.key_file go together"),
    }
    tls.dangerously_skip_verification = !section.switch("tls.verify").unwrap_or(true);
    if !tls.dangerously_skip_verification {
        let why = "the name is always checked: give the name of the certificate as Host, or tls.verify Off";
        section.refused_unless("tls.verify_hostname", true, why);
    }
    section.no_effect(&["tls.debug", "tls.verify_hostname", "tls.verify_client_cert"]);
    section.refused(&["tls.key_passwd"], "keys with a password are not read: expected a key without one");
    section.refused(&["tls.ca_path"], "directories are not read: expected tls.ca_file, one file with all certificates");
    let why = "TLS 1.2 and 1.3 with their safe ciphers are always on, and nothing else";
    for key in ["tls.min_version", "tls.max_version"] {
        // What is always so may be said.
        let is_so = |value: &str| key == "tls.min_version" && value.eq_ignore_ascii_case("TLSv1.2");
        match section.entry(key) {
            Some(entry) if !is_so(&entry.value) => section.say(&entry, why),
            _ => {}
        }
    }
    section.refused(&["tls.ciphers"], why);
    for entry in section.all_beginning("tls.proxy.") {
        section.say(&entry, "proxies are not used");
    }
    section.no_effect_beginning("tls.windows.");
    tls
}

pub(super) fn basic(section: &mut Section, user: &str, password: &str) -> Option<Auth> {
    let password = section.entry(password);
    let user = section.text(user)?;
    let password = SecretSource::Value(Secret::new(password.map(|entry| entry.value).unwrap_or_default()));
    Some(Auth::Basic { user, password })
}

pub(super) fn secret(section: &mut Section, key: &str) -> Option<SecretSource> {
    section.text(key).map(|text| SecretSource::Value(Secret::new(text)))
}

pub(super) fn compression(section: &mut Section) -> Compression {
    let read = |text: &str| match text.to_ascii_lowercase().as_str() {
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        _ => Err("expected gzip or zstd"),
    };
    section.read("compress", read).unwrap_or_default()
}
