//! Request after request to the same server, as shipping does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::server::{Server, read_request};
use http_client::{Auth, Bytes, Client, Kind, Request, SecretSource, Target};
use values::Secret;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

fn shipping(server: &Server) -> Target {
    Target { timeout: Duration::from_secs(10), ..Target::shipping("POST", server.url()) }
}

fn repeatable(body: &'static str) -> Request {
    Request { body: Some(Bytes::from(body)), is_repeatable: true, ..Request::default() }
}

/// Answers the first request of each connection, reads the second, and closes.
fn forgetful() -> (Server, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let server = Server::start(move |_, wire| {
        count.fetch_add(1, Ordering::SeqCst);
        wire.write_all(OK.as_bytes()).unwrap();
        read_request(wire);
    });
    (server, connections)
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_not_an_error() {
    let (server, connections) = forgetful();
    let client = Client::new(shipping(&server)).unwrap();
    for _ in 0..4 {
        assert_eq!(client.send(&repeatable("x")).await.unwrap().body, b"yes");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_cannot_be_repeated_is_not() {
    let (server, connections) = forgetful();
    let client = Client::new(shipping(&server)).unwrap();
    let once = Request { body: Some("x".into()), ..Request::default() };
    client.send(&once).await.unwrap();
    let error = client.send(&once).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Read);
    assert_eq!(error.to_string(), format!("POST {}: connection closed before message completed", server.url()));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_an_error_at_once() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let server = Server::start(move |_, wire| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            wire.write_all(OK.as_bytes()).unwrap();
            read_request(wire);
        }
    });
    let client = Client::new(shipping(&server)).unwrap();
    client.send(&repeatable("1")).await.unwrap();
    // The old connection breaks, and then the new one.
    assert_eq!(client.send(&repeatable("2")).await.unwrap_err().kind(), Kind::Read);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    assert_eq!(client.send(&repeatable("3")).await.unwrap_err().kind(), Kind::Read);
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_answer_is_kept_as_far_as_it_may_be() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    for (most, kept, truncated) in [(4, "0123", true), (10, "0123456789", false), (1 << 40, "0123456789", false)] {
        let client = Client::new(Target { max_reply: most, ..shipping(&server) }).unwrap();
        let reply = client.send(&Request::default()).await.unwrap();
        assert_eq!((reply.body.as_slice(), reply.truncated), (kept.as_bytes(), truncated));
    }
}

#[tokio::test]
async fn the_body_goes_out_without_asking_first() {
    let server = Server::saying(OK);
    let client = Client::new(shipping(&server)).unwrap();
    let body = Bytes::from(vec![b'x'; 100_000]);
    let request = Request { body: Some(body), is_repeatable: true, ..Request::default() };
    for _ in 0..2 {
        client.send(&request).await.unwrap();
        let seen = server.last().to_lowercase();
        assert!(seen.contains("\r\ncontent-length: 100000\r\n") && !seen.contains("\r\nexpect:"));
    }
}

#[tokio::test]
async fn an_api_key_is_sent_and_not_told() {
    let server = Server::saying(OK);
    let auth = Some(Auth::Token("ApiKey", SecretSource::Value(Secret::new("hunter2"))));
    let client = Client::new(Target { auth, ..shipping(&server) }).unwrap();
    assert!(!format!("{client:?}").contains("hunter2"));
    client.send(&Request::default()).await.unwrap();
    assert!(server.last().contains("\r\nauthorization: ApiKey hunter2\r\n"), "{}", server.last());
}
