//! One attempt over http: what it costs, what it sends, and what it says when it fails.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::server::{Server, closed_port, silent_port, until_closed};
use http_client::{Auth, Backoff, Client, Error, Expect, Kind, MAX_BODY, Reply, Request, SecretSource, Target};
use values::Secret;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Answer: 42\r\n\r\nyes";

fn post(url: impl Into<String>) -> Target {
    Target { timeout: Duration::from_secs(10), ..Target::new("POST", url) }
}

async fn send(target: Target) -> Result<Reply, Error> {
    Client::new(target)?.send(&Request::default()).await
}

async fn refusal(target: Target) -> Error {
    send(target).await.unwrap_err()
}

#[tokio::test]
async fn sends_what_was_configured_and_reads_the_answer() {
    let server = Server::saying(OK);
    let mut target = post(server.url());
    target.headers = vec![("X-One".into(), "1".into()), ("X-Two".into(), "2".into())];
    target.body = Some("from the target".into());
    let client = Client::new(target).unwrap();
    let reply = client.send(&Request::default()).await.unwrap();
    assert_eq!((reply.status, reply.body.as_slice(), reply.truncated), (200, &b"yes"[..], false));
    assert_eq!(reply.header("x-answer"), Some("42"));
    assert!(reply.elapsed > Duration::ZERO);
    let seen = server.last().to_lowercase();
    assert!(seen.starts_with("post /-/reload http/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nx-one: 1\r\n") && seen.contains("\r\nuser-agent: pillion/"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nfrom the target"), "{seen}");
    let request =
        Request { headers: vec![("x-two".into(), "replaced".into())], body: Some("mine".into()), ..Request::default() };
    client.send(&request).await.unwrap();
    let seen = server.last();
    assert!(seen.contains("x-two: replaced") && !seen.contains("x-two: 2") && seen.ends_with("\r\n\r\nmine"), "{seen}");
}

#[tokio::test]
async fn an_empty_post_has_a_length() {
    let server = Server::saying(OK);
    send(post(server.url())).await.unwrap();
    assert_eq!(server.last().to_lowercase().matches("\r\ncontent-length: 0\r\n").count(), 1, "{}", server.last());
    send(Target { method: "GET".into(), ..post(server.url()) }).await.unwrap();
    assert!(!server.last().to_lowercase().contains("content-length"), "{}", server.last());
}

#[tokio::test]
async fn a_hanging_server_costs_the_timeout() {
    let (closed, noticed) = mpsc::sync_channel(8);
    let after_head = Server::start(move |request, wire| {
        if request.contains("/body") {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
        } else if request.contains("/error") {
            wire.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nhalf a reason\n").unwrap();
        }
        closed.send(until_closed(wire)).unwrap();
    });
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", after_head.port);
    for (url, expected, kind) in [
        (at("/head"), "no answer within 300ms", Kind::Timeout),
        (at("/body"), "answered 200, but no end of the body within 300ms", Kind::Timeout),
        (at("/error"), "answered 503, expected 200-299: \"half a reason\"", Kind::Status(503)),
        (format!("http://127.0.0.1:{}/", silent_port()), "no answer within 300ms", Kind::Timeout),
        // The handshake is inside the timeout, too.
        (format!("https://127.0.0.1:{}/", silent_port()), "no answer within 300ms", Kind::Timeout),
    ] {
        let begun = Instant::now();
        let mut target = Target { timeout: Duration::from_millis(300), ..post(&url) };
        target.tls = std::sync::Arc::new(tls::ClientTls { dangerously_skip_verification: true, ..Default::default() });
        let error = refusal(target).await;
        assert_eq!(error.to_string(), format!("POST {url}: {expected}"));
        assert_eq!(error.kind(), kind);
        let cost = begun.elapsed();
        assert!(cost >= Duration::from_millis(290) && cost < Duration::from_millis(1500), "{url} cost {cost:?}");
    }
    // And nothing stays behind: the server saw each of its three connections end.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..3 {
        assert!(noticed.recv_timeout(Duration::from_secs(5)).unwrap() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn ten_gigabytes_cost_64_kib() {
    let (done, written) = mpsc::sync_channel(1);
    let server = Server::start(move |_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n").unwrap();
        let block = [b'x'; 16 * 1024];
        let mut total = 0_u64;
        while total < 10_737_418_240 && wire.write_all(&block).is_ok() {
            total += block.len() as u64;
        }
        done.send(total).unwrap();
    });
    let reply = send(post(server.url())).await.unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (MAX_BODY, true));
    assert_eq!(reply.body.capacity(), MAX_BODY);
    tokio::time::sleep(Duration::from_millis(50)).await;
    // What fits into the sockets' buffers, not ten gigabytes: the connection was closed.
    let total = written.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(total < 32 * 1024 * 1024, "the server could write {total} bytes");
}

#[tokio::test]
async fn a_body_of_exactly_64_kib_is_not_truncated() {
    let server = Server::start(|_, wire| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MAX_BODY}\r\n\r\n");
        wire.write_all(head.as_bytes()).unwrap();
        wire.write_all(&vec![b'x'; MAX_BODY]).unwrap();
    });
    let reply = send(post(server.url())).await.unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (MAX_BODY, false));
}

