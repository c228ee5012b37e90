//! The `--web.config.file` that Prometheus' exporters share: TLS, client certificates, passwords, headers, rate limit.
//!
//! What it says about algorithms is kept as far as rustls has them: TLS 1.2 is the oldest version, and suites without
//! forward secrecy do not exist. HTTP/2 may be asked for; HTTP/1.1 is what is spoken.

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use common::{Failure, config::Section};
use tls::{Certificate, ClientCertificates, Identity, ServerTls, TlsVersion};
use values::Span;
use web_config::{BadHash, Inline, Rate, Settings, Tls, Users};

use super::mapping::Bool;

/// Reads the file. Paths in it are seen from its folder.
pub fn read(path: &Path) -> Result<Settings, Failure> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut settings = common::config::read(path, |root| settings(root, folder))?;
    settings.files.push(path.to_owned());
    Ok(settings)
}

/// As [`read`], for text that is already here; `name` is what problems are prefixed with.
pub fn parse(name: &str, text: &str) -> Result<Settings, Failure> {
    common::config::parse(name, text, |root| settings(root, Path::new("")))
}

/// Whether the file and the certificates that it names can be used.
pub fn check(path: &Path) -> Result<(), Failure> {
    let settings = read(path)?;
    settings.check().map_err(|problem| Failure::config(format!("{}: {problem}", path.display())))
}

fn settings(root: &mut Section, folder: &Path) -> Settings {
    let tls = root.section("tls_server_config").and_then(|mut section| tls_of(&mut section, folder));
    let headers = root.section("http_server_config").map(|mut section| {
        let _: Option<Bool> = section.parsed("http2");
        section.each("headers", header)
    });
    let mut users = Users::default();
    for (name, hash) in root.each("basic_auth_users", user) {
        // It was tried already.
        let _ = users.add(&name, &hash);
    }
    let rate = root.section("rate_limit").and_then(|mut section| rate(&mut section));
    Settings { tls, headers: headers.unwrap_or_default(), users, rate, files: Vec::new() }
}

fn user(name: &str, hash: &str) -> Result<(String, String), BadHash> {
    Users::default().add(name, hash).map(|()| (name.to_owned(), hash.to_owned()))
}

fn rate(section: &mut Section) -> Option<Rate> {
    let burst = section.parsed("burst").map_or(0, |Whole(number)| number);
    let interval = section.parsed("interval").map_or(Duration::ZERO, |Span(interval)| interval);
    if interval.is_zero() {
        return None;
    }
    if burst == 0 {
        section.problem("burst: expected 1 or more: with none, nobody is let in");
    }
    Some(Rate { burst, interval })
}

struct Whole(u32);

impl FromStr for Whole {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "expected a whole number, 0 or more")
    }
}

/// Which headers may be set, and to what.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

fn header(name: &str, value: &str) -> Result<(String, String), String> {
    let found = HEADERS.iter().find(|(known, _)| *known == name);
    let Some((_, values)) = found else {
        return Err(format!("expected one of {}", HEADERS.map(|(name, _)| name).join(", ")));
    };
    if !values.is_empty() && !values.contains(&value) {
        return Err(format!("\"{value}\": expected {}", values.join(" or ")));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("{value:?}: expected one line"));
    }
    Ok((name.to_ascii_lowercase(), value.to_owned()))
}

fn tls_of(section: &mut Section, folder: &Path) -> Option<Tls> {
    let mut inline = Vec::new();
    let certificate = pem(section, "cert", folder, &mut inline);
    let key = pem(section, "key", folder, &mut inline);
    let roots = pem(section, "client_ca", folder, &mut inline);
    let auth: Option<ClientAuth> = section.parsed("client_auth_type");
    let allowed_names: Vec<String> = section.list("client_allowed_sans");
    let min = section.parsed("min_version").map_or(0x0303, |Version(number)| number);
    let max = section.parsed("max_version").map_or(0x0304, |Version(number)| number);
    let cipher_suites = suites(section);
    for Curve(_) in section.list::<Curve>("curve_preferences") {}
    let _: Option<Bool> = section.parsed("prefer_server_cipher_suites");
    if certificate.is_none() && key.is_none() && roots.is_none() && auth.is_none() {
        if !allowed_names.is_empty() {
            section.problem("client_allowed_sans: needs cert_file, key_file and client_auth_type");
        }
        return None;
    }
    if max < 0x0303 {
        section.problem("max_version: the oldest version that is spoken is TLS12");
    }
    if min > max.max(0x0303) {
        section.problem("min_version: newer than max_version");
    }
    for (found, keys) in [(&certificate, "cert or cert_file"), (&key, "key or key_file")] {
        if found.is_none() {
            section.problem(format!("missing one of {keys}"));
        }
    }
    let clients = clients(section, auth.unwrap_or_default(), roots);
    if clients == ClientCertificates::Ignored && !allowed_names.is_empty() {
        section.problem("client_allowed_sans: needs a client_auth_type that asks for certificates");
    }
    let version = |number: u16| if number > 0x0303 { TlsVersion::V1_3 } else { TlsVersion::V1_2 };
    let server = ServerTls {
        certificates: vec![Certificate::from(Identity { certificate: certificate?, key: key? })],
        clients,
        min_version: version(min),
        max_version: version(max),
        cipher_suites,
        alpn: vec![b"http/1.1".to_vec()],
        ..ServerTls::default()
    };
    Some(Tls { server, allowed_names, inline })
}

