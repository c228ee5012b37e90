//! What the client half accepts, refuses and says: real handshakes in memory, no sockets.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tls::{ClientTls, Identity, Roots, rustls};

/// A directory of PEM files.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A certificate and its key.
struct Pair {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

/// What `openssl req -x509` makes: signed by itself, calls itself a CA.
fn self_signed_ca(params: impl FnOnce(&mut CertificateParams)) -> Pair {
    let mut parameters = CertificateParams::new(["sidecar.test".to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params(&mut parameters);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    Pair { pem: certificate.pem(), der: certificate.der().clone(), key }
}

fn new_ca(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn issued_by(ca: &CertifiedIssuer<'static, KeyPair>, name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    Pair { pem: certificate.pem(), der: certificate.der().clone(), key }
}

fn server(pair: &Pair, client_ca: Option<&CertificateDer<'static>>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(pair.key.serialize_der()).unwrap();
    Arc::new(builder.with_single_cert(vec![pair.der.clone()], key).unwrap())
}

/// Passes bytes to and fro until both are done or one refuses.
fn handshake(client: ClientConfig, server: &Arc<ServerConfig>, name: &str) -> Result<(), rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        wire.clear();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut bytes = wire.as_slice();
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).unwrap();
            // What the server dislikes comes back to the client as an alert.
            let _ = server.process_new_packets();
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut bytes = wire.as_slice();
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(())
}

fn trusting(path: &Path) -> ClientTls {
    ClientTls { roots: Roots::File(path.into()), ..ClientTls::default() }
}

/// The refusal, as the operator reads it.
fn refusal(tls: &ClientTls, server: &Arc<ServerConfig>, name: &str) -> String {
    tls.explain(&handshake(tls.load().unwrap(), server, name).unwrap_err())
}

#[test]
fn accepts_what_the_ca_signed_and_names_the_setting_otherwise() {
    let files = Files::new();
    let (ca, other) = (new_ca("ours"), new_ca("another"));
    let server = server(&issued_by(&ca, "sidecar.test"), None);
    let tls = trusting(&files.put("ca.crt", &ca.pem()));
    handshake(tls.load().unwrap(), &server, "sidecar.test").unwrap();
    let path = files.put("other.crt", &other.pem());
    assert_eq!(
        refusal(&ClientTls { ca_setting: "--webhook-ca-file".into(), ..trusting(&path) }, &server, "sidecar.test"),
        format!(
            "the server certificate is from an unknown issuer: no CA in {} signed it (set --webhook-ca-file to a PEM file with its CA)",
            path.display()
        )
    );
}

#[test]
fn accepts_a_self_signed_certificate_listed_in_the_ca_file() {
    let files = Files::new();
    let pair = self_signed_ca(|_| ());
    let tls = trusting(&files.put("ca.crt", &pair.pem));
    handshake(tls.load().unwrap(), &server(&pair, None), "sidecar.test").unwrap();
}

#[test]
fn accepts_an_ordinary_certificate_listed_instead_of_its_ca() {
    let files = Files::new();
    let pair = issued_by(&new_ca("nobody has it"), "sidecar.test");
    let tls = trusting(&files.put("ca.crt", &pair.pem));
    handshake(tls.load().unwrap(), &server(&pair, None), "sidecar.test").unwrap();
}

#[test]
fn refuses_a_listed_certificate_for_another_name() {
    let files = Files::new();
    let pair = self_signed_ca(|_| ());
    let tls = trusting(&files.put("ca.crt", &pair.pem));
    let server = server(&pair, None);
    assert_eq!(
        refusal(&tls, &server, "elsewhere.test"),
        "the server certificate is for sidecar.test, not for elsewhere.test"
    );
    assert_eq!(refusal(&tls, &server, "10.0.0.1"), "the server certificate is for sidecar.test, not for 10.0.0.1");
}

#[test]
fn refuses_a_listed_certificate_without_names() {
    let files = Files::new();
    let pair = self_signed_ca(|parameters| parameters.subject_alt_names.clear());
    let tls = trusting(&files.put("ca.crt", &pair.pem));
    assert_eq!(
        refusal(&tls, &server(&pair, None), "sidecar.test"),
        "the server certificate names no host (no subjectAltName), expected sidecar.test"
    );
}

/// Also pins the order of webpki's checks that listed.rs relies on: CA:TRUE *and* expired must say expired.
#[test]
fn refuses_an_expired_listed_certificate() {
    let files = Files::new();
    let expired = self_signed_ca(|p| p.not_after = date_time_ymd(2020, 1, 2));
    let tls = trusting(&files.put("expired.crt", &expired.pem));
    assert_eq!(
        refusal(&tls, &server(&expired, None), "sidecar.test"),
        "the server certificate expired on Thu, 02 Jan 2020 00:00:00 GMT"
    );
    let early = self_signed_ca(|p| p.not_before = date_time_ymd(2090, 1, 2));
    let tls = trusting(&files.put("early.crt", &early.pem));
    assert!(refusal(&tls, &server(&early, None), "sidecar.test").contains("not valid before Mon, 02 Jan 2090"));
}

/// The same order for the other second chance: an ordinary certificate, listed, expired, issuer unknown.
#[test]
fn refuses_an_expired_listed_certificate_with_an_unknown_issuer() {
    let files = Files::new();
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(["sidecar.test".to_owned()]).unwrap();
    parameters.not_after = date_time_ymd(2020, 1, 2);
    let certificate = parameters.signed_by(&key, &new_ca("nobody has it")).unwrap();
    let pair = Pair { pem: certificate.pem(), der: certificate.der().clone(), key };
    let tls = trusting(&files.put("expired.crt", &pair.pem));
    assert!(refusal(&tls, &server(&pair, None), "sidecar.test").contains("expired on Thu, 02 Jan 2020"));
}

#[test]
fn refuses_a_self_signed_certificate_that_is_not_the_listed_one() {
    let files = Files::new();
    let (listed, presented) = (self_signed_ca(|_| ()), self_signed_ca(|_| ()));
    let tls = trusting(&files.put("ca.crt", &listed.pem));
    let text = refusal(&tls, &server(&presented, None), "sidecar.test");
    assert!(text.contains("CA:TRUE") && text.contains("ca_file"), "{text}");
}

/// Equal bytes are not enough: the server must hold the key. (rustls will not build such a server, so the
/// certificate differs from the key in this test by being swapped into another server's chain.)
#[test]
fn refuses_a_listed_certificate_without_its_key() {
    let files = Files::new();
    let (listed, thief) = (self_signed_ca(|_| ()), self_signed_ca(|_| ()));
    let stolen = Pair { pem: listed.pem.clone(), der: listed.der.clone(), key: thief.key };
    let signer =
        rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::try_from(stolen.key.serialize_der()).unwrap());
    let certified = rustls::sign::CertifiedKey::new(vec![stolen.der.clone()], signer.unwrap());
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let server = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    let tls = trusting(&files.put("ca.crt", &stolen.pem));
    let text = refusal(&tls, &Arc::new(server), "sidecar.test");
    assert!(text.contains("wrong signature"), "{text}");
}

#[test]
fn skips_verification_only_when_asked_and_then_reads_no_file() {
    let server = server(&self_signed_ca(|_| ()), None);
    let tls = ClientTls {
        roots: Roots::File("/nowhere".into()),
        dangerously_skip_verification: true,
        ..ClientTls::default()
    };
    handshake(tls.load().unwrap(), &server, "any.name").unwrap();
}

#[test]
fn trusting_nobody_refuses_everybody() {
    let server = server(&issued_by(&new_ca("ours"), "sidecar.test"), None);
    assert!(handshake(tls::trusting_nobody().unwrap(), &server, "sidecar.test").is_err());
}

#[test]
fn client_certificate_is_presented() {
    let files = Files::new();
    let ca = new_ca("ours");
    let client = issued_by(&ca, "client");
    let server = server(&issued_by(&ca, "sidecar.test"), Some(ca.der()));
    let mut tls = trusting(&files.put("ca.crt", &ca.pem()));
    tls.identity = Some(Identity {
        certificate: files.put("tls.crt", &client.pem),
        key: files.put("tls.key", &client.key.serialize_pem()),
    });
    handshake(tls.load().unwrap(), &server, "sidecar.test").unwrap();
    tls.identity = None;
    // TLS 1.3: the client is done before the server looks, so the alert is read after the handshake.
    let refused = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    assert!(tls.explain(&refused).contains("client certificate"));
}

#[test]
fn system_roots_come_from_the_explicit_bundle() {
    let files = Files::new();
    let (system, extra) = (new_ca("system"), new_ca("extra"));
    let bundle = files.put("bundle.pem", &system.pem());
    let mut tls = ClientTls { system_bundle: Some(bundle), ..ClientTls::default() };
    let by_system = server(&issued_by(&system, "a.test"), None);
    let by_extra = server(&issued_by(&extra, "a.test"), None);
    handshake(tls.load().unwrap(), &by_system, "a.test").unwrap();
    assert!(handshake(tls.load().unwrap(), &by_extra, "a.test").is_err());
    tls.roots = Roots::SystemAnd(files.put("extra.crt", &extra.pem()));
    handshake(tls.load().unwrap(), &by_system, "a.test").unwrap();
    handshake(tls.load().unwrap(), &by_extra, "a.test").unwrap();
}

/// Every text names the file and what is wrong with it, and none repeats a byte of a key.
#[test]
fn errors_name_the_file_and_never_the_key() {
    let files = Files::new();
    let pair = self_signed_ca(|_| ());
    let key_text = pair.key.serialize_pem();
    let key_line = key_text.lines().nth(1).unwrap().to_owned();
    let certificate = files.put("tls.crt", &pair.pem);
    let key = files.put("tls.key", &key_text);
    let other_key = files.put("other.key", &KeyPair::generate().unwrap().serialize_pem());
    let roots = |path: &Path| trusting(path).load().unwrap_err().to_string();
    let identity = |certificate: &Path, key: &Path| {
        let identity = Some(Identity { certificate: certificate.into(), key: key.into() });
        ClientTls { identity, ..trusting(&files.0.path().join("tls.crt")) }.load().unwrap_err().to_string()
    };
    let one_long_line = files.put("line.key", &key_text.replace('\n', " "));
    let cut = files.put("cut.key", &key_text[..key_text.len() / 2]);
    let encrypted = files.put("enc.key", &key_text.replace("PRIVATE", "ENCRYPTED PRIVATE"));
    let wrong = files.put("wrong.key", &key_text.replace(&key_line, &key_line.replace('M', "A")));
    let not_x509 = files.put("x.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (text, file, expected) in [
        (roots(&files.put("empty", "")), "empty", "no CERTIFICATE block found (the file is empty)"),
        (roots(&key), "tls.key", "no CERTIFICATE block found (found PRIVATE KEY)"),
        (roots(&files.0.path().join("none")), "none", "no such file or directory"),
        (roots(&not_x509), "x.crt", "certificate 1 is not an X.509 certificate"),
        (identity(&certificate, &certificate), "tls.crt", "no PRIVATE KEY block found (found CERTIFICATE)"),
        (identity(&key, &key), "tls.key", "no CERTIFICATE block found (found PRIVATE KEY)"),
        (identity(&certificate, &other_key), "other.key", "this key does not belong to the certificate in"),
        (identity(&certificate, &one_long_line), "line.key", "PEM"),
        (identity(&certificate, &cut), "cut.key", "damaged PEM text"),
        (identity(&certificate, &encrypted), "enc.key", "encrypted, expected one without a passphrase"),
        (identity(&certificate, &wrong), "wrong.key", "key"),
    ] {
        assert!(text.starts_with(&format!("{}/{file}: ", files.0.path().display())), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains(&key_line[..16]) && !text.contains('\n'), "{text}");
    }
}
