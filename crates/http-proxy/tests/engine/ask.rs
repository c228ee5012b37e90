//! A policy that reads the body before it decides, and one that looks at trailers.

use std::time::Duration;

use http_proxy::{Flag, HttpSettings, ListenerSettings, RouteSettings, Serve};

use crate::kit::*;

fn echo(seen: &Seen) -> Reply {
    ok(&format!("{}|{}", seen.head.contains("x-checksum: 1"), String::from_utf8_lossy(&seen.body)))
}

#[tokio::test]
async fn a_policy_answers_from_the_body() {
    let app = App::start(echo).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for framing in
        ["Content-Length: 6\r\n\r\na=b&c=", "Transfer-Encoding: chunked\r\n\r\n4\r\na=b&\r\n2\r\nc=\r\n0\r\n\r\n"]
    {
        caller.send(format!("POST /own HTTP/1.1\r\nHost: a\r\nX-Read: 6\r\n{framing}")).await;
        assert_eq!(caller.answer().await.1, b"own a=b&c=");
    }
    caller.send("POST /own HTTP/1.1\r\nHost: a\r\nX-Read: 6\r\n\r\n").await;
    assert_eq!(caller.answer().await.1, b"own ");
    assert_eq!(app.connections(), 0);
    let record = proxy.record(3).await;
    assert_eq!((record.status, record.complete), (200, true));
}

#[tokio::test]
async fn what_a_policy_has_read_goes_on_as_it_came() {
    let app = App::start(echo).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    let body = "x".repeat(100_000);
    caller
        .send(format!("POST / HTTP/1.1\r\nHost: a\r\nX-Read: 100000\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
        .await;
    assert_eq!(caller.answer().await.1, format!("false|{body}").as_bytes());
    caller
        .send("POST / HTTP/1.1\r\nHost: a\r\nX-Read: 9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await;
    assert_eq!(caller.answer().await.1, b"false|abc");
    assert_eq!(proxy.record(2).await.request_bytes, 3);
    // The next request on the connection is the next request.
    assert_eq!(caller.get("/").await.1, b"false|");
}

#[tokio::test]
async fn a_retry_sends_what_a_policy_has_read_again() {
    let app = App::start(|seen| match seen.connection {
        0 => Reply::Close,
        _ => ok(&String::from_utf8_lossy(&seen.body)),
    })
    .await;
    let retries = http_proxy::Retries { reset: true, ..http_proxy::Retries::default() };
    let proxy = Proxy::route(&app, RouteSettings { retries, ..RouteSettings::default() });
    let mut caller = proxy.connect().await;
    caller.send("PUT / HTTP/1.1\r\nHost: a\r\nX-Read: 9\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(caller.answer().await.1, b"abc");
}

#[tokio::test]
async fn a_body_that_is_read_is_bounded() {
    let app = App::start(echo).await;
    let proxy = Proxy::before(&app);
    for framing in
        ["Content-Length: 7\r\n\r\na=b&c=d", "Transfer-Encoding: chunked\r\n\r\n4\r\na=b&\r\n3\r\nc=d\r\n0\r\n\r\n"]
    {
        let answer =
            proxy.tell(format!("POST /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Read: 6\r\n{framing}")).await;
        assert_eq!(status(&answer), 413, "{answer}");
        assert!(answer.contains("X-Flag: BL"), "{answer}");
    }
    // Nobody is asked for a body that will be refused.
    let mut caller = proxy.connect().await;
    caller
        .send("POST /own HTTP/1.1\r\nHost: a\r\nX-Read: 6\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n")
        .await;
    assert_eq!(status(&caller.head().await), 413);
    let answer = proxy.tell("POST /read-again HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Read: 6\r\n\r\n").await;
    assert_eq!(status(&answer), 500);
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn a_client_is_asked_for_the_body_that_is_read() {
    let app = App::start(echo).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for path in ["/own", "/"] {
        let head = "Host: a\r\nX-Read: 6\r\nExpect: 100-continue\r\nContent-Length: 3";
        caller.send(format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n")).await;
        assert_eq!(status(&caller.head().await), 100);
        caller.send("abc").await;
        let (_, body) = caller.answer().await;
        assert!(body.ends_with(b"abc"));
    }
    assert!(!app.heads()[0].to_ascii_lowercase().contains("expect"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let app = App::start(echo).await;
    let http = HttpSettings { body_timeout: Duration::from_millis(100), ..HttpSettings::default() };
    let listener = ListenerSettings { serve: Serve::Http(http.into()), ..ListenerSettings::http("in") };
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), listener);
    let answer = proxy.tell("POST /own HTTP/1.1\r\nHost: a\r\nX-Read: 6\r\nContent-Length: 3\r\n\r\nab").await;
    assert_eq!(status(&answer), 408, "{answer}");
    assert!(proxy.record(1).await.flags.contains(Flag::DownstreamTimeout));
}

#[tokio::test]
async fn trailers_are_shown_to_the_policy() {
    let app = App::start(|seen| ok(&seen.head)).await;
    let seen = std::sync::Arc::clone(&app.trailers);
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for read in ["", "X-Read: 9\r\n"] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{read}Transfer-Encoding: chunked\r\n\r\n");
        caller
            .send(format!("{head}3\r\nabc\r\n0\r\nX-User: root\r\nX-Checksum: 1\r\nX-Forwarded-User: root\r\n\r\n"))
            .await;
        assert_eq!(status(&caller.answer().await.0), 200);
        assert_eq!(seen.lock().unwrap().pop().unwrap(), "X-Checksum: 1\r\n");
    }
}
