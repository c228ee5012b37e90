//! What gRPC and WebSockets over HTTP/2 need, spoken by the `h2` crate on both sides.

use std::{future::Future, net::SocketAddr};

use bytes::Bytes as Piece;
use h2::{RecvStream, SendStream, client::SendRequest, ext::Protocol};
use http::{HeaderMap, Method, Request, Response, Version};
use test_kit::{PATIENCE, Sidecar};
use tokio::net::{TcpListener, TcpStream};

use crate::{app::App, life, port, with};

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("in time") })
}

/// One message of gRPC.
fn message(text: &str) -> Piece {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes.into()
}

/// The next message, however it is cut into frames.
async fn next(body: &mut RecvStream, rest: &mut Vec<u8>) -> Option<String> {
    loop {
        if let [0, a, b, c, d, text @ ..] = &rest[..] {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            if text.len() >= length {
                let text = String::from_utf8(text[..length].to_vec()).unwrap();
                rest.drain(..5 + length);
                return Some(text);
            }
        }
        let data = body.data().await?.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        rest.extend(data);
    }
}

fn status(code: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    trailers.insert("grpc-message", "as%20said".parse().unwrap());
    trailers
}

/// `/echo` answers each message as it comes; `/fail` fails without a message.
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(call(request, respond));
            }
        });
    }
}

async fn call(request: Request<RecvStream>, mut respond: h2::server::SendResponse<Piece>) {
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    let head = Response::builder().header("content-type", "application/grpc");
    if request.uri().path() == "/fail" {
        let head = head.header("grpc-status", "5").header("grpc-message", "as%20said");
        respond.send_response(head.body(()).unwrap(), true).unwrap();
        return;
    }
    let mut send = respond.send_response(head.body(()).unwrap(), false).unwrap();
    let (mut body, mut rest) = (request.into_body(), Vec::new());
    while let Some(text) = next(&mut body, &mut rest).await {
        send.send_data(message(&format!("you said {text}")), false).unwrap();
    }
    send.send_trailers(status("0")).unwrap();
}

async fn app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(serve(listener));
    addr
}

fn before(app: SocketAddr) -> Sidecar {
    with(&format!(
        "clusters: [{{name: app, endpoints: [\"{app}\"], http2: true}}]\nlisteners: [{{listen: \"127.0.0.1:0\", routes: [{{to: app}}]}}]\n"
    ))
}

async fn connect(sidecar: &Sidecar) -> SendRequest<Piece> {
    let stream = TcpStream::connect(("127.0.0.1", port(sidecar))).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client.ready().await.unwrap()
}

fn request(path: &str) -> Request<()> {
    let request = Request::post(format!("http://app{path}")).version(Version::HTTP_2);
    request.header("te", "trailers").header("content-type", "application/grpc").body(()).unwrap()
}

#[test]
fn a_call_has_its_message_and_its_status() {
    run(async {
        let sidecar = before(app().await);
        let mut client = connect(&sidecar).await;
        let (response, mut send) = client.send_request(request("/echo"), false).unwrap();
        send.send_data(message("hello"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut rest = Vec::new();
        assert_eq!(next(&mut body, &mut rest).await.as_deref(), Some("you said hello"));
        assert_eq!(next(&mut body, &mut rest).await, None);
        assert_eq!(body.trailers().await.unwrap(), Some(status("0")));
    });
}

#[test]
fn a_call_that_fails_says_so_in_its_head() {
    run(async {
        let sidecar = before(app().await);
        let (response, _) = connect(&sidecar).await.send_request(request("/fail"), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!((&response.headers()["grpc-status"], response.status().as_u16()), (&"5".parse().unwrap(), 200));
        assert!(response.body().is_end_stream(), "one head and nothing more");
    });
}

#[test]
fn messages_of_a_conversation_cross_one_by_one() {
    run(async {
        let sidecar = before(app().await);
        let mut client = connect(&sidecar).await;
        let (response, mut send) = client.send_request(request("/echo"), false).unwrap();
        send.send_data(message("0"), false).unwrap();
        let (mut body, mut rest) = (response.await.unwrap().into_body(), Vec::new());
        assert_eq!(next(&mut body, &mut rest).await.as_deref(), Some("you said 0"));
        for number in 1..500 {
            send.send_data(message(&number.to_string()), false).unwrap();
            assert_eq!(next(&mut body, &mut rest).await, Some(format!("you said {number}")));
        }
        send.send_data(Piece::new(), true).unwrap();
        assert_eq!(next(&mut body, &mut rest).await, None);
        assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    });
}

async fn say(send: &mut SendStream<Piece>, body: &mut RecvStream, data: &[u8]) {
    send.send_data(data.to_vec().into(), false).unwrap();
    let mut got = Vec::new();
    while got.len() < data.len() {
        let piece = body.data().await.expect("it is open").unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        got.extend(piece);
    }
    assert!(got == data, "{} bytes", got.len());
}

#[test]
fn a_websocket_in_a_stream_of_http2_is_one_for_an_app_of_http1() {
    run(async {
        let app = App::start(|got, stream| {
            assert!(
                got.head.starts_with("GET /ws HTTP/1.1\r\n") && got.field("upgrade") == Some("websocket"),
                "{}",
                got.head
            );
            life::echo(stream)
        });
        let sidecar = crate::proxy(&app);
        let mut client = connect(&sidecar).await;
        while !client.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let mut request = Request::builder().method(Method::CONNECT).uri("http://app/ws").version(Version::HTTP_2);
        request = request.header("sec-websocket-version", "13").extension(Protocol::from_static("websocket"));
        let (response, mut send) = client.send_request(request.body(()).unwrap(), false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let mut body = response.into_body();
        say(&mut send, &mut body, b"hello").await;
        say(&mut send, &mut body, &vec![7; 30_000]).await;
        send.send_data(Piece::new(), true).unwrap();
        while let Some(rest) = body.data().await {
            assert!(rest.unwrap().is_empty(), "nothing but the end is left");
        }
    });
}

#[test]
fn trailers_of_a_request_cross_to_http1() {
    run(async {
        let app = App::echo();
        let sidecar = crate::proxy(&app);
        let mut client = connect(&sidecar).await;
        let (response, mut send) = client.send_request(request("/t"), false).unwrap();
        send.send_data(b"abc"[..].into(), false).unwrap();
        send.send_trailers(status("0")).unwrap();
        assert_eq!(response.await.unwrap().status().as_u16(), 200);
        let got = app.got.lock().unwrap()[0].clone();
        assert_eq!((&got.body[..], &*got.trailers), (&b"abc"[..], "grpc-status: 0\r\ngrpc-message: as%20said\r\n\r\n"));
    });
}
