//! `upstreams`: where paths go.

use std::{path::PathBuf, str::FromStr, sync::Arc};

use common::config::Section;
use http_proxy::Address;
use tls::ClientTls;
use url::Url;
use values::Span;

use crate::{
    config::{To, Upstream},
    files::Files,
};

/// An app, by its address and the host that it is called; or what stands in for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    App { address: Address, host: String, tls: bool },
    Files(PathBuf),
    Status(u16),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected http://host:port, https://host:port, unix:/path, file:///folder or static://STATUS";
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let address = Address::Unix(path.into());
            return if path.starts_with('/') {
                Ok(Self::App { address, host: "localhost".into(), tls: false })
            } else {
                Err(EXPECTED)
            };
        }
        if let Some(path) = text.strip_prefix("file://") {
            return if path.starts_with('/') { Ok(Self::Files(path.into())) } else { Err(EXPECTED) };
        }
        if let Some(status) = text.strip_prefix("static://") {
            let status = status.parse().ok().filter(|status| (200..600).contains(status));
            return status.map(Self::Status).ok_or(EXPECTED);
        }
        let url = Url::parse(text).map_err(|_| EXPECTED)?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
        let is_http = matches!(url.scheme(), "http" | "https");
        let host = url.host_str().filter(|host| !host.is_empty() && is_bare && is_http).ok_or(EXPECTED)?;
        let port = url.port_or_known_default().ok_or(EXPECTED)?;
        let shown = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let address = Address::Tcp { host: host.trim_matches(['[', ']']).to_owned(), port };
        Ok(Self::App { address, host: shown, tls: url.scheme() == "https" })
    }
}

impl Place {
    pub fn local() -> Self {
        let address = Address::Tcp { host: "127.0.0.1".into(), port: 8080 };
        Self::App { address, host: "127.0.0.1:8080".into(), tls: false }
    }

    fn to(self, tls: ClientTls, dot_files: bool) -> To {
        match self {
            Self::App { address, host, tls: with } => To::App { address, host, tls: with.then(|| Arc::new(tls)) },
            Self::Files(root) => To::Files(Files { root, dot_files }),
            Self::Status(status) => To::Status(status),
        }
    }

    /// All paths, and nothing particular.
    pub fn alone(self) -> Upstream {
        Upstream {
            path: "/".into(),
            to: self.to(ClientTls::default(), false),
            timeout: None,
            keep_host: true,
            upgrade: true,
            keep_connections: true,
        }
    }
}

pub(super) fn upstream(section: &mut Section, notes: &mut Vec<String>) -> Upstream {
    let place: Option<Place> = section.required("to");
    let place = place.unwrap_or_else(Place::local);
    let path: String = section.parsed("path").unwrap_or_else(|| "/".into());
    if !path.starts_with('/') {
        section.problem(format!("path \"{path}\": expected a path, with / at its end for all below it"));
    }
    let is_files = matches!(place, Place::Files(_));
    if is_files && !path.ends_with('/') {
        section.problem(format!("path \"{path}\": expected a / at its end: a folder has more than one file"));
    }
    if section.has("dot_files") && !is_files {
        section.problem("dot_files: expected to: file:///folder with it");
    }
    let with_tls = matches!(place, Place::App { tls: true, .. });
    for key in ["ca_file", "client_certificate", "insecure_skip_verify"] {
        if section.has(key) && !with_tls {
            section.problem(format!("{key}: expected to: https://... with it"));
        }
    }
    let tls = http_client::client_tls(section, ClientTls::default());
    if tls.dangerously_skip_verification {
        notes.push(format!(
            "upstream {path}: its certificate is not verified: whoever is on the way can read and change all"
        ));
    }
    let dot_files = section.parsed("dot_files").unwrap_or(false);
    let common = place.to(tls, dot_files);
    Upstream {
        path,
        to: common,
        timeout: section.parsed("timeout").map(|Span(time)| time),
        keep_host: section.parsed("keep_host").unwrap_or(true),
        upgrade: section.parsed("websocket").unwrap_or(true),
        keep_connections: section.parsed("keep_connections").unwrap_or(true),
    }
}
