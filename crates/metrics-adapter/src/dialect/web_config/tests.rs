//! Web configurations: what is understood, and what is said about bad ones.

use super::*;

const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

fn parsed(text: &str) -> Result<Settings, Vec<String>> {
    common::config::parse("w.yaml", text, |root| settings(root, Path::new("/etc/web")))
        .map_err(|failure| failure.problems)
}

#[test]
fn all_that_may_be_said_is_understood() {
    let text = format!(
        "tls_server_config:
  cert_file: server.crt
  key_file: /keys/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [scraper.test, 10.0.0.1]
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
  curve_preferences: [X25519, CurveP256]
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=63072000
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
rate_limit: {{burst: 5, interval: 1s}}
basic_auth_users:
  ada: {HASH}
"
    );
    let settings = parsed(&text).unwrap();
    let Tls { server, allowed_names, inline } = settings.tls.unwrap();
    let identity = Identity { certificate: "/etc/web/server.crt".into(), key: "/keys/server.key".into() };
    assert_eq!(server.certificates, [Certificate::from(identity)]);
    assert_eq!(server.clients, ClientCertificates::Required { roots: "/etc/web/ca.crt".into() });
    assert_eq!((server.min_version, server.max_version), (TlsVersion::V1_3, TlsVersion::V1_3));
    assert!(server.cipher_suites.contains(&"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()));
    assert!(server.cipher_suites.iter().any(|name| name.starts_with("TLS13_")));
    assert_eq!(server.cipher_suites.iter().filter(|name| name.contains("CBC")).count(), 0);
    assert_eq!((allowed_names.len(), inline.len()), (2, 0));
    assert_eq!(settings.headers[1], ("x-frame-options".to_owned(), "deny".to_owned()));
    assert_eq!(settings.rate, Some(Rate { burst: 5, interval: Duration::from_secs(1) }));
    assert!(!settings.users.is_empty());
}

#[test]
fn nothing_said_is_nothing_guarded() {
    for text in ["", "tls_server_config: {}\n", "basic_auth_users: {}\n", "http_server_config:\n"] {
        let settings = parsed(text).unwrap();
        assert!(settings.tls.is_none() && settings.users.is_empty() && settings.rate.is_none(), "{text:?}");
    }
}

#[test]
fn texts_stand_for_files() {
    let settings = parsed("tls_server_config:\n  cert: AAA\n  key: BBB\n").unwrap();
    let tls = settings.tls.unwrap();
    assert_eq!(tls.inline.len(), 2);
    assert_eq!(std::fs::read_to_string(&tls.server.certificates[0].identity.key).unwrap(), "BBB");
}

#[test]
fn every_problem_is_named_with_its_line() {
    let text = "tls_server_config:
  cert_file: a
  client_auth_type: Sometimes
  client_ca_file: b
  min_version: TLS99
  cipher_suites: [rot13]
  curve_preferences: [Curve1]
  cert_fil: c
http_server_config:
  headers:
    X-Mine: yes
    X-Frame-Options: allow
basic_auth_users:
  ada: my-password
rate_limit: {interval: 1s}
";
    let found = parsed(text).unwrap_err();
    let expected = [
        "w.yaml:2: tls_server_config: missing one of key or key_file",
        "w.yaml:2: tls_server_config: client_ca: given without a client_auth_type",
        "w.yaml:2: tls_server_config: cipher_suites: \"rot13\": unknown",
        "w.yaml:3: tls_server_config.client_auth_type: \"Sometimes\": expected NoClientCert",
        "w.yaml:5: tls_server_config.min_version: \"TLS99\": expected TLS12 or TLS13",
        "w.yaml:7: tls_server_config.curve_preferences[0]: \"Curve1\": expected CurveP256",
        "w.yaml:8: tls_server_config.cert_fil: unknown key, did you mean cert_file?",
        "w.yaml:11: http_server_config.headers.X-Mine: expected one of Strict-Transport-Security",
        "w.yaml:12: http_server_config.headers.X-Frame-Options: \"allow\": expected deny or sameorigin",
        "w.yaml:14: basic_auth_users.ada: expected a bcrypt hash",
        "w.yaml:15: rate_limit: burst: expected 1 or more",
    ];
    for expected in expected {
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}\nin\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    assert!(found.iter().all(|problem| !problem.contains("my-password")), "{found:?}");
}