/// A file under `KEY_file`, or the text itself under `KEY`. The file wins.
fn pem(section: &mut Section, key: &str, folder: &Path, inline: &mut Vec<Inline>) -> Option<PathBuf> {
    let text: Option<String> = section.parsed::<String>(key).filter(|text| !text.is_empty());
    let file: Option<String> = section.parsed::<String>(&format!("{key}_file")).filter(|file| !file.is_empty());
    if let Some(file) = file {
        return Some(folder.join(file));
    }
    match Inline::new(&text?) {
        Ok(text) => {
            let path = text.path();
            inline.push(text);
            Some(path)
        }
        Err(error) => {
            section.problem(format!("{key}: cannot be kept: {error}"));
            None
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ClientAuth {
    #[default]
    None,
    /// Asked for, and neither needed nor looked at: the same as not asking.
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

impl FromStr for ClientAuth {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" | "NoClientCert" => Self::None,
            "RequestClientCert" => Self::Request,
            "RequireAnyClientCert" | "RequireClientCert" => Self::RequireAny,
            "VerifyClientCertIfGiven" => Self::VerifyIfGiven,
            "RequireAndVerifyClientCert" => Self::RequireAndVerify,
            _ => {
                return Err("expected NoClientCert, RequestClientCert, RequireAnyClientCert, \
                            VerifyClientCertIfGiven or RequireAndVerifyClientCert");
            }
        })
    }
}

fn clients(section: &Section, auth: ClientAuth, roots: Option<PathBuf>) -> ClientCertificates {
    match (auth, roots) {
        (ClientAuth::None, Some(_)) => {
            section.problem("client_ca: given without a client_auth_type that asks for certificates");
            ClientCertificates::Ignored
        }
        (ClientAuth::None | ClientAuth::Request, _) => ClientCertificates::Ignored,
        (ClientAuth::RequireAny, _) => ClientCertificates::Unverified,
        (ClientAuth::VerifyIfGiven, Some(roots)) => ClientCertificates::Optional { roots },
        (ClientAuth::RequireAndVerify, Some(roots)) => ClientCertificates::Required { roots },
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, None) => {
            section.problem("client_auth_type: needs client_ca_file, to know whose certificates are good");
            ClientCertificates::Ignored
        }
    }
}

struct Version(u16);

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "TLS10" => Ok(Self(0x0301)),
            "TLS11" => Ok(Self(0x0302)),
            "TLS12" => Ok(Self(0x0303)),
            "TLS13" => Ok(Self(0x0304)),
            _ => Err("expected TLS12 or TLS13"),
        }
    }
}

/// Only those of TLS 1.2 can be chosen; those of 1.3 are always there.
fn suites(section: &mut Section) -> Vec<String> {
    let known = tls::suite_names();
    let (newest, older): (Vec<_>, Vec<_>) = known.into_iter().partition(|name| name.starts_with("TLS13_"));
    let asked: Vec<String> = section.list("cipher_suites");
    if asked.is_empty() {
        return Vec::new();
    }
    // Go's names for two of them leave the hash out.
    let ours = |name: &String| match name.as_str() {
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => format!("{name}_SHA256"),
        _ => name.clone(),
    };
    for name in asked.iter().filter(|name| !is_suite(name)) {
        section.problem(format!("cipher_suites: \"{name}\": unknown, expected one of {}", older.join(", ")));
    }
    let chosen: Vec<_> = asked.iter().map(ours).filter(|name| older.contains(name)).collect();
    if chosen.is_empty() && asked.iter().all(|name| is_suite(name) && !name.starts_with("TLS_AES_")) {
        section.problem(format!("cipher_suites: none of them is spoken here, expected one of {}", older.join(", ")));
    }
    newest.into_iter().chain(chosen).collect()
}

/// By its form: what Go has and we do not is left out silently as long as something is left.
fn is_suite(name: &str) -> bool {
    let body = name.strip_prefix("TLS_").unwrap_or_default();
    let has_form = body.contains("_WITH_") || body.starts_with("AES_") || body.starts_with("CHACHA20_");
    has_form && body.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Checked, and then left to what both sides prefer.
struct Curve(());

impl FromStr for Curve {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "CurveP256" | "CurveP384" | "CurveP521" | "X25519" | "X25519MLKEM768" => Ok(Self(())),
            _ => Err("expected CurveP256, CurveP384, CurveP521 or X25519"),
        }
    }
}
