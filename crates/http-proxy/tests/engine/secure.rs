//! TLS: ended here, opened here, passed through.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_proxy::{
    Cluster, ClusterId, Endpoint, ListenerSettings, RouteSettings, Tls, TlsChoice, UpstreamProtocol, UpstreamTls,
};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls_pki_types::ServerName;
use tls::{ClientCertificates, ClientTls, Identity, Roots, Server, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::kit::*;

/// An authority and its files.
struct World {
    files: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl World {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let world = Self {
            files: tempfile::tempdir().unwrap(),
            ca: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        };
        std::fs::write(world.roots(), world.ca.pem()).unwrap();
        world
    }

    fn roots(&self) -> PathBuf {
        self.files.path().join("ca.crt")
    }

    fn issue(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names.push(SanType::URI(format!("spiffe://test/{name}").try_into().unwrap()));
        let key = KeyPair::generate().unwrap();
        let identity = Identity {
            certificate: self.files.path().join(format!("{name}.crt")),
            key: self.files.path().join(format!("{name}.key")),
        };
        std::fs::write(&identity.certificate, params.signed_by(&key, &self.ca).unwrap().pem()).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }

    fn server(&self, names: &[&str], clients: ClientCertificates, alpn: &[&[u8]]) -> Arc<Server> {
        let certificates = names.iter().map(|name| self.issue(name).into()).collect();
        let alpn = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(ServerTls { certificates, clients, alpn, ..ServerTls::default() }.load().unwrap())
    }

    fn client(&self, identity: Option<Identity>) -> Arc<rustls::ClientConfig> {
        let settings = ClientTls { roots: Roots::File(self.roots()), identity, ..ClientTls::default() };
        Arc::new(settings.load().unwrap())
    }

    /// An app behind TLS that says who it is, and who has come.
    async fn app(&self, name: &'static str, clients: ClientCertificates) -> Endpoint {
        let server = self.server(&[name], clients, &[]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = App::start(|_| ok("")).await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, app) = (TlsAcceptor::from(server.config()), app.clone());
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.ok()?;
                    let with = stream.get_ref().1.peer_certificates().is_some();
                    let reply = Arc::new(move |_: &Seen| ok(&format!("{name} {with}")));
                    converse(stream, 0, reply, app).await
                });
            }
        });
        Endpoint::tcp("127.0.0.1", port)
    }
}

fn terminate(server: &Arc<Server>) -> ListenerSettings {
    let server = Arc::clone(server);
    ListenerSettings { tls: Some(Tls::Terminate(Arc::new(move || server.config()))), ..ListenerSettings::http("in") }
}

fn opened(world: &World, endpoint: Endpoint, name: &str, identity: Option<Identity>) -> Cluster {
    let config = world.client(identity);
    let config = Arc::new(move || Ok(Arc::clone(&config)));
    let mut cluster = Cluster::new("app", vec![endpoint]);
    cluster.tls = Some(UpstreamTls { config, server_name: Some(name.to_owned()) });
    cluster
}

async fn dial(proxy: &Proxy, config: Arc<rustls::ClientConfig>, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(proxy.address).await?;
    TlsConnector::from(config).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut buffer = Vec::new();
    let head = read_head(stream, &mut buffer).await.unwrap();
    let body = read_body(stream, &mut buffer, &head).await.unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn ends_tls_and_says_who_the_client_is() {
    let world = World::new();
    let app = App::start(|_| ok(&"x".repeat(100_000))).await;
    let server =
        world.server(&["a.test", "b.test"], ClientCertificates::Optional { roots: world.roots() }, &[b"http/1.1"]);
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), terminate(&server));
    let mut stream = dial(&proxy, world.client(Some(world.issue("me"))), "b.test").await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut stream).await.len(), 100_000);
    }
    let peer = proxy.rules.peers.lock().unwrap()[0].clone();
    let tls = peer.tls.clone().unwrap();
    assert_eq!((peer.scheme(), tls.version, tls.server_name.as_deref()), ("https", "TLSv1.3", Some("b.test")));
    assert_eq!(tls.identity.unwrap().spiffe(), Some("spiffe://test/me"));
    let mut stream = dial(&proxy, world.client(None), "a.test").await.unwrap();
    ask(&mut stream).await;
    assert!(proxy.rules.peers.lock().unwrap().last().unwrap().tls.as_ref().unwrap().identity.is_none());
}

