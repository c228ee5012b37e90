//! Stopping and changing while requests are under way.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http_proxy::{ListenerSettings, World};

use crate::kit::*;

#[tokio::test]
async fn stopping_lets_requests_finish_and_closes_what_is_idle() {
    let slow = vec![vec![], b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_vec()];
    let app = App::start(move |_| Reply::Slowly(slow.clone(), Duration::from_millis(300))).await;
    let mut proxy = Proxy::before(&app);
    let (mut idle, mut busy) = (proxy.connect().await, proxy.connect().await);
    until(|| proxy.rules.open.load(Ordering::SeqCst) == 2).await;
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until(|| app.heads().len() == 1).await;
    proxy.stop();
    assert_eq!(idle.rest().await, "");
    let (head, body) = busy.answer().await;
    assert_eq!(body, b"done");
    assert!(head.contains("Connection: close"), "{head}");
    assert_eq!(busy.rest().await, "");
    let address = proxy.address;
    let rules = proxy.rules.clone();
    proxy.stopped().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert_eq!(rules.open.load(Ordering::SeqCst), rules.closed.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_new_world_loses_no_request_and_no_connection() {
    let app = App::start(|_| ok("x")).await;
    let proxy = Proxy::before(&app);
    let mut callers = Vec::new();
    for _ in 0..4 {
        callers.push(proxy.connect().await);
    }
    for round in 0..100 {
        for caller in &mut callers {
            let (head, _) = caller.get("/").await;
            let expected = (round > 0).then(|| "new".to_owned());
            assert_eq!((status(&head), field(&head, "x-mark")), (200, expected));
        }
        proxy.engine.swap(World {
            policy: Rules { mark: "new", ..proxy.rules.clone() },
            clusters: vec![app.cluster()],
            listeners: vec![ListenerSettings::http("in")],
        });
    }
    assert!(app.connections() <= 4, "kept connections were kept: {}", app.connections());
}

#[tokio::test]
async fn a_restart_of_the_app_under_load_costs_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let start = |listener: std::net::TcpListener| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let guard = runtime.enter();
        App::on(tokio::net::TcpListener::from_std(listener).unwrap(), |_| ok("x"));
        drop(guard);
        runtime
    };
    let first = start(listener);
    let cluster = http_proxy::Cluster::new("app", vec![http_proxy::Endpoint::tcp("127.0.0.1", address.port())]);
    let proxy = Proxy::with(vec![cluster], http_proxy::RouteSettings::default(), ListenerSettings::http("in"));
    let mut caller = proxy.connect().await;
    for n in 0..50 {
        assert_eq!(status(&caller.get("/").await.0), 200, "{n}");
    }
    // All its connections are reset, and for a while nobody listens.
    first.shutdown_background();
    let waiting = tokio::spawn(async move {
        for n in 0..50 {
            assert_eq!(status(&caller.get("/").await.0), 200, "{n}");
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let listener = loop {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    listener.set_nonblocking(true).unwrap();
    let second = start(listener);
    waiting.await.unwrap();
    second.shutdown_background();
}

#[tokio::test]
async fn stopping_under_load_fails_no_request() {
    let app = App::start(|_| ok("x")).await;
    for _ in 0..5 {
        let mut proxy = Proxy::before(&app);
        let address = proxy.address;
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(tokio::spawn(async move {
                // Until the connection is refused, or closed as it was told before.
                let mut served = 0;
                while let Ok(stream) = tokio::net::TcpStream::connect(address).await {
                    let mut caller = Caller { stream, buffer: Vec::new() };
                    loop {
                        let (head, _) = caller.get("/").await;
                        assert_eq!(status(&head), 200);
                        served += 1;
                        if head.contains("Connection: close") {
                            break;
                        }
                    }
                }
                served
            }));
        }
        until(|| proxy.records().len() > 200).await;
        proxy.engine.send_clients_away(true);
        until(|| proxy.rules.closed.load(Ordering::SeqCst) >= 8).await;
        proxy.stop();
        for client in clients {
            assert!(client.await.expect("no request failed") > 0);
        }
        proxy.stopped().await;
    }
}

#[tokio::test]
async fn what_is_cut_off_at_the_deadline_is_told() {
    let app = App::start(|_| Reply::Hang).await;
    let mut proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until(|| app.heads().len() == 1).await;
    proxy.stop();
    proxy.cut_off();
    let record = proxy.record(1).await;
    assert!(!record.complete && record.status == 0 && record.error.as_deref() == Some("cut off"), "{record:?}");
    assert_eq!(caller.rest().await, "");
}
