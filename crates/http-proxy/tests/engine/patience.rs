//! Nobody waits for ever, for anybody.

use std::sync::Arc;
use std::time::Duration;

use http_proxy::{Flag, HttpSettings, ListenerSettings, Retries, RouteSettings, Serve};
use tokio::io::AsyncWriteExt;

use crate::kit::*;

const SHORT: Duration = Duration::from_millis(150);

fn listener(change: impl FnOnce(&mut HttpSettings)) -> ListenerSettings {
    let mut http = HttpSettings::default();
    change(&mut http);
    ListenerSettings { serve: Serve::Http(Arc::new(http)), ..ListenerSettings::http("in") }
}

#[tokio::test]
async fn an_app_that_does_not_answer() {
    let app = App::start(|_| Reply::Hang).await;
    for settings in [
        RouteSettings { read_timeout: Some(SHORT), ..RouteSettings::default() },
        RouteSettings { timeout: Some(SHORT), ..RouteSettings::default() },
    ] {
        let proxy = Proxy::route(&app, settings);
        let text = proxy.tell("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert!(status(&text) == 504 && text.contains("X-Flag: UT"), "{text}");
    }
}

#[tokio::test]
async fn an_app_that_stops_in_the_middle() {
    let app = App::start(|_| {
        let pieces = vec![b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec(), b"de".to_vec()];
        Reply::Slowly(pieces, Duration::from_secs(5))
    })
    .await;
    let proxy = Proxy::route(&app, RouteSettings { read_timeout: Some(SHORT), ..RouteSettings::default() });
    let text = proxy.tell("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(text.ends_with("\r\n\r\nabc"), "{text}");
    let record = proxy.record(1).await;
    assert!(record.flags.contains(Flag::UpstreamTimeout) && !record.complete && record.response_bytes == 3);
}

#[tokio::test]
async fn a_try_that_takes_too_long_is_followed_by_another() {
    let app = App::start(|seen| if seen.connection == 0 { Reply::Hang } else { ok("second") }).await;
    let retries = Retries { timeout: true, per_try_timeout: Some(SHORT), ..Retries::default() };
    let proxy = Proxy::route(&app, RouteSettings { retries, ..RouteSettings::default() });
    let mut caller = proxy.connect().await;
    assert_eq!(caller.get("/").await.1, b"second");
    assert_eq!(proxy.record(1).await.attempts, 2);
}

#[tokio::test]
async fn a_head_that_never_ends() {
    let app = App::start(|_| ok("")).await;
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), listener(|http| http.head_timeout = SHORT));
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut caller = proxy.connect().await;
        caller.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
        slow.push(caller);
    }
    assert_eq!(status(&proxy.connect().await.get("/").await.0), 200, "others are served");
    for mut caller in slow {
        assert_eq!(status(&caller.rest().await), 408);
    }
    // One that says nothing at all is told nothing.
    assert_eq!(proxy.connect().await.rest().await, "");
}

#[tokio::test]
async fn a_body_that_never_ends_or_only_drips() {
    let app = App::start(|_| ok("")).await;
    let settings = listener(|http| (http.body_timeout, http.min_body_rate) = (SHORT, 1000));
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), settings);
    let text = proxy.tell("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    assert_eq!(status(&text), 408, "{text}");
    let caller = proxy.connect().await;
    let (mut read, mut write) = caller.stream.into_split();
    let drip = tokio::spawn(async move {
        write.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n").await.unwrap();
        for _ in 0..200 {
            if write.write_all(b"abcdefghij").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut text = Vec::new();
    let head = tokio::time::timeout(PATIENCE, read_head(&mut read, &mut text)).await.unwrap().unwrap();
    assert_eq!(status(&head), 408);
    drip.abort();
}

#[tokio::test]
async fn a_connection_without_requests() {
    let app = App::start(|_| ok("")).await;
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), listener(|http| http.idle_timeout = SHORT));
    let mut caller = proxy.connect().await;
    caller.get("/").await;
    assert_eq!(caller.rest().await, "");
    until(|| proxy.rules.closed.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_client_that_does_not_read() {
    let app = App::start(|_| ok(&"x".repeat(20_000_000))).await;
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), listener(|http| http.send_timeout = SHORT));
    let mut caller = proxy.connect().await;
    caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let record = proxy.record(1).await;
    assert!(record.flags.contains(Flag::DownstreamTimeout) && record.response_bytes < 20_000_000, "{record:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_is_not_waited_for() {
    let app = App::start(|_| ok(&"x".repeat(20_000_000))).await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    caller.head().await;
    drop(caller);
    let record = proxy.record(1).await;
    assert!(record.flags.contains(Flag::DownstreamClosed) && !record.complete);
    assert_eq!(record.status, 200);
}

#[tokio::test]
async fn a_client_that_has_said_everything_still_gets_its_answer() {
    let app =
        App::start(|_| Reply::Slowly(vec![vec![], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()], SHORT))
            .await;
    let proxy = Proxy::before(&app);
    let mut caller = proxy.connect().await;
    caller.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    caller.stream.shutdown().await.unwrap();
    assert!(caller.rest().await.ends_with("ok"));
}

#[tokio::test]
async fn for_ever_is_a_time_that_can_be_configured() {
    let app = App::start(|_| ok("x")).await;
    let ever = Duration::MAX;
    let settings = RouteSettings {
        timeout: Some(ever),
        read_timeout: Some(ever),
        send_timeout: Some(ever),
        retries: Retries { per_try_timeout: Some(ever), ..Retries::default() },
        ..RouteSettings::default()
    };
    let mut cluster = app.cluster();
    (cluster.idle_timeout, cluster.connect_timeout, cluster.connect_wait) = (ever, ever, ever);
    (cluster.fail_timeout, cluster.dns_refresh) = (ever, ever);
    let listener = listener(|http| {
        (http.head_timeout, http.body_timeout, http.idle_timeout, http.send_timeout) = (ever, ever, ever, ever);
        http.max_age = Some(ever);
    });
    let proxy = Proxy::with(vec![cluster], settings, ListenerSettings { handshake_timeout: ever, ..listener });
    let mut caller = proxy.connect().await;
    for _ in 0..3 {
        assert_eq!(caller.get("/").await.1, b"x");
    }
    caller.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(caller.answer().await.1, b"x");
}

#[tokio::test]
async fn connections_and_heads_have_limits() {
    let app = App::start(|_| ok("")).await;
    let settings = ListenerSettings { max_connections: 2, ..listener(|http| http.max_requests = Some(2)) };
    let proxy = Proxy::with(vec![app.cluster()], RouteSettings::default(), settings);
    let (mut one, mut two) = (proxy.connect().await, proxy.connect().await);
    let (head, _) = one.get("/").await;
    assert!(!head.contains("Connection: close"));
    two.get("/").await;
    assert_eq!(proxy.connect().await.rest().await, "", "the third is closed");
    assert_eq!(proxy.rules.refused.lock().unwrap()[0], "too many connections");
    let (head, _) = one.get("/").await;
    assert!(head.contains("Connection: close"), "the last request of a connection");
    assert_eq!(one.rest().await, "");
    two.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(100_000))).await;
    assert_eq!(status(&two.rest().await), 431);
}
