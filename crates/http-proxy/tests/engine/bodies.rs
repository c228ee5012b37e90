//! Bodies and heads pass, both ways, in every framing.

use std::time::Duration;

use http_proxy::{Flag, ListenerSettings, RouteSettings};

use crate::kit::*;

fn big(length: usize) -> String {
    (0..length).map(|n| char::from(b'a' + (n % 26) as u8)).collect()
}

/// Says what it has read: the length, and whether it was whole.
fn counter(seen: &Seen) -> Reply {
    let whole = seen.body == big(seen.body.len()).as_bytes();
    ok(&format!("{} {whole}", seen.body.len()))
}

#[tokio::test]
async fn passes_bodies_to_the_app_in_both_framings() {
    let app = App::start(counter).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for length in [0, 1, 5_000, 20_000, 3_000_000] {
        let body = big(length);
        caller.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")).await;
        assert_eq!(caller.answer().await.1, format!("{length} true").as_bytes());
        caller.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for piece in body.as_bytes().chunks(70_001) {
            caller.send(format!("{:X};ext=1\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap())).await;
        }
        caller.send("0\r\nX-Trailer: 1\r\n\r\n").await;
        assert_eq!(caller.answer().await.1, format!("{length} true").as_bytes());
    }
    // A POST does not take a connection that has been idle for a second: on a busy machine there may be more than one.
    assert!(app.connections() <= 4, "{} connections", app.connections());
    let record = proxy.record(10).await;
    assert_eq!((record.status, record.request_bytes, record.complete), (200, 3_000_000, true));
}

#[tokio::test]
async fn passes_bodies_to_the_client_in_every_framing() {
    let app = App::start(|seen| {
        let body = big(700_000);
        match seen.head.split(' ').nth(1).unwrap() {
            "/length" => ok(&body),
            "/chunked" => {
                let chunks: String = (0..10).map(|_| format!("11170\r\n{}\r\n", big(70_000))).collect();
                say(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"))
            }
            _ => Reply::SayAndClose(format!("HTTP/1.1 200 OK\r\n\r\n{body}").into_bytes()),
        }
    })
    .await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    let chunked = (0..10).map(|_| big(70_000)).collect::<String>();
    for (path, expected) in
        [("/length", &big(700_000)), ("/chunked", &chunked), ("/close", &big(700_000)), ("/length", &big(700_000))]
    {
        let (head, body) = caller.get(path).await;
        assert_eq!(status(&head), 200);
        assert!(body == expected.as_bytes(), "{path}: {} bytes", body.len());
    }
    // HTTP/1.0 knows no chunks.
    let old = proxy.tell("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let (head, body) = old.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding") && head.contains("Connection: close"), "{head}");
    assert!(body == chunked);
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let app = App::start(|seen| ok(seen.head.split(' ').nth(1).unwrap())).await;
    let proxy = Proxy::before(&app);
    let all: String = (0..50)
        .map(|n| match n % 3 {
            0 => format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
            1 => format!("POST /{n} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            _ => format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"),
        })
        .collect();
    let mut caller = proxy.connect().await;
    caller.send(all).await;
    for n in 0..50 {
        assert_eq!(caller.answer().await.1, format!("/{n}").as_bytes());
    }
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    let app = App::start(|seen| match seen.head.split(' ').nth(1).unwrap() {
        "/204" => say("HTTP/1.1 204 No Content\r\n\r\n"),
        "/304" => say("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        "/empty" => say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        _ if seen.head.starts_with("HEAD") => say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        _ => ok("hello"),
    })
    .await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for (request, code, length) in [
        ("GET /204", 204, None),
        ("GET /304", 304, Some("9")),
        ("HEAD /", 200, Some("5")),
        ("GET /empty", 200, Some("0")),
        ("HEAD /own", 200, Some("3")),
    ] {
        caller.send(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let head = caller.head().await;
        assert_eq!((status(&head), field(&head, "content-length").as_deref()), (code, length), "{request}");
        assert!(field(&head, "date").is_some());
        assert!(caller.buffer.is_empty());
    }
    assert_eq!(caller.get("/").await.1, b"hello");
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn asks_for_the_body_when_somebody_will_take_it() {
    let app = App::start(counter).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    caller.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    assert_eq!(caller.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    caller.send("abc").await;
    assert_eq!(caller.answer().await.1, b"3 true");
    assert!(field(&app.heads()[0], "expect").is_none());
    // Nobody reads it: it is not asked for, and the connection ends.
    let text = proxy.tell("POST /own HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("Connection: close"), "{text}");
}

#[tokio::test]
async fn early_hints_pass_and_an_early_answer_ends_the_upload() {
    let app = App::start(|seen| match seen.head.contains("/early") {
        true => say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nlong"),
        false => say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    })
    .await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(caller.head().await, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    assert_eq!(caller.answer().await.1, b"ok");
    caller.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n").await;
    caller.send(big(100_000)).await;
    let (head, body) = caller.answer().await;
    assert_eq!((status(&head), &body[..]), (413, &b"long"[..]));
    assert!(head.contains("Connection: close"), "{head}");
}

#[tokio::test]
async fn a_body_larger_than_allowed_is_refused_in_both_framings() {
    let app = App::start(counter).await;
    let settings = RouteSettings { max_body: Some(10), ..RouteSettings::default() };
    let proxy = Proxy::route(&app, settings);
    let text = proxy
        .tell(format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{}", big(11)))
        .await;
    assert_eq!(status(&text), 413, "{text}");
    assert_eq!(app.connections(), 0);
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{}\r\n0\r\n\r\n",
        big(11)
    );
    let text = proxy.tell(chunked).await;
    assert_eq!(status(&text), 413, "{text}");
    let mut caller = proxy.connect().await;
    caller.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}", big(10))).await;
    assert_eq!(caller.answer().await.1, b"10 true");
    assert!(proxy.records()[0].flags.contains(Flag::BodyTooLarge));
}

#[tokio::test]
async fn a_response_that_breaks_off_is_seen_to_break_off() {
    let app = App::start(|seen| match seen.head.split(' ').nth(1).unwrap() {
        "/length" => Reply::SayAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_vec()),
        "/chunked" => Reply::SayAndClose(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n".to_vec()),
        "/bad" => say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n"),
        _ => say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    })
    .await;
    let proxy = Proxy::before(&app);
    let text = proxy.tell("GET /length HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(text.ends_with("abc") && text.contains("Content-Length: 100"), "{text}");
    for path in ["/chunked", "/bad"] {
        let text = proxy.tell(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(text.contains("abc\r\n") && !text.contains("0\r\n\r\n"), "{text}");
    }
    let text = proxy.tell("GET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(status(&text) == 502 && text.contains("X-Flag: UPE"), "{text}");
    let record = proxy.record(4).await;
    assert!(record.flags.contains(Flag::UpstreamProtocol) && record.error.is_some(), "{record:?}");
    assert!(
        !proxy.records()[0].complete && proxy.records()[0].flags.contains(Flag::UpstreamClosed),
        "{:?}",
        proxy.records()
    );
}

#[tokio::test]
async fn pieces_arrive_as_they_are_sent() {
    let pieces = vec![
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec(),
        b"data: 1\n\n".to_vec(),
        b"data: 2\n\n".to_vec(),
    ];
    let app = App::start(move |_| Reply::Slowly(pieces.clone(), Duration::from_millis(100))).await;
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = caller.head().await;
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    assert!(caller.buffer.is_empty(), "the head did not wait for data");
    use tokio::io::AsyncReadExt;
    let mut piece = [0; 100];
    let read = tokio::time::timeout(PATIENCE, caller.stream.read(&mut piece)).await.unwrap().unwrap();
    assert_eq!(&piece[..read], b"9\r\ndata: 1\n\n\r\n");
}

#[tokio::test]
async fn a_script_that_ends_its_lines_with_lf_is_understood() {
    let app = App::start(|_| Reply::SayAndClose(b"HTTP/1.1 200 OK\nContent-Type: text/plain\n\nhello".to_vec())).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for _ in 0..3 {
        let (head, body) = caller.get("/").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n") && body == b"hello", "{head}");
    }
}
