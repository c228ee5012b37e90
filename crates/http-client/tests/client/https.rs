//! One attempt over https: whom it trusts, what it shows of itself, and what it says when it refuses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::server::{Server, Wire};
use http_client::{Client, Error, Kind, Reply, Request, Target};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tls::rustls::server::WebPkiClientVerifier;
use tls::rustls::{RootCertStore, ServerConfig};
use tls::{ClientTls, Identity, Roots};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

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

type Ca = CertifiedIssuer<'static, KeyPair>;

fn new_ca() -> Ca {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn names() -> CertificateParams {
    CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

/// A certificate for localhost and 127.0.0.1.
fn issued_by(ca: &Ca) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (names().signed_by(&key, ca).unwrap(), key)
}

fn https(pair: &(rcgen::Certificate, KeyPair), client_ca: Option<&CertificateDer<'static>>) -> Server {
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
    let key = PrivateKeyDer::try_from(pair.1.serialize_der()).unwrap();
    let config = builder.with_single_cert(vec![pair.0.der().clone()], key).unwrap();
    let answer = |_: &str, wire: &mut dyn Wire| wire.write_all(OK.as_bytes()).unwrap();
    Server::listen("127.0.0.1:0", Some(Arc::new(config)), answer)
}

fn trusting(path: PathBuf) -> ClientTls {
    ClientTls { roots: Roots::File(path), ..ClientTls::default() }
}

async fn get(host: &str, server: &Server, tls: ClientTls) -> Result<Reply, Error> {
    let mut target = Target::new("GET", format!("https://{host}:{}/", server.port));
    target.timeout = Duration::from_secs(10);
    target.tls = Arc::new(tls);
    Client::new(target)?.send(&Request::default()).await
}

#[tokio::test]
async fn trusts_what_the_ca_file_signed() {
    let (files, ca) = (Files::new(), new_ca());
    let server = https(&issued_by(&ca), None);
    let path = files.put("ca.crt", &ca.pem());
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(get(host, &server, trusting(path.clone())).await.unwrap().body, b"yes");
    }
}

#[tokio::test]
async fn refuses_an_unknown_issuer_and_names_the_ca_setting() {
    let files = Files::new();
    let server = https(&issued_by(&new_ca()), None);
    let path = files.put("ca.crt", &new_ca().pem());
    let tls = ClientTls { ca_setting: "webhook.tls.ca_file".into(), ..trusting(path.clone()) };
    let error = get("localhost", &server, tls).await.unwrap_err();
    assert_eq!((error.kind(), error.kind().label()), (Kind::Tls, "tls"));
    let text = error.to_string();
    assert!(text.starts_with(&format!("GET https://localhost:{}/: the server certificate ", server.port)), "{text}");
    // Every CA of rcgen has the same name, so webpki finds one of that name and a signature that is not its own.
    assert!(text.contains("webhook.tls.ca_file"), "{text}");
    assert!(server.seen.lock().unwrap().is_empty(), "nothing may be sent to whom we do not trust");
    // Against what the system trusts (a bundle that exists on every machine: this one).
    let tls = ClientTls { system_bundle: Some(files.put("system.pem", &other_ca().pem())), ..ClientTls::default() };
    let text = get("localhost", &server, tls).await.unwrap_err().to_string();
    let expected = format!(
        "the server certificate is from an unknown issuer: no CA in {}/system.pem signed it (set ca_file to a PEM file with its CA)",
        files.0.path().display()
    );
    assert!(text.ends_with(&expected), "{text}");
}

fn other_ca() -> Ca {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "another");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn accepts_a_self_signed_certificate_listed_in_the_ca_file() {
    let files = Files::new();
    let mut parameters = names();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pair = (parameters.self_signed(&key).unwrap(), key);
    let server = https(&pair, None);
    let path = files.put("ca.crt", &pair.0.pem());
    assert_eq!(get("localhost", &server, trusting(path)).await.unwrap().status, 200);
}

#[tokio::test]
async fn refuses_wrong_name_and_expired() {
    let (files, ca) = (Files::new(), new_ca());
    let path = files.put("ca.crt", &ca.pem());
    let key = KeyPair::generate().unwrap();
    let elsewhere = CertificateParams::new(["elsewhere.test".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let server = https(&(elsewhere, key), None);
    let error = get("localhost", &server, trusting(path.clone())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls);
    assert!(
        error.to_string().ends_with(": the server certificate is for elsewhere.test, not for localhost"),
        "{error}"
    );
    let key = KeyPair::generate().unwrap();
    let mut parameters = names();
    parameters.not_after = date_time_ymd(2021, 3, 4);
    let server = https(&(parameters.signed_by(&key, &ca).unwrap(), key), None);
    let error = get("localhost", &server, trusting(path)).await.unwrap_err();
    assert!(
        error.to_string().ends_with(": the server certificate expired on Thu, 04 Mar 2021 00:00:00 GMT"),
        "{error}"
    );
    assert!(server.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn client_certificate_is_presented() {
    let (files, ca) = (Files::new(), new_ca());
    let client = issued_by(&ca);
    let server = https(&issued_by(&ca), Some(ca.der()));
    let mut tls = trusting(files.put("ca.crt", &ca.pem()));
    let error = get("localhost", &server, tls.clone()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error}");
    assert!(error.to_string().contains("require a client certificate, and none is configured"), "{error}");
    tls.identity = Some(Identity {
        certificate: files.put("tls.crt", &client.0.pem()),
        key: files.put("tls.key", &client.1.serialize_pem()),
    });
    assert_eq!(get("localhost", &server, tls.clone()).await.unwrap().status, 200);
    // The files are read for every attempt: a rotated pair is used at once, a broken one is named.
    let stranger = issued_by(&other_ca());
    files.put("tls.crt", &stranger.0.pem());
    let error = get("localhost", &server, tls.clone()).await.unwrap_err();
    assert!(error.to_string().contains("tls.key: this key does not belong to the certificate in"), "{error}");
    files.put("tls.key", &stranger.1.serialize_pem());
    let error = get("localhost", &server, tls).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error}");
    assert!(error.to_string().contains("refused our client certificate"), "{error}");
}

#[tokio::test]
async fn https_to_a_plain_port_reads_well() {
    let files = Files::new();
    // As nginx does: an answer in plain http to what is no request.
    let server = Server::listen("127.0.0.1:0", None, |_, _| ());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = Server { port: listener.local_addr().unwrap().port(), ..server };
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = std::io::Read::read(&mut stream, &mut [0; 512]);
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let tls = trusting(files.put("ca.crt", &new_ca().pem()));
    let error = get("localhost", &plain, tls).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error}");
    assert!(error.to_string().ends_with("the server does not speak TLS here (is it plain http?)"), "{error}");
}

#[tokio::test]
async fn files_are_checked_without_a_socket() {
    let files = Files::new();
    let path = files.put("ca.crt", "nothing");
    let mut target = Target::new("GET", "https://127.0.0.1:1/");
    target.tls = Arc::new(trusting(path.clone()));
    let error = Client::new(target).unwrap().check().unwrap_err();
    assert_eq!(error.to_string(), format!("GET https://127.0.0.1:1/: {}: no CERTIFICATE block found", path.display()));
    assert_eq!(error.kind(), Kind::Tls);
    // http needs no file: none is read.
    let mut target = Target::new("GET", "http://127.0.0.1:1/");
    target.tls = Arc::new(trusting("/nowhere".into()));
    Client::new(target).unwrap().check().unwrap();
}
