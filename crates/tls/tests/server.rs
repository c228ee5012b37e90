//! What the server half shows, asks and refuses, over real sockets with certificates made on the spot.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tls::{
    Certificate, ClientCertificates, ClientIdentity, ClientTls, HelloReader, Identity, Roots, Server, ServerTls,
    Sniffed, TlsVersion, explain_client, rustls,
};

struct World {
    files: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl World {
    fn new() -> Self {
        let world = Self { files: tempfile::tempdir().unwrap(), ca: authority("test CA") };
        world.put("ca.crt", &world.ca.pem());
        world
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Writes `NAME.crt` and `NAME.key`.
    fn issue(&self, file: &str, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        self.sign(file, &params, &self.ca)
    }

    fn sign(&self, file: &str, params: &CertificateParams, by: &CertifiedIssuer<'static, KeyPair>) -> Identity {
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, by).unwrap().pem();
        Identity {
            certificate: self.put(&format!("{file}.crt"), &pem),
            key: self.put(&format!("{file}.key"), &key.serialize_pem()),
        }
    }

    fn client(&self, identity: Option<Identity>) -> ClientConfig {
        let roots = Roots::File(self.path("ca.crt"));
        ClientTls { roots, identity, ..ClientTls::default() }.load().unwrap()
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn serving(certificates: Vec<Certificate>) -> ServerTls {
    ServerTls { certificates, ..ServerTls::default() }
}

/// One connection: how the handshake went on both sides.
struct Met {
    shown: String,
    kind: HandshakeKind,
    version: String,
    alpn: Option<Vec<u8>>,
    client: Option<ClientIdentity>,
}

fn meet(server: &Server, client: &Arc<ClientConfig>, name: &str) -> Result<Met, (String, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (client, name) = (Arc::clone(client), ServerName::try_from(name.to_owned()).unwrap());
    let caller = std::thread::spawn(move || {
        let connection = ClientConnection::new(client, name).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(at).unwrap());
        let said = stream.write_all(b"hello").and_then(|()| {
            let mut answer = [0; 2];
            stream.read_exact(&mut answer)
        });
        let shown = stream.conn.peer_certificates().map(|chain| ClientIdentity::of(&chain[0]).unwrap().subject);
        let kind = stream.conn.handshake_kind();
        said.map(|()| (shown.unwrap(), kind.unwrap(), stream.conn.alpn_protocol().map(<[u8]>::to_vec)))
            .map_err(|error| error.to_string())
    });
    let mut socket = listener.accept().unwrap().0;
    let mut connection = ServerConnection::new(server.config()).unwrap();
    let served = (|| {
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(|error| {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                inner.map_or_else(|| error.to_string(), explain_client)
            })?;
        }
        let mut stream = rustls::Stream::new(&mut connection, &mut socket);
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).map_err(|error| error.to_string())?;
        stream.write_all(b"ok").map_err(|error| error.to_string())
    })();
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let called = caller.join().unwrap();
    match (served, called) {
        (Ok(()), Ok((shown, kind, alpn))) => Ok(Met {
            shown,
            kind,
            version: format!("{:?}", connection.protocol_version().unwrap()),
            alpn,
            client: connection.peer_certificates().map(|chain| ClientIdentity::of(&chain[0]).unwrap()),
        }),
        (served, called) => Err((served.err().unwrap_or_default(), called.err().unwrap_or_default())),
    }
}

#[test]
fn shows_the_certificate_of_the_name_that_is_asked_for() {
    let world = World::new();
    let server = serving(vec![
        world.issue("default", &["fallback.test", "localhost"]).into(),
        world.issue("exact", &["a.example.test"]).into(),
        world.issue("wild", &["*.example.test"]).into(),
        Certificate { identity: world.issue("given", &["told.test"]), names: vec!["Told.Test".into()] },
    ])
    .load()
    .unwrap();
    let client = Arc::new(world.client(None));
    for (asked, shown) in
        [("a.example.test", "exact"), ("b.example.test", "wild"), ("told.test", "given"), ("localhost", "default")]
    {
        assert_eq!(meet(&server, &client, asked).unwrap().shown, format!("CN={shown}"), "{asked}");
    }
    // One label only, and unknown names: the default, which this client rightly refuses.
    for asked in ["x.b.example.test", "example.test"] {
        assert!(meet(&server, &client, asked).err().unwrap().1.contains("not valid for name"), "{asked}");
    }
}

