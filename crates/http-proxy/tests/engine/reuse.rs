//! Connections to apps are kept, and a race with an app that closes them is nobody's failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_proxy::{Balance, Cluster, Endpoint, Flag, ListenerSettings, Retries, RouteSettings};
use tokio::net::TcpListener;

use crate::kit::*;

#[tokio::test]
async fn an_app_that_closes_after_each_answer_costs_no_request() {
    // It does not say so: the worst kind.
    let app = App::start(|_| Reply::SayAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    for n in 0..300 {
        let request = match n % 3 {
            0 => "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            1 => "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            _ => "GET /again HTTP/1.1\r\nHost: a\r\n\r\n",
        };
        caller.send(request).await;
        let (head, body) = caller.answer().await;
        assert_eq!((status(&head), &body[..]), (200, &b"ok"[..]), "{n}: {head}");
    }
}

#[tokio::test]
async fn a_request_swallowed_by_a_closing_connection_is_sent_again_if_that_is_safe() {
    let app = App::start(|seen| match seen.number {
        0 => ok("first"),
        _ => Reply::Close,
    })
    .await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    assert_eq!(caller.get("/").await.1, b"first");
    // On the same connection the app reads it and closes: GET and PUT may be repeated.
    assert_eq!(caller.get("/").await.1, b"first");
    caller.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").await;
    assert_eq!(caller.answer().await.1, b"first");
    let before = app.heads().len();
    caller.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    let (head, _) = caller.answer().await;
    assert!(status(&head) == 502 && head.contains("X-Flag: UC"), "{head}");
    assert_eq!(app.heads().len(), before + 1, "POST was sent once");
    let record = proxy.record(4).await;
    assert_eq!((record.attempts, record.flags.contains(Flag::UpstreamClosed)), (1, true));
}

#[tokio::test]
async fn posts_do_not_use_a_connection_that_is_about_to_be_closed() {
    let app = App::start(|_| say("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n")).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    caller.get("/").await;
    caller.get("/").await;
    assert_eq!(app.connections(), 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    caller.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&caller.answer().await.0), 200);
    assert_eq!(app.connections(), 2, "half of the app's patience was over");
}

#[tokio::test]
async fn retries_go_to_another_endpoint_and_are_counted() {
    let bad = App::start(|_| say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")).await;
    let good = App::start(|seen| ok(std::str::from_utf8(&seen.body).unwrap())).await;
    let cluster = || Cluster::new("app", vec![bad.endpoint(), good.endpoint()]);
    let retries = Retries { statuses: vec![503], ..Retries::default() };
    let settings = RouteSettings { retries, ..RouteSettings::default() };
    let proxy = Proxy::with(vec![cluster()], settings.clone(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    for _ in 0..4 {
        caller.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
        let (head, body) = caller.answer().await;
        assert_eq!((status(&head), &body[..]), (200, &b"abc"[..]));
    }
    assert!(proxy.records().iter().any(|record| record.attempts == 2));
    let mut seen = Vec::new();
    for _ in 0..4 {
        caller.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
        seen.push(status(&caller.answer().await.0));
    }
    assert!(seen.contains(&503), "POST is not sent twice: {seen:?}");
    let retries = Retries { non_idempotent: true, ..settings.retries };
    let proxy = Proxy::with(vec![cluster()], RouteSettings { retries, ..settings }, ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    for _ in 0..4 {
        caller.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").await;
        assert_eq!(caller.answer().await.1, b"abc");
    }
}

/// A port where nobody listens, now.
async fn nobody() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn an_app_that_is_not_up_yet_is_waited_for() {
    let address = nobody().await;
    let cluster = Cluster::new("app", vec![Endpoint::tcp("127.0.0.1", address.port())]);
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"));
    let mut callers = Vec::new();
    for _ in 0..10 {
        let mut caller = proxy.connect().await;
        caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        callers.push(caller);
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(proxy.records().is_empty(), "nobody was told that it failed");
    App::on(TcpListener::bind(address).await.unwrap(), |_| ok("up"));
    for mut caller in callers {
        assert_eq!(caller.answer().await.1, b"up");
    }
}

#[tokio::test]
async fn an_app_that_stays_away_fails_at_once_after_a_while() {
    let address = nobody().await;
    let mut cluster = Cluster::new("app", vec![Endpoint::tcp("127.0.0.1", address.port())]);
    cluster.connect_wait = Duration::from_millis(200);
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"));
    for _ in 0..20 {
        let text = proxy.tell("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(status(&text) == 502 && text.contains("X-Flag: UF"), "{text}");
    }
    let waited: Duration = proxy.records().iter().map(|record| record.took).sum();
    assert!(waited < Duration::from_secs(2), "{waited:?}");
}

#[tokio::test]
async fn endpoints_that_cannot_be_reached_are_passed_over() {
    let app = App::start(|_| ok("here")).await;
    let gone = nobody().await;
    let endpoints = vec![Endpoint::tcp("127.0.0.1", gone.port()), app.endpoint()];
    let proxy =
        Proxy::with(vec![Cluster::new("app", endpoints)], RouteSettings::default(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    for _ in 0..20 {
        assert_eq!(caller.get("/").await.1, b"here");
    }
    assert!(proxy.records().iter().all(|record| record.flags.is_empty()));
}

#[tokio::test]
async fn localhost_finds_an_app_that_listens_on_one_family() {
    let app = App::start(|_| ok("here")).await;
    let cluster = Cluster::new("app", vec![Endpoint::tcp("localhost", app.address.port())]);
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"));
    assert_eq!(proxy.connect().await.get("/").await.1, b"here");
}

#[tokio::test]
async fn requests_are_spread_by_weight_and_by_load() {
    let counts: Vec<Arc<AtomicUsize>> = (0..2).map(|_| Arc::default()).collect();
    let mut endpoints = Vec::new();
    for (index, count) in counts.iter().enumerate() {
        let count = Arc::clone(count);
        let app = App::start(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            ok("")
        })
        .await;
        endpoints.push(Endpoint { weight: if index == 0 { 3 } else { 1 }, ..app.endpoint() });
    }
    let mut cluster = Cluster::new("app", endpoints);
    let proxy = Proxy::with(vec![cluster.clone()], RouteSettings::default(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    for _ in 0..40 {
        caller.get("/").await;
    }
    let seen = |index: usize| counts[index].load(Ordering::SeqCst);
    assert_eq!((seen(0), seen(1)), (30, 10));
    cluster.balance = Balance::LeastRequest;
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    for _ in 0..10 {
        caller.get("/").await;
    }
    assert_eq!(seen(0) + seen(1), 50);
}

#[tokio::test]
async fn too_many_requests_at_a_cluster_are_refused_at_once() {
    let app = App::start(|_| Reply::Hang).await;
    let mut cluster = app.cluster();
    cluster.max_requests = 3;
    let proxy = Proxy::with(vec![cluster], RouteSettings::default(), ListenerSettings::http("in"));
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut caller = proxy.connect().await;
        caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        waiting.push(caller);
    }
    until(|| app.connections() == 3).await;
    let text = proxy.tell("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(status(&text) == 503 && text.contains("X-Flag: UO"), "{text}");
}
