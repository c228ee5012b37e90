//! Upgrades, CONNECT, bare streams, PROXY headers.

use std::sync::Arc;
use std::time::Duration;

use http_proxy::{
    Address, Cluster, Endpoint, Engine, Flag, ListenerSettings, ProxyProtocol, ProxyProtocolIn, RouteSettings, Socket,
    World,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::kit::*;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";

#[tokio::test]
async fn upgraded_connections_are_bytes_both_ways() {
    let app = App::start(|_| {
        Reply::SayAndEcho(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello".to_vec(),
        )
    })
    .await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    caller.send(format!("{UPGRADE}ahead")).await;
    let head = caller.head().await;
    assert!(
        status(&head) == 101 && head.contains("Upgrade: websocket") && head.contains("Connection: upgrade"),
        "{head}"
    );
    let seen = app.heads()[0].clone();
    assert!(seen.contains("Upgrade: websocket\r\n") && seen.contains("Connection: upgrade\r\n"), "{seen}");
    let data: Vec<u8> = (0..1_000_000).map(|n| (n % 251) as u8).collect();
    let sent = data.clone();
    let (mut read, mut write) = caller.stream.into_split();
    let sender = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
        write
    });
    let mut got = caller.buffer;
    read.read_to_end(&mut got).await.unwrap();
    assert!(got.starts_with(b"helloahead") && got[10..] == data[..], "{} bytes", got.len());
    sender.await.unwrap();
    let record = proxy.record(1).await;
    assert_eq!((record.status, record.request_bytes, record.response_bytes), (101, 1_000_005, 1_000_010));
}

#[tokio::test]
async fn an_upgrade_that_is_refused_or_not_allowed_is_a_request_like_others() {
    let app = App::start(|seen| ok(if seen.head.contains("Upgrade") { "asked" } else { "plain" })).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    caller.send(format!("{UPGRADE}GET /next HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert_eq!(caller.answer().await.1, b"asked");
    assert_eq!(caller.answer().await.1, b"plain", "what came behind it was read as a request");
    let proxy = Proxy::route(&app, RouteSettings { upgrade: false, ..RouteSettings::default() });
    let mut caller = proxy.connect().await;
    caller.send(UPGRADE).await;
    assert_eq!(caller.answer().await.1, b"plain");
}

#[tokio::test]
async fn nobody_changes_the_protocol_without_being_asked() {
    let app =
        App::start(|_| say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"))
            .await;
    let proxy = Proxy::before(&app);
    let text = proxy.tell("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&text), 502, "{text}");
}

#[tokio::test]
async fn connect_opens_a_tunnel() {
    let app = App::start(|seen| ok(&seen.head)).await;
    let proxy = Proxy::with(vec![Cluster::dynamic("out")], RouteSettings::default(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    let (ip, port) = (app.address.ip(), app.address.port());
    caller.send(format!("CONNECT {ip}:{port} HTTP/1.1\r\nHost: {ip}:{port}\r\n\r\n")).await;
    let head = caller.head().await;
    assert!(status(&head) == 200 && !head.to_ascii_lowercase().contains("content-length"), "{head}");
    let (_, body) = caller.get("/inside").await;
    assert!(body.starts_with(b"GET /inside HTTP/1.1\r\n"));
    drop(caller);
    // The same cluster, for a client that takes us for its proxy.
    let mut caller = proxy.connect().await;
    caller.send(format!("GET http://{ip}:{port}/absolute HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(caller.answer().await.1.starts_with(format!("GET /absolute HTTP/1.1\r\nHost: {ip}:{port}\r\n").as_bytes()));
    let settings = RouteSettings { upgrade: false, ..RouteSettings::default() };
    let proxy = Proxy::with(vec![Cluster::dynamic("out")], settings, ListenerSettings::http("in"));
    let inside = "GET /inside HTTP/1.1\r\nHost: a\r\n\r\n";
    let text = proxy.tell(format!("CONNECT {ip}:{port} HTTP/1.1\r\nHost: a\r\n\r\n{inside}")).await;
    assert_eq!((status(&text), text.matches("HTTP/1.1 ").count()), (403, 1), "{text}");
}

#[tokio::test]
async fn bare_streams_pass_with_their_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(format!("{} bytes", all.len()).as_bytes()).await.unwrap();
    });
    let cluster = Cluster::new("db", vec![Endpoint::tcp("127.0.0.1", port)]);
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::stream("in"));
    let mut caller = proxy.connect().await;
    caller.send(vec![0; 500_000]).await;
    caller.stream.shutdown().await.unwrap();
    assert_eq!(caller.rest().await, "500000 bytes");
    let record = proxy.record(1).await;
    assert_eq!((record.request_bytes, record.response_bytes, record.complete), (500_000, 12, true));
}

#[tokio::test]
async fn proxy_headers_say_who_the_client_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (version, said) in [
        (ProxyProtocol::V1, &b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n"[..]),
        (ProxyProtocol::V2, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x04\x57\0\x50"),
    ] {
        let mut cluster = Cluster::new("app", vec![Endpoint::tcp("127.0.0.1", port)]);
        cluster.proxy_protocol = Some(version);
        let settings = ListenerSettings { proxy_protocol: ProxyProtocolIn::Required, ..ListenerSettings::http("in") };
        let proxy = Proxy::with(vec![cluster], RouteSettings::default(), settings);
        let mut caller = proxy.connect().await;
        // In the other version, in two pieces.
        let other = if version == ProxyProtocol::V1 {
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x04\x57\0\x50".as_slice()
        } else {
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n"
        };
        caller.send(&other[..9]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        caller.send([&other[9..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat()).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut start = vec![0; said.len()];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(start, said);
        let head = read_head(&mut stream, &mut Vec::new()).await.unwrap();
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(status(&caller.head().await), 200);
        let peer = proxy.rules.peers.lock().unwrap()[0].clone();
        assert_eq!(peer.client.unwrap().to_string(), "1.2.3.4:1111");
        assert_eq!(peer.direct.unwrap().ip().to_string(), "127.0.0.1");
        assert_eq!(proxy.tell("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, "", "no header, no service");
    }
}

#[tokio::test]
async fn unix_sockets_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("in.sock"), folder.path().join("app.sock"));
    let app = App::start(|_| ok("")).await;
    let listener = UnixListener::bind(&theirs).unwrap();
    let reply = Arc::new(|_: &Seen| ok("by unix"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, 0, Arc::clone(&reply), app.clone()));
        }
    });
    let rules = Rules::default();
    let engine = Engine::new(World {
        policy: rules.clone(),
        clusters: vec![Cluster::new("app", vec![Endpoint::new(Address::Unix(theirs))])],
        listeners: vec![ListenerSettings::http("in")],
    });
    let socket = Socket::Unix(std::os::unix::net::UnixListener::bind(&ours).unwrap());
    tokio::spawn(engine.serve("in", socket, std::future::pending()));
    let mut stream = UnixStream::connect(&ours).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("by unix"), "{text}");
    assert_eq!(rules.peers.lock().unwrap()[0].client, None);
}

#[tokio::test]
async fn an_unused_tunnel_is_closed() {
    let app = App::start(|_| {
        Reply::SayAndEcho(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec())
    })
    .await;
    let settings = RouteSettings { read_timeout: Some(Duration::from_millis(150)), ..RouteSettings::default() };
    let proxy = Proxy::route(&app, settings);
    let mut caller = proxy.connect().await;
    caller.send(UPGRADE).await;
    assert_eq!(status(&caller.head().await), 101);
    assert_eq!(caller.rest().await, "");
    assert!(proxy.record(1).await.flags.contains(Flag::StreamIdle));
}