#[test]
fn turns_unknown_names_away_when_it_is_strict() {
    let world = World::new();
    let settings = ServerTls { strict_names: true, ..serving(vec![world.issue("one", &["one.test"]).into()]) };
    let server = settings.load().unwrap();
    let client = Arc::new(world.client(None));
    assert!(meet(&server, &client, "one.test").is_ok());
    let (reason, _) = meet(&server, &client, "two.test").err().unwrap();
    assert_eq!(reason, "the client asked for a server name that is not served here");
}

#[test]
fn a_reload_changes_the_next_handshake_and_a_bad_file_changes_nothing() {
    let world = World::new();
    let identity = world.issue("first", &["localhost"]);
    let server = serving(vec![identity.clone().into()]).load().unwrap();
    let client = Arc::new(world.client(None));
    assert_eq!(meet(&server, &client, "localhost").unwrap().shown, "CN=first");

    let next = world.issue("second", &["localhost"]);
    std::fs::copy(&next.certificate, &identity.certificate).unwrap();
    let half_way = server.reload().unwrap_err().to_string();
    assert!(half_way.contains("this key does not belong to the certificate in"), "{half_way}");
    assert_eq!(meet(&server, &client, "localhost").unwrap().shown, "CN=first");

    std::fs::copy(&next.key, &identity.key).unwrap();
    server.reload().unwrap();
    assert_eq!(meet(&server, &client, "localhost").unwrap().shown, "CN=second");

    std::fs::write(&identity.key, "").unwrap();
    assert!(server.reload().unwrap_err().to_string().ends_with("no PRIVATE KEY block found (the file is empty)"));
    assert_eq!(meet(&server, &client, "localhost").unwrap().shown, "CN=second");
    assert_eq!(server.files(), [identity.certificate, identity.key]);
}

