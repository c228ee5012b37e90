//! HTTP/2 from clients and to apps.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, Response};
use http_proxy::{Cluster, Endpoint, Flag, ListenerSettings, RouteSettings, UpstreamProtocol};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::kit::*;

async fn dial(proxy: &Proxy) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.max_concurrent_reset_streams(10_000).initial_window_size(1 << 20);
    let (send, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("http://a{path}"))
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

async fn fetch(mut send: SendRequest<Bytes>, request: http::request::Builder, body: &[u8]) -> Got {
    let (response, mut stream) = send.send_request(request.body(()).unwrap(), body.is_empty()).unwrap();
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body), true).unwrap();
    }
    read(timeout(PATIENCE, response).await.unwrap().unwrap()).await
}

async fn read(response: Response<h2::RecvStream>) -> Got {
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = timeout(PATIENCE, stream.data()).await.unwrap() {
        let data = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.unwrap();
    Got { status: parts.status.as_u16(), headers: parts.headers, body, trailers }
}

/// An app of HTTP/2 that answers with what it got, and trailers.
async fn echo() -> Cluster {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    tokio::spawn(async move {
                        let te = request.headers().get("te").cloned();
                        let mut body = request.into_body();
                        let mut response = Response::new(());
                        if let Some(te) = te {
                            response.headers_mut().insert("saw-te", te);
                        }
                        let mut send = respond.send_response(response, false).unwrap();
                        while let Some(Ok(data)) = body.data().await {
                            body.flow_control().release_capacity(data.len()).unwrap();
                            send.send_data(data, false).unwrap();
                        }
                        let mut trailers = body.trailers().await.unwrap().unwrap_or_default();
                        trailers.insert("grpc-status", "0".parse().unwrap());
                        send.send_trailers(trailers).unwrap();
                    });
                }
            });
        }
    });
    let mut cluster = Cluster::new("grpc", vec![Endpoint::tcp("127.0.0.1", port)]);
    cluster.protocol = UpstreamProtocol::Http2;
    cluster
}

fn before(cluster: Cluster) -> Proxy {
    Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"))
}

#[tokio::test]
async fn streams_become_requests_of_http1() {
    let app = App::start(|seen| ok(&format!("{}{}", seen.head, seen.body.len()))).await;
    let proxy = Proxy::before(&app);
    let send = dial(&proxy).await;
    let asked = request("GET", "/x?y").header("cookie", "a=1").header("cookie", "b=2").header("te", "trailers");
    let got = fetch(send.clone(), asked, b"").await;
    let head = "GET /x?y HTTP/1.1\r\nHost: a\r\ncookie: a=1; b=2\r\n\r\n0";
    assert_eq!((got.status, String::from_utf8_lossy(&got.body).as_ref()), (200, head));
    assert!(got.headers.contains_key("date") && !got.headers.contains_key("connection"));
    let mut all = Vec::new();
    for n in 0..60 {
        let send = send.clone();
        all.push(tokio::spawn(async move { fetch(send, request("POST", &format!("/{n}")), &vec![0; n * 1000]).await }));
    }
    for (n, got) in all.into_iter().enumerate() {
        let text = String::from_utf8(got.await.unwrap().body).unwrap();
        assert!(
            text.starts_with(&format!("POST /{n} HTTP/1.1\r\nHost: a\r\n")) && text.ends_with(&(n * 1000).to_string()),
            "{text}"
        );
    }
    assert_eq!(proxy.record(61).await.version, http1::Version::Http2);
}

#[tokio::test]
async fn grpc_passes_with_its_trailers() {
    let proxy = before(echo().await);
    let mut send = dial(&proxy).await;
    let asked =
        request("POST", "/pkg.Service/Method").header("te", "trailers").header("content-type", "application/grpc");
    let (response, mut stream) = send.send_request(asked.body(()).unwrap(), false).unwrap();
    // Both directions at once: what is sent comes back before the sending ends.
    stream.send_data(Bytes::from_static(b"one"), false).unwrap();
    let (parts, mut answer) = timeout(PATIENCE, response).await.unwrap().unwrap().into_parts();
    assert_eq!(parts.headers["saw-te"], "trailers");
    assert_eq!(timeout(PATIENCE, answer.data()).await.unwrap().unwrap().unwrap(), "one");
    stream.send_data(Bytes::from_static(b"two"), false).unwrap();
    assert_eq!(timeout(PATIENCE, answer.data()).await.unwrap().unwrap().unwrap(), "two");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
    assert!(timeout(PATIENCE, answer.data()).await.unwrap().is_none());
    let trailers = answer.trailers().await.unwrap().unwrap();
    assert_eq!((&trailers["grpc-status"], &trailers["x-checksum"]), (&"0".parse().unwrap(), &"1".parse().unwrap()));
}