#[tokio::test]
async fn endless_headers_are_refused() {
    let server = Server::start(|_, wire| {
        let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        while wire.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let error = refusal(post(server.url())).await;
    assert_eq!(error.kind(), Kind::Read);
    assert_eq!(error.to_string(), format!("POST {}: message head is too large", server.url()));
}

#[tokio::test]
async fn redirects_are_refused_and_named() {
    let server = Server::saying(
        "HTTP/1.1 302 Found\r\nLocation: https://u:pw@login.example/?token=abc&next=1\r\nContent-Length: 0\r\n\r\n",
    );
    let error = refusal(post(server.url())).await;
    assert_eq!(
        error.to_string(),
        format!(
            "POST {}: answered 302 to https://***@login.example/?token=***&next=1: redirects are not followed",
            server.url()
        )
    );
    assert_eq!((error.kind(), error.kind().label()), (Kind::Redirect, "redirect"));
    // Who expects it, gets it.
    let reply = send(Target { expect: Expect::codes([302]), ..post(server.url()) }).await.unwrap();
    assert_eq!(reply.status, 302);
    assert_eq!(server.seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_unexpected_status_is_told_with_what_was_answered() {
    let server =
        Server::saying("HTTP/1.1 500 Oops\r\nContent-Length: 33\r\n\r\n\r\n failed to reload:\tbad\nsecond\n..");
    let error = refusal(post(server.url())).await;
    assert_eq!(
        error.to_string(),
        format!("POST {}: answered 500, expected 200-299: \"failed to reload: bad second .\"", server.url())
    );
    assert_eq!((error.kind(), error.kind().label()), (Kind::Status(500), "status"));
    assert_eq!(send(Target { expect: Expect::any(), ..post(server.url()) }).await.unwrap().status, 500);
}

#[tokio::test]
async fn connection_refused_reads_well() {
    let port = closed_port();
    let error = refusal(post(format!("http://127.0.0.1:{port}/-/reload"))).await;
    assert_eq!(error.to_string(), format!("POST http://127.0.0.1:{port}/-/reload: connection refused"));
    assert_eq!((error.kind(), error.kind().label()), (Kind::Connect, "connect"));
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[tokio::test]
async fn an_unknown_name_reads_well() {
    let error = refusal(post("http://no-such-host.invalid/x")).await;
    assert_eq!(error.kind(), Kind::Connect);
    let text = error.to_string();
    assert!(text.starts_with("POST http://no-such-host.invalid/x: cannot resolve no-such-host.invalid: "), "{text}");
    assert!(!text.contains("dns error") && !text.contains("os error") && !text.contains("lookup"), "{text}");
}

#[tokio::test]
async fn a_broken_answer_reads_well() {
    let nothing = Server::start(|_, _| ());
    let error = refusal(post(nothing.url())).await;
    assert_eq!(error.to_string(), format!("POST {}: connection closed before message completed", nothing.url()));
    assert_eq!(error.kind(), Kind::Read);
    let half = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    });
    let text = refusal(post(half.url())).await.to_string();
    assert!(text.starts_with(&format!("POST {}: answered 200, then ", half.url())), "{text}");
    let other = Server::saying("220 mail.example ESMTP\r\n\r\n");
    let error = refusal(post(other.url())).await;
    assert_eq!(error.kind(), Kind::Read);
    assert!(error.to_string().contains("HTTP"), "{error}");
}

#[tokio::test]
async fn mistakes_are_refused_before_anything_is_sent() {
    let error = |target: Target| {
        let error = Client::new(target).unwrap_err();
        assert_eq!(error.kind(), Kind::CreateRequest);
        error.to_string()
    };
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let good = || post("http://a.example/");
    assert_eq!(error(post("a.example")), "POST a.example: not a URL: relative URL without a base");
    assert_eq!(error(post("ftp://a/")), "POST ftp://a/: scheme \"ftp\": expected http or https");
    assert_eq!(
        error(Target { method: "GE T".into(), ..good() }),
        "GE T http://a.example/: method \"GE T\": expected one like GET or POST"
    );
    assert_eq!(
        error(Target { headers: header("X-Token", "hunter2\r\nX: y"), ..good() }),
        "POST http://a.example/: header \"X-Token\": its value has characters that a header cannot carry"
    );
    assert!(error(Target { headers: header("a b", ""), ..good() }).ends_with("header \"a b\": not a header name"));
    assert!(error(Target { timeout: Duration::ZERO, ..good() }).ends_with("timeout 0s: expected more"));
    let auth = Some(Auth::Bearer(SecretSource::Value(Secret::new("t"))));
    let both = Target { headers: header("authorization", "x"), auth: auth.clone(), ..good() };
    assert!(error(both).ends_with("both auth and an Authorization header are given, expected one"));
    let client = Client::new(Target { auth, ..good() }).unwrap();
    let request = Request { headers: header("Authorization", "x"), ..Request::default() };
    assert_eq!(client.send(&request).await.unwrap_err().kind(), Kind::CreateRequest);
}

#[tokio::test]
async fn credentials_are_sent_and_userinfo_gives_way() {
    let server = Server::saying(OK);
    let authorization = || {
        let last = server.last();
        let line = last.lines().find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned));
        line.unwrap_or_default()
    };
    let with_userinfo = server.url().replace("http://", "http://me:p%40ss@");
    let secret = |text: &str| SecretSource::Value(Secret::new(text));
    send(post(&with_userinfo)).await.unwrap();
    assert_eq!(authorization(), "Basic bWU6cEBzcw==");
    assert!(!server.last().contains("me:"), "{}", server.last());
    let basic = Auth::Basic { user: "other".into(), password: secret("word") };
    send(Target { auth: Some(basic), ..post(&with_userinfo) }).await.unwrap();
    assert_eq!(authorization(), "Basic b3RoZXI6d29yZA==");
    send(Target { auth: Some(Auth::Bearer(secret("tok"))), ..post(server.url()) }).await.unwrap();
    assert_eq!(authorization(), "Bearer tok");
    send(Target { headers: vec![("Authorization".into(), "Own x".into())], ..post(&with_userinfo) }).await.unwrap();
    assert_eq!(authorization(), "Own x");
}

#[tokio::test]
async fn password_file_is_reread() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let server = Server::saying(OK);
    let auth = Some(Auth::Bearer(SecretSource::File(file.clone())));
    // Also when connections are kept.
    let client = Client::new(Target { auth, keep_connections: true, ..post(server.url()) }).unwrap();
    client.send(&Request::default()).await.unwrap();
    assert!(server.last().contains("authorization: Bearer first\r\n"), "{}", server.last());
    std::fs::write(&file, "second").unwrap();
    client.send(&Request::default()).await.unwrap();
    assert!(server.last().contains("authorization: Bearer second\r\n"), "{}", server.last());
    std::fs::write(&file, "\n").unwrap();
    let expected = format!("POST {}: {}: the file is empty, expected a secret", server.url(), file.display());
    assert_eq!(client.check().unwrap_err().to_string(), expected);
    std::fs::remove_file(&file).unwrap();
    let error = client.send(&Request::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::CreateRequest);
    let expected = format!("POST {}: {}: no such file or directory", server.url(), file.display());
    assert_eq!(error.to_string(), expected);
}

