//! TLS contexts, towards clients and towards apps.

use std::path::PathBuf;

use tls::{Certificate, ClientCertificates, ClientTls, Identity, Roots, ServerTls, TlsVersion};

use crate::{config::UpstreamTls, dialect::ciphers, pattern::TextPattern};

use super::{matcher, walk::Message};

const SERVER: &str = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const CLIENT: &str = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";

/// What both directions have in common.
#[derive(Default)]
struct Common {
    identities: Vec<Identity>,
    roots: Option<PathBuf>,
    names: Vec<TextPattern>,
    min: Option<TlsVersion>,
    max: Option<TlsVersion>,
    ciphers: Vec<String>,
    alpn: Vec<Vec<u8>>,
}

pub fn server_tls(socket: &mut Message, server_names: &[String]) -> Option<(ServerTls, Vec<TextPattern>)> {
    let mut context = context(socket, SERVER)?;
    let common = common(&mut context);
    let required = context.flag("require_client_certificate").unwrap_or(false);
    context.only("require_sni", &["false"]);
    context.ignore(&[
        "session_timeout",
        "ocsp_staple_policy",
        "full_scan_certs_on_sni_mismatch",
        "prefer_client_ciphers",
        "disable_stateful_session_resumption",
    ]);
    context.refuse(&["session_ticket_keys", "session_ticket_keys_sds_secret_config"]);
    let tickets = !context.flag("disable_stateless_session_resumption").unwrap_or(false);
    let clients = match (required, common.roots) {
        (true, Some(roots)) => ClientCertificates::Required { roots },
        (false, Some(roots)) => ClientCertificates::Optional { roots },
        (false, None) => ClientCertificates::Ignored,
        (true, None) => {
            context.problem("require_client_certificate: expected a trusted_ca too");
            ClientCertificates::Ignored
        }
    };
    if common.identities.is_empty() {
        context.problem("common_tls_context.tls_certificates: expected at least one");
    }
    let names = |identity| Certificate { identity, names: server_names.to_vec() };
    let server = ServerTls {
        certificates: common.identities.into_iter().map(names).collect(),
        clients,
        min_version: common.min.unwrap_or(TlsVersion::V1_2),
        max_version: common.max.unwrap_or(TlsVersion::V1_3),
        cipher_suites: common.ciphers,
        alpn: common.alpn,
        tickets,
        ..ServerTls::default()
    };
    Some((server, common.names))
}

pub fn upstream_tls(socket: &mut Message) -> Option<UpstreamTls> {
    let mut context = context(socket, CLIENT)?;
    let mut common = common(&mut context);
    let server_name = context.text("sni").filter(|name| !name.is_empty());
    context.ignore(&[
        "allow_renegotiation",
        "max_session_keys",
        "enforce_rsa_key_usage",
        "auto_host_sni",
        "auto_sni_san_validation",
    ]);
    if common.identities.len() > 1 {
        context.problem("common_tls_context.tls_certificates: expected at most one");
    }
    // The name in the handshake is the name that is checked.
    let checked =
        common.names.iter().all(|name| matches!(name, TextPattern::Exact(text) if Some(text) == server_name.as_ref()));
    if !checked {
        context.problem("match_typed_subject_alt_names: only the name in sni is supported here");
    }
    let client = ClientTls {
        // As Envoy does: without a trusted_ca nobody is verified.
        dangerously_skip_verification: common.roots.is_none(),
        roots: common.roots.map_or(Roots::System, Roots::File),
        identity: common.identities.pop(),
        ca_setting: "trusted_ca".into(),
        ..ClientTls::default()
    };
    Some(UpstreamTls { client, server_name })
}

fn context(socket: &mut Message, kind: &str) -> Option<Message> {
    let _ = socket.text("name");
    let Some((found, mut context)) = socket.typed("typed_config") else {
        socket.problem("typed_config: required");
        return None;
    };
    if found == kind {
        return Some(context);
    }
    context.ignore_all();
    // Plain text is what there is without a transport socket.
    if found != "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer" {
        socket.problem(format!("{found} is not supported here, only {kind}"));
    }
    None
}

fn common(context: &mut Message) -> Common {
    let mut found = Common::default();
    let Some(mut common) = context.message("common_tls_context") else { return found };
    if let Some(mut params) = common.message("tls_params") {
        found.min = version(&mut params, "tls_minimum_protocol_version");
        found.max = version(&mut params, "tls_maximum_protocol_version");
        let names = params.texts("cipher_suites");
        found.ciphers = ciphers::suites((!names.is_empty()).then(|| names.join(":")).as_deref());
        params.ignore(&["ecdh_curves", "signature_algorithms"]);
    }
    for mut certificate in common.messages("tls_certificates") {
        let chain = file(&mut certificate, "certificate_chain");
        let key = file(&mut certificate, "private_key");
        certificate.ignore(&["watched_directory", "ocsp_staple"]);
        certificate.refuse(&["password", "pkcs12", "private_key_provider", "signed_certificate_timestamp"]);
        match (chain, key) {
            (Some(certificate), Some(key)) => found.identities.push(Identity { certificate, key }),
            _ => certificate.problem("expected certificate_chain and private_key, each with a filename"),
        }
    }
    if let Some(mut validation) = common.message("validation_context") {
        found.roots = file(&mut validation, "trusted_ca");
        validation.ignore(&["watched_directory", "only_verify_leaf_cert_crl"]);
        validation.only("trust_chain_verification", &["VERIFY_TRUST_CHAIN"]);
        validation.only("allow_expired_certificate", &["false"]);
        for mut name in validation.messages("match_typed_subject_alt_names") {
            let _ = name.text("san_type");
            name.refuse(&["oid"]);
            let matched = name.message("matcher").and_then(|mut inner| matcher::string(&mut inner));
            found.names.extend(matched);
        }
        validation.refuse(&[
            "verify_certificate_spki",
            "verify_certificate_hash",
            "match_subject_alt_names",
            "crl",
            "custom_validator_config",
            "require_signed_certificate_timestamp",
            "max_verify_depth",
            "system_root_certs",
        ]);
    }
    found.alpn = common
        .texts("alpn_protocols")
        .into_iter()
        .flat_map(|names| names.split(',').map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>())
        .collect();
    common.refuse(&[
        "tls_certificate_sds_secret_configs",
        "validation_context_sds_secret_config",
        "combined_validation_context",
        "tls_certificate_provider_instance",
        "custom_handshaker",
        "key_log",
    ]);
    found
}

fn file(message: &mut Message, name: &'static str) -> Option<PathBuf> {
    let mut source = message.message(name)?;
    source.refuse(&["inline_string", "inline_bytes", "environment_variable"]);
    source.ignore(&["watched_directory"]);
    source.text("filename").map(PathBuf::from)
}

fn version(params: &mut Message, name: &'static str) -> Option<TlsVersion> {
    match params.text(name)?.as_str() {
        "TLS_AUTO" => None,
        "TLSv1_2" => Some(TlsVersion::V1_2),
        "TLSv1_3" => Some(TlsVersion::V1_3),
        other => {
            params.problem(format!("{name} {other} is not supported here, only TLSv1_2 and TLSv1_3"));
            None
        }
    }
}