#[tokio::test]
async fn old_clients_reach_new_apps_and_large_bodies_flow() {
    let proxy = before(echo().await);
    let mut caller = proxy.connect().await;
    let body = "x".repeat(3_000_000);
    caller.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    let (head, got) = caller.answer().await;
    assert_eq!((status(&head), got.len()), (200, body.len()));
    assert!(head.contains("Connection: close"), "the answer began before the request had ended: {head}");
    let mut caller = proxy.connect().await;
    for _ in 0..3 {
        assert_eq!(caller.get("/").await.1, b"");
    }
}

#[tokio::test]
async fn trailers_of_http1_reach_streams() {
    let app = App::start(|_| {
        say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nHost: evil\r\n\r\n")
    })
    .await;
    let proxy = Proxy::before(&app);
    let got = fetch(dial(&proxy).await, request("GET", "/"), b"").await;
    let trailers = got.trailers.unwrap();
    assert!(got.body == b"ok" && trailers["x-sum"] == "7", "{trailers:?}");
    assert_eq!(trailers.len(), 1);
}

#[tokio::test]
async fn stopping_says_goaway_and_lets_streams_finish() {
    let slow = vec![vec![], b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec()];
    let app = App::start(move |_| Reply::Slowly(slow.clone(), Duration::from_millis(300))).await;
    let mut proxy = Proxy::before(&app);
    let send = dial(&proxy).await;
    let running = tokio::spawn(fetch(send.clone(), request("GET", "/"), b""));
    until(|| app.heads().len() == 1).await;
    proxy.stop();
    assert_eq!(running.await.unwrap().body, b"done");
    let refused = async {
        loop {
            match send.clone().ready().await {
                Err(_) => break,
                Ok(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    timeout(PATIENCE, refused).await.expect("no more streams");
    proxy.stopped().await;
}

#[tokio::test]
async fn streams_opened_and_reset_by_the_thousand_end_their_connection() {
    let app = App::start(|_| ok("x")).await;
    let proxy = Proxy::before(&app);
    let mut send = dial(&proxy).await;
    let mut ended = false;
    for _ in 0..20_000 {
        match send.clone().ready().await {
            Ok(ready) => send = ready,
            Err(_) => {
                ended = true;
                break;
            }
        }
        let Ok((_, mut stream)) = send.send_request(request("GET", "/").body(()).unwrap(), true) else {
            ended = true;
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
        tokio::task::yield_now().await;
    }
    assert!(ended, "the connection was given up");
    assert_eq!(fetch(dial(&proxy).await, request("GET", "/"), b"").await.body, b"x", "others are served");
    assert!(app.heads().len() < 1000, "{} reached the app", app.heads().len());
}

#[tokio::test]
async fn a_stream_that_its_client_gives_up_is_given_up_behind_us() {
    let app = App::start(|_| Reply::Hang).await;
    let proxy = Proxy::before(&app);
    let mut send = dial(&proxy).await;
    let (response, mut stream) = send.send_request(request("GET", "/").body(()).unwrap(), true).unwrap();
    until(|| app.heads().len() == 1).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    let record = proxy.record(1).await;
    assert!(record.flags.contains(Flag::DownstreamClosed) && record.status == 0, "{record:?}");
}

#[tokio::test]
async fn websockets_over_streams_are_upgrades_to_the_app() {
    let app = App::start(|_| {
        Reply::SayAndEcho(
            b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhi"
                .to_vec(),
        )
    })
    .await;
    let proxy = Proxy::before(&app);
    let mut send = dial(&proxy).await;
    // The settings of the server have to be there first.
    until(|| send.is_extended_connect_protocol_enabled()).await;
    let mut asked = request("CONNECT", "/chat").header("sec-websocket-version", "13").body(()).unwrap();
    *asked.method_mut() = Method::CONNECT;
    asked.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let (response, mut stream) = send.send_request(asked, false).unwrap();
    let (parts, mut answer) = timeout(PATIENCE, response).await.unwrap().unwrap().into_parts();
    assert_eq!(parts.status, 200);
    assert!(!parts.headers.contains_key("sec-websocket-accept"));
    stream.send_data(Bytes::from_static(b" there"), true).unwrap();
    let mut got = Vec::new();
    while let Some(data) = timeout(PATIENCE, answer.data()).await.unwrap() {
        got.extend_from_slice(&data.unwrap());
    }
    assert_eq!(got, b"hi there");
    let head = &app.heads()[0];
    assert!(head.starts_with("GET /chat HTTP/1.1\r\n") && head.contains("Upgrade: websocket\r\n"), "{head}");
}

#[tokio::test]
async fn a_response_that_breaks_off_resets_its_stream() {
    let app = App::start(|_| Reply::SayAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec())).await;
    let proxy = Proxy::before(&app);
    let mut send = dial(&proxy).await;
    let (response, _) = send.send_request(request("GET", "/").body(()).unwrap(), true).unwrap();
    // Either the head was overtaken by the reset, or the body ends with it.
    let broke = match timeout(PATIENCE, response).await.unwrap() {
        Err(error) => error.is_reset(),
        Ok(response) => {
            let mut body = response.into_body();
            loop {
                match timeout(PATIENCE, body.data()).await.unwrap() {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error.is_reset(),
                    None => break false,
                }
            }
        }
    };
    assert!(broke, "it must not look whole");
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_even_if_it_is_a_post() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut number = 0;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            number += 1;
            match number {
                1 => respond.send_reset(h2::Reason::REFUSED_STREAM),
                _ => drop(respond.send_response(Response::new(()), true).unwrap()),
            }
        }
    });
    let mut cluster = Cluster::new("app", vec![Endpoint::tcp("127.0.0.1", port)]);
    cluster.protocol = UpstreamProtocol::Http2;
    let proxy = before(cluster);
    let mut caller = proxy.connect().await;
    caller.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&caller.head().await), 200);
    assert_eq!(proxy.record(1).await.attempts, 2);
}