/// Every way to give a secret, against every way to fail: none of the texts has it.
#[tokio::test]
async fn secrets_never_appear_in_errors_or_debug() {
    // A server that repeats the whole request on one line, as debugging endpoints do.
    let echo = Server::start(|request, wire| {
        let line = request.replace("\r\n", " ");
        let answer = format!("HTTP/1.1 500 No\r\nContent-Length: {}\r\n\r\n{line}", line.len());
        wire.write_all(answer.as_bytes()).unwrap();
    });
    let redirect = Server::start(|request, wire| {
        let line = request.replace("\r\n", " ");
        wire.write_all(format!("HTTP/1.1 307 No\r\nLocation: /{line}\r\n\r\n").as_bytes()).unwrap();
    });
    let nothing = Server::start(|_, _| ());
    let secret = || SecretSource::Value(Secret::new("hunter2"));
    let basic = || Auth::Basic { user: "me".into(), password: secret() };
    for port in [echo.port, redirect.port, nothing.port, closed_port(), silent_port()] {
        let plain = format!("http://127.0.0.1:{port}/x");
        let userinfo = format!("http://me:hunter2@127.0.0.1:{port}/x");
        let header = vec![("X-Api-Token".to_owned(), "hunter2".to_owned())];
        for target in [
            post(&userinfo),
            post(format!("http://me:hunter2@127.0.0.1:{port}x/")),
            post(format!("{plain}?access_token=hunter2")),
            Target { auth: Some(basic()), ..post(&plain) },
            Target { auth: Some(Auth::Bearer(secret())), ..post(&plain) },
            Target { headers: header, ..post(&plain) },
        ] {
            let target = Target { timeout: Duration::from_millis(300), ..target };
            let shown = format!("{target:?}");
            let mut texts = vec![shown];
            match Client::new(target) {
                Err(error) => texts.push(format!("{error} {error:?}")),
                Ok(client) => {
                    texts.push(format!("{client:?}"));
                    let error = client.send(&Request::default()).await.unwrap_err();
                    texts.push(format!("{error} {error:?}"));
                }
            }
            for text in texts {
                assert!(!text.contains("hunter2") && !text.contains("bWU6aHVudGVyMg"), "{text}");
            }
        }
    }
    let request = Request {
        headers: vec![("Cookie".into(), "hunter2".into())],
        body: Some("hunter2".into()),
        ..Request::default()
    };
    let client = Client::new(post(echo.url())).unwrap();
    let shown = format!("{request:?} {:?}", client.send(&request).await.unwrap_err());
    assert!(shown.contains("Cookie"), "{shown}");
    let reply = send(Target { expect: Expect::any(), auth: Some(basic()), ..post(echo.url()) }).await.unwrap();
    assert!(!format!("{reply:?}").contains("aHVudGVyMg"), "{reply:?}");
}