#[test]
fn asks_clients_who_they_are() {
    let world = World::new();
    let mut params = CertificateParams::new(vec!["api.internal".into(), "10.1.2.3".into()]).unwrap();
    params.subject_alt_names.push(SanType::URI("spiffe://cluster.test/ns/shop/sa/api".try_into().unwrap()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Shop, Inc.");
    params.distinguished_name.push(DnType::CommonName, "api");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let good = world.sign("api", &params, &world.ca);
    let stranger = world.sign("stranger", &params, &authority("another CA"));
    let roots = world.path("ca.crt");
    let server =
        |clients| ServerTls { clients, ..serving(vec![world.issue("s", &["localhost"]).into()]) }.load().unwrap();
    let with = |identity: Option<&Identity>| Arc::new(world.client(identity.cloned()));

    let required = server(ClientCertificates::Required { roots: roots.clone() });
    let known = meet(&required, &with(Some(&good)), "localhost").unwrap().client.unwrap();
    assert_eq!(known.subject, "CN=api,O=Shop\\, Inc.");
    assert_eq!(known.issuer, "CN=test CA");
    assert_eq!(known.common_name.as_deref(), Some("api"));
    assert_eq!(known.dns, ["api.internal"]);
    assert_eq!(known.addresses, ["10.1.2.3".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(known.spiffe(), Some("spiffe://cluster.test/ns/shop/sa/api"));
    assert_eq!(known.fingerprint.len(), 64);
    let refusal = |server, identity| meet(server, &with(identity), "localhost").err().unwrap().0;
    assert_eq!(refusal(&required, None), "the client showed no certificate, and one is required");
    assert_eq!(refusal(&required, Some(&stranger)), "the client's certificate is from an unknown issuer");

    let optional = server(ClientCertificates::Optional { roots });
    assert!(meet(&optional, &with(None), "localhost").unwrap().client.is_none());
    assert!(meet(&optional, &with(Some(&good)), "localhost").unwrap().client.is_some());
    assert_eq!(refusal(&optional, Some(&stranger)), "the client's certificate is from an unknown issuer");

    let ignored = server(ClientCertificates::Ignored);
    assert!(meet(&ignored, &with(Some(&stranger)), "localhost").unwrap().client.is_none());
}

#[test]
fn resumes_sessions_across_reloads_but_not_across_other_client_roots() {
    let world = World::new();
    let mut client = world.client(None);
    client.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let (client, roots) = (Arc::new(client), world.put("roots.crt", &world.ca.pem()));
    let clients = ClientCertificates::Optional { roots: roots.clone() };
    let settings = ServerTls { clients, ..serving(vec![world.issue("s", &["localhost"]).into()]) };
    let server = settings.load().unwrap();
    assert_eq!(meet(&server, &client, "localhost").unwrap().kind, HandshakeKind::Full);
    assert_eq!(meet(&server, &client, "localhost").unwrap().kind, HandshakeKind::Resumed);
    server.reload().unwrap();
    assert_eq!(meet(&server, &client, "localhost").unwrap().kind, HandshakeKind::Resumed);
    std::fs::write(&roots, authority("another CA").pem()).unwrap();
    server.reload().unwrap();
    assert_eq!(meet(&server, &client, "localhost").unwrap().kind, HandshakeKind::Full);

    let off = ServerTls { tickets: false, session_cache: 0, ..settings }.load().unwrap();
    for _ in 0..2 {
        assert_eq!(meet(&off, &client, "localhost").unwrap().kind, HandshakeKind::Full);
    }
}

#[test]
fn speaks_only_the_versions_suites_and_protocols_it_was_told() {
    let world = World::new();
    let identity = world.issue("s", &["localhost"]);
    let settings = serving(vec![identity.into()]);
    let mut client = world.client(None);
    client.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let client = Arc::new(client);

    let alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let old = ServerTls { max_version: TlsVersion::V1_2, alpn, ..settings.clone() };
    let met = meet(&old.load().unwrap(), &client, "localhost").unwrap();
    assert_eq!((met.version.as_str(), met.alpn.as_deref()), ("TLSv1_2", Some(&b"h2"[..])));

    let suite = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned();
    let rsa_only = ServerTls { cipher_suites: vec![suite], ..old.clone() };
    let (reason, _) = meet(&rsa_only.load().unwrap(), &client, "localhost").err().unwrap();
    assert_eq!(reason, "the client has no cipher in common with this server");

    let unknown = ServerTls { cipher_suites: vec!["RC4-MD5".into()], ..settings.clone() };
    let problem = unknown.load().unwrap_err().to_string();
    assert!(problem.starts_with("cipher suite \"RC4-MD5\": expected one of TLS13_"), "{problem}");
    let none = ServerTls { min_version: TlsVersion::V1_3, max_version: TlsVersion::V1_2, ..settings };
    assert!(none.load().is_err());
}

#[test]
fn reads_whom_a_client_asks_for_in_pieces_of_any_size() {
    let world = World::new();
    let mut config = world.client(None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("Deep.Example.test").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    for size in [1, 7, bytes.len()] {
        let mut reader = HelloReader::default();
        let mut last = Sniffed::More;
        for piece in bytes.chunks(size) {
            assert_eq!(last, Sniffed::More);
            last = reader.feed(piece);
        }
        let Sniffed::Hello(hello) = last else { panic!("{last:?}") };
        assert_eq!(hello.server_name.as_deref(), Some("deep.example.test"));
        assert_eq!(hello.alpn, [b"h2".to_vec()]);
    }
    assert_eq!(HelloReader::default().feed(b"GET / HTTP/1.1\r\n"), Sniffed::NotTls);
    assert_eq!(HelloReader::default().feed(b""), Sniffed::More);
    assert_eq!(HelloReader::default().feed(&[22; 64]), Sniffed::NotTls);
}

#[test]
fn a_certificate_without_names_is_the_default_only() {
    let world = World::new();
    let server =
        serving(vec![world.issue("s", &["localhost"]).into(), world.issue("bare", &[]).into()]).load().unwrap();
    assert_eq!(meet(&server, &Arc::new(world.client(None)), "localhost").unwrap().shown, "CN=s");
    let der = CertificateDer::from_pem_file(world.path("bare.crt")).unwrap();
    assert!(ClientIdentity::of(&der).unwrap().dns.is_empty());
    assert!(serving(Vec::new()).load().is_err());
}

#[test]
fn a_certificate_of_version_1_is_shown_with_its_own_key_only() {
    let fixture = |name: &str| PathBuf::from(format!("{}/../../tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR")));
    let identity = Identity { certificate: fixture("version1.crt"), key: fixture("version1.key") };
    let settings = |identity: Identity| ServerTls { certificates: vec![identity.into()], ..ServerTls::default() };
    let server = settings(identity.clone()).load().unwrap();
    let mut client = ClientConnection::new(
        Arc::new(tls::trusting_nobody().unwrap()),
        ServerName::try_from("old.example.com").unwrap(),
    )
    .unwrap();
    let mut shown = ServerConnection::new(server.config()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    shown.read_tls(&mut bytes.as_slice()).unwrap();
    shown.process_new_packets().unwrap();
    assert!(shown.wants_write(), "it answers with its certificate");
    let world = World::new();
    let other = world.issue("other", &["old.example.com"]);
    let mixed = settings(Identity { key: other.key, ..identity }).load().unwrap_err();
    assert!(mixed.to_string().contains("version1.crt"), "{mixed}");
}
