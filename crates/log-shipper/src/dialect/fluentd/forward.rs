//! `@type forward`: to another Fluentd.

use std::{sync::Arc, time::Duration};

use http_client::SecretSource;
use tls::{ClientTls, Identity, Roots};
use values::Secret;

use super::seconds;
use crate::{
    dialect::section::Section,
    output::{
        Ship,
        forward::{Address, Forward, Mode, Server, hostname},
    },
};

const PORT: u16 = 24224;
const WEIGHT: u32 = 60;
const ACK: Duration = Duration::from_secs(190);
const CONNECT: Duration = Duration::from_secs(10);
/// A server that fails is found out by sending, and left alone for a while.
const NO_EFFECT: [&str; 16] = [
    "send_timeout",
    "recover_wait",
    "hard_timeout",
    "heartbeat_type",
    "heartbeat_interval",
    "phi_failure_detector",
    "phi_threshold",
    "expire_dns_cache",
    "dns_round_robin",
    "ignore_network_errors_at_startup",
    "verify_connection_at_startup",
    "slow_flush_log_threshold",
    "keepalive_timeout",
    "tls_version",
    "tls_ciphers",
    "tls_verify_hostname",
];

pub(super) fn read(section: &mut Section) -> Option<Arc<dyn Ship>> {
    let mut security = section.child("security");
    let (name, shared_key) = match &mut security {
        Some(security) => (security.text("self_hostname"), secret(security, "shared_key")),
        None => (None, None),
    };
    drop(security);
    let mut servers = Vec::new();
    for mut inside in section.children_of("server") {
        servers.extend(server(&mut inside, shared_key.as_ref()));
    }
    if servers.is_empty() {
        section.problem("expected <server> in it");
    }
    let mode = section.read("compress", |text| match text {
        "text" => Ok(Mode::PackedForward),
        "gzip" => Ok(Mode::CompressedPackedForward),
        _ => Err("expected text or gzip"),
    });
    // Asked for unless somebody says no: without an acknowledgement a receiver that dies takes lines with it.
    let acks = section.switch("require_ack_response").unwrap_or(true);
    let ack = section.read("ack_response_timeout", seconds).unwrap_or(ACK);
    let connect_timeout = section.read("connect_timeout", seconds).unwrap_or(CONNECT);
    let forward = Forward {
        servers,
        mode: mode.unwrap_or(Mode::PackedForward),
        ack_timeout: acks.then_some(ack),
        connect_timeout,
        keeps_connections: section.switch("keepalive").unwrap_or(true),
        tls: tls(section),
        hostname: name.unwrap_or_else(hostname),
        tag: section.text("tag"),
        whole_seconds: section.switch("time_as_integer").unwrap_or(false),
    };
    section.no_effect(&NO_EFFECT);
    for inside in section.children_of("service_discovery") {
        inside.problem("expected <server> with the name of a service");
        inside.forget();
    }
    Some(Arc::new(forward))
}

fn server(section: &mut Section, shared_key: Option<&SecretSource>) -> Option<Server> {
    let port =
        section.read("port", |text| text.parse().ok().filter(|port| *port > 0).ok_or("expected a number 1-65535"));
    let (user, password) = (section.text("username"), secret(section, "password"));
    if user.is_some() != password.is_some() {
        section.problem("username and password go together");
    }
    let Some(host) = section.text("host") else {
        section.problem("host: required");
        return None;
    };
    Some(Server {
        address: Address::Tcp(host, port.unwrap_or(PORT)),
        weight: section.parsed("weight").unwrap_or(WEIGHT),
        is_standby: section.switch("standby").unwrap_or(false),
        tls_name: section.text("name"),
        shared_key: secret(section, "shared_key").or_else(|| shared_key.cloned()),
        login: user.zip(password),
    })
}

fn tls(section: &mut Section) -> Option<Arc<ClientTls>> {
    let is_on = section.read("transport", |text| match text {
        "tcp" => Ok(false),
        "tls" => Ok(true),
        _ => Err("expected tcp or tls"),
    });
    let mut tls = ClientTls { ca_setting: "tls_cert_path".into(), ..ClientTls::default() };
    let old = section.text("tls_ca_cert_path");
    if let Some(path) = section.text("tls_cert_path").or(old) {
        tls.roots = Roots::File(path.into());
    }
    let certificate = section.text("tls_client_cert_path");
    let key = section.text("tls_client_private_key_path");
    if certificate.is_some() != key.is_some() {
        section.problem("tls_client_cert_path and tls_client_private_key_path go together");
    }
    tls.identity =
        certificate.zip(key).map(|(certificate, key)| Identity { certificate: certificate.into(), key: key.into() });
    tls.dangerously_skip_verification = section.switch("tls_insecure_mode").unwrap_or(false);
    let signed = "expected tls_cert_path with that certificate";
    section.refused_unless("tls_allow_self_signed_cert", false, signed);
    section.refused(&["tls_client_private_key_passphrase"], "expected a key without a passphrase");
    is_on.unwrap_or(false).then(|| Arc::new(tls))
}

fn secret(section: &mut Section, key: &str) -> Option<SecretSource> {
    section.text(key).map(|text| SecretSource::Value(Secret::new(text)))
}
