//! What reaches the app is unambiguous, whatever the client has sent.

use http_proxy::Flag;

use crate::kit::*;

#[tokio::test]
async fn the_app_sees_canonical_requests() {
    let app = App::start(|_| say("HTTP/1.1 200 OK\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=9\r\nContent-Length: 0\r\n\r\n")).await;
    let proxy = Proxy::before(&app);
    let text = proxy
        .tell(
            "POST http://other:81/x?y HTTP/1.1\r\nHOST:   a\r\ncOnnection: close, X-Hop, X-Forwarded-For\r\nX-Hop: 1\r\nTE: trailers\r\n\
             X-Forwarded-For: 9.9.9.9\r\nX-Keep:\tb \t\r\ntransfer-encoding: CHUNKED\r\n\r\n03;a=b\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n",
        )
        .await;
    assert_eq!(status(&text), 200);
    assert!(!text.contains("X-Secret") && !text.contains("Keep-Alive"), "{text}");
    let expected = "POST /x?y HTTP/1.1\r\nHost: other:81\r\nX-Forwarded-For: 9.9.9.9\r\nX-Keep: b\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(app.heads(), [expected]);
}

#[tokio::test]
async fn what_is_ambiguous_never_reaches_the_app() {
    let app = App::start(|_| ok("")).await;
    let proxy = Proxy::before(&app);
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: \u{b}chunked", 400),
        ("Transfer-Encoding : chunked", 400),
        ("X: y\r\n Transfer-Encoding: chunked", 400),
        ("Content-Length: 4\r\nContent-Length: 4", 400),
        ("Content-Length: 4, 4", 400),
        ("Content-Length: +4", 400),
        ("Host: b", 400),
        ("X: y\nTransfer-Encoding: chunked", 400),
        ("X: a\0b", 400),
    ];
    for (field, expected) in cases {
        let text = proxy.tell(format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n{hidden}")).await;
        assert_eq!(status(&text), expected, "{field:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "nothing after it was read: {text}");
    }
    assert_eq!(app.heads().len(), 0);
    assert!(proxy.records().iter().all(|record| record.flags.contains(Flag::DownstreamProtocol)));
    assert_eq!(proxy.records().len(), cases.len());
}

#[tokio::test]
async fn a_bad_chunk_ends_both_connections() {
    let app = App::start(|_| ok("")).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    assert_eq!(status(&caller.get("/").await.0), 200);
    caller.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let text = caller.rest().await;
    assert_eq!((status(&text), text.matches("HTTP/1.1 ").count()), (400, 1), "{text}");
    let mut caller = proxy.connect().await;
    assert_eq!(status(&caller.get("/").await.0), 200);
    assert_eq!(app.connections(), 2, "the one in the middle of a body was not used again");
    assert!(app.heads().iter().all(|head| !head.contains("hidden")));
}

#[tokio::test]
async fn an_app_that_says_too_much_gets_no_second_request() {
    let app = App::start(|_| {
        say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    })
    .await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for _ in 0..3 {
        assert_eq!(caller.get("/").await.1, b"a");
    }
    assert_eq!(app.connections(), 3);
}

#[tokio::test]
async fn old_clients_are_served() {
    let app = App::start(|_| ok("x")).await;
    let proxy = Proxy::before(&app);
    let text = proxy.tell("GET / HTTP/1.0\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("Connection: close\r\n"), "{text}");
    assert_eq!(field(&app.heads()[0], "host"), Some(app.address.to_string()));
    let mut caller = proxy.connect().await;
    for _ in 0..2 {
        caller.send("GET / HTTP/1.0\r\nHost: b\r\nConnection: keep-alive\r\n\r\n").await;
        let (head, _) = caller.answer().await;
        assert!(head.contains("Connection: keep-alive\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_panic_costs_its_connection_and_nothing_else() {
    let app = App::start(|_| ok("")).await;
    let proxy = Proxy::before(&app);
    let mut other = proxy.connect().await;
    assert_eq!(status(&other.get("/").await.0), 200);
    assert_eq!(proxy.tell("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await, "");
    assert_eq!(status(&other.get("/").await.0), 200);
}

#[tokio::test]
async fn what_follows_a_broken_end_is_not_read_as_a_request() {
    let app = App::start(|_| ok("")).await;
    let proxy = Proxy::before(&app);
    for end in ["0\r\nX y\r\n\r\n", "0\r\n\n", "0\r\nX: y\n\r\n", "0;a\nb\r\n\r\n", "3\r\nabc\n0\r\n\r\n"] {
        let start = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        let text = proxy.tell(format!("{start}{end}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!((status(&text), text.matches("HTTP/1.1 ").count()), (400, 1), "{end:?}: {text}");
    }
    assert!(app.heads().iter().all(|head| !head.contains("smuggled")));
}

#[tokio::test]
async fn another_protocol_gets_no_answer() {
    let app = App::start(|_| ok("")).await;
    let proxy = Proxy::before(&app);
    assert_eq!(proxy.tell("INVALID CONNECTION PREFACE\r\n\r\n").await, "");
    let record = proxy.record(1).await;
    assert!(record.status == 0 && record.flags.contains(Flag::DownstreamProtocol));
}

#[tokio::test]
async fn options_and_trace_go_as_far_as_they_may() {
    let app = App::start(|_| ok("")).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for (method, left, code) in [("OPTIONS", 0, 200), ("TRACE", 0, 405), ("OPTIONS", 7, 200), ("GET", 0, 200)] {
        caller.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {left}\r\n\r\n")).await;
        assert_eq!(status(&caller.answer().await.0), code, "{method} {left}");
    }
    let heads = app.heads();
    assert_eq!(heads.len(), 2);
    assert!(heads[0].contains("Max-Forwards: 6\r\n") && heads[1].contains("Max-Forwards: 0\r\n"), "{heads:?}");
}