#[tokio::test]
async fn a_client_without_a_certificate_is_turned_away_where_one_is_required() {
    let world = World::new();
    let app = App::start(|_| ok("")).await;
    let server = world.server(&["a.test"], ClientCertificates::Required { roots: world.roots() }, &[]);
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), terminate(&server));
    let refused = match dial(&proxy, world.client(None), "a.test").await {
        Ok(mut stream) => stream.read(&mut [0]).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    until(|| !proxy.rules.refused.lock().unwrap().is_empty()).await;
    assert_eq!(proxy.tell("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.find("HTTP"), None, "plain text is not served");
    let mut stream = dial(&proxy, world.client(Some(world.issue("me"))), "a.test").await.unwrap();
    assert_eq!(ask(&mut stream).await, "");
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn http2_by_alpn() {
    let world = World::new();
    let app = App::start(|_| ok("two")).await;
    let server = world.server(&["a.test"], ClientCertificates::Ignored, &[b"h2", b"http/1.1"]);
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), terminate(&server));
    let mut config = (*world.client(None)).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = dial(&proxy, Arc::new(config), "a.test").await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder().uri("https://a.test/").body(()).unwrap();
    let (response, _) = send.ready().await.unwrap().send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "two");
}

#[tokio::test]
async fn certificates_change_under_open_connections() {
    let world = World::new();
    let app = App::start(|_| ok("x")).await;
    let server = world.server(&["a.test"], ClientCertificates::Ignored, &[]);
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), terminate(&server));
    let mut old = dial(&proxy, world.client(None), "a.test").await.unwrap();
    let shown = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    assert_eq!(ask(&mut old).await, "x");
    world.issue("a.test");
    server.reload().unwrap();
    let mut new = dial(&proxy, world.client(None), "a.test").await.unwrap();
    assert_ne!(shown(&old), shown(&new));
    assert_eq!((ask(&mut old).await, ask(&mut new).await), ("x".into(), "x".into()));
}

#[tokio::test]
async fn opens_tls_to_the_app_with_our_certificate_and_checks_its() {
    let world = World::new();
    let endpoint = world.app("app.test", ClientCertificates::Required { roots: world.roots() }).await;
    let cluster = opened(&world, endpoint.clone(), "app.test", Some(world.issue("us")));
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    for _ in 0..3 {
        assert_eq!(caller.get("/").await.1, b"app.test true");
    }
    let cluster = opened(&world, endpoint, "other.test", Some(world.issue("us")));
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"));
    let (head, _) = proxy.connect().await.get("/").await;
    assert!(status(&head) == 502 && head.contains("X-Flag: UF"), "{head}");
    assert!(proxy.record(1).await.error.unwrap().contains("TLS"));
}

#[tokio::test]
async fn passes_tls_through_by_name() {
    let world = World::new();
    let one = Cluster::new("one", vec![world.app("one.test", ClientCertificates::Ignored).await]);
    let two = Cluster::new("two", vec![world.app("two.test", ClientCertificates::Ignored).await]);
    let ours = world.server(&["ours.test"], ClientCertificates::Ignored, &[]);
    let choose = move |name: Option<&str>| match name {
        Some("one.test") => TlsChoice::PassThrough(ClusterId(0)),
        Some("two.test") => TlsChoice::PassThrough(ClusterId(1)),
        Some("ours.test") => TlsChoice::Terminate(ours.config()),
        _ => TlsChoice::Refuse,
    };
    let settings = ListenerSettings { tls: Some(Tls::ByName(Arc::new(choose))), ..ListenerSettings::http("in") };
    let app = App::start(|_| ok("ended here")).await;
    let proxy = Proxy::with(vec![one, two, app.cluster()], RouteSettings::default(), settings);
    for (name, expected) in [("one.test", "one.test false"), ("two.test", "two.test false")] {
        let mut stream = dial(&proxy, world.client(None), name).await.unwrap();
        assert_eq!(ask(&mut stream).await, expected);
    }
    let mut stream = dial(&proxy, world.client(None), "ours.test").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Cluster: 2\r\n\r\n").await.unwrap();
    let mut buffer = Vec::new();
    let head = read_head(&mut stream, &mut buffer).await.unwrap();
    assert_eq!(read_body(&mut stream, &mut buffer, &head).await.unwrap(), b"ended here");
    assert!(dial(&proxy, world.client(None), "none.test").await.is_err());
    // A hello in small pieces.
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let mut hello = Vec::new();
    let name = ServerName::try_from("one.test").unwrap();
    let mut client = rustls::ClientConnection::new(world.client(None), name).unwrap();
    client.write_tls(&mut hello).unwrap();
    let (mut read, mut write) = stream.into_split();
    for piece in hello.chunks(37) {
        write.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(tokio::time::timeout(PATIENCE, read.read_u8()).await.unwrap().unwrap(), 22, "a handshake record");
}

#[tokio::test]
async fn http2_to_the_app_by_alpn() {
    let world = World::new();
    let server = world.server(&["app.test"], ClientCertificates::Ignored, &[b"h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(server.config()).accept(stream).await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let mut send = respond.send_response(http::Response::new(()), false).unwrap();
            send.send_data(request.uri().to_string().into_bytes().into(), true).unwrap();
        }
    });
    let mut cluster = opened(&world, Endpoint::tcp("127.0.0.1", port), "app.test", None);
    cluster.protocol = UpstreamProtocol::Http2;
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    for _ in 0..3 {
        assert_eq!(caller.get("/x").await.1, b"https://a/x");
    }
}