#[tokio::test]
async fn a_target_that_is_none_is_refused() {
    let app = App::start(|_| ok("x")).await;
    let proxy = Proxy::before(&app);
    let mut send = dial(&proxy).await;
    for (method, path, expected) in [("POST", "*", 400), ("OPTIONS", "*", 200), ("GET", "/", 200)] {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some("http".parse().unwrap());
        parts.authority = Some("a".parse().unwrap());
        parts.path_and_query = Some(path.parse().unwrap());
        let uri = http::Uri::from_parts(parts).unwrap();
        let asked = Request::builder().method(method).uri(uri).body(()).unwrap();
        let (response, _) = send.send_request(asked, true).unwrap();
        assert_eq!(read(timeout(PATIENCE, response).await.unwrap().unwrap()).await.status, expected, "{method} {path}");
        send = send.ready().await.unwrap();
    }
    assert!(app.heads()[0].starts_with("OPTIONS * HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_request_that_lies_about_its_length_is_never_whole() {
    let app = App::start(|_| ok("x")).await;
    let proxy = Proxy::before(&app);
    for length in ["0", "5"] {
        let mut send = dial(&proxy).await;
        let asked = request("POST", "/").header("content-length", length).body(()).unwrap();
        let (response, mut stream) = send.send_request(asked, false).unwrap();
        stream.send_data(Bytes::from_static(b"abc"), true).unwrap();
        assert!(timeout(PATIENCE, response).await.unwrap().is_err(), "{length}");
    }
    until(|| proxy.records().len() == 2).await;
    assert!(proxy.records().iter().all(|record| record.upstream_status.is_none()), "no app has answered");
}

#[tokio::test]
async fn a_stream_given_up_while_the_app_is_waited_for_ends_at_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut cluster = Cluster::new("app", vec![Endpoint::tcp("127.0.0.1", nobody.port())]);
    cluster.connect_wait = Duration::from_secs(60);
    let proxy = before(cluster);
    let mut send = dial(&proxy).await;
    let (response, mut stream) = send.send_request(request("GET", "/").body(()).unwrap(), true).unwrap();
    until(|| !proxy.rules.peers.lock().unwrap().is_empty()).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    assert!(proxy.record(1).await.flags.contains(Flag::DownstreamClosed));
}