#[tokio::test]
async fn unix_socket_works() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let target = || Target { unix_socket: Some(path.clone()), ..post("http://localhost/-/reload") };
    let place = format!("POST http://localhost/-/reload (unix socket {})", path.display());
    let error = refusal(target()).await;
    assert_eq!(error.to_string(), format!("{place}: no such file or directory"));
    assert_eq!(error.kind(), Kind::Connect);
    let seen = Server::unix(&path, OK);
    assert_eq!(send(target()).await.unwrap().status, 200);
    let request = seen.lock().unwrap().last().cloned().unwrap();
    assert!(request.starts_with("POST /-/reload HTTP/1.1\r\n") && request.contains("host: localhost\r\n"), "{request}");
}

#[tokio::test]
async fn v4_only_localhost_works() {
    let server = Server::saying(OK);
    assert_eq!(send(post(format!("http://localhost:{}/", server.port))).await.unwrap().status, 200);
}

#[tokio::test]
async fn ipv6_literals_work() {
    let server = Server::listen("[::1]:0", None, |_, wire| wire.write_all(OK.as_bytes()).unwrap());
    let url = format!("http://[::1]:{}/", server.port);
    assert_eq!(send(post(&url)).await.unwrap().status, 200);
    assert!(server.last().contains(&format!("host: [::1]:{}\r\n", server.port)), "{}", server.last());
}

/// Runs another test of this file in a process whose environment names a proxy that does not exist.
#[test]
fn no_proxy_variable_is_read() {
    let dead = format!("http://127.0.0.1:{}", closed_port());
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "attempts::v4_only_localhost_works"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, &dead);
    }
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[tokio::test]
async fn connections_are_kept_only_when_asked() {
    let (closed, noticed) = mpsc::sync_channel(8);
    let server = Server::start(move |_, wire| {
        wire.write_all(OK.as_bytes()).unwrap();
        closed.send(until_closed(wire)).unwrap();
    });
    let mut target = post(server.url());
    let client = Client::new(target.clone()).unwrap();
    client.send(&Request::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    noticed.recv_timeout(Duration::from_secs(5)).unwrap();
    target.keep_connections = true;
    let client = Client::new(target).unwrap();
    client.send(&Request::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(noticed.try_recv().is_err(), "a connection that should be kept was closed");
    drop(client);
    tokio::time::sleep(Duration::from_millis(20)).await;
    noticed.recv_timeout(Duration::from_secs(5)).unwrap();
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let seconds = Server::saying("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    let error = refusal(post(seconds.url())).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(Backoff::default().next(error.retry_after()), Duration::from_secs(7));
    let date = Server::start(|_, wire| {
        let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(30));
        let answer = format!("HTTP/1.1 429 Slow\r\nRetry-After: {date}\r\nContent-Length: 0\r\n\r\n");
        wire.write_all(answer.as_bytes()).unwrap();
    });
    let wait = refusal(post(date.url())).await.retry_after().unwrap();
    assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
    assert!(Backoff::default().next(Some(wait)) >= wait);
}
