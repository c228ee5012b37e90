//! Reloads, draining, the way out.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use test_kit::{Reply, Signal, eventually};

use crate::{Bench, PATIENCE};

#[test]
fn a_reload_changes_routes_and_listeners_without_closing_a_connection() {
    let bench = Bench::new();
    let proxy = bench.routes("  - {respond: {status: 200, body: old}}\n");
    let mut kept = TcpStream::connect(proxy.at).unwrap();
    kept.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ask = || {
        kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let (mut text, mut piece) = (String::new(), [0; 1024]);
        while !text.ends_with("old") && !text.ends_with("new") {
            let read = kept.read(&mut piece).unwrap();
            assert!(read > 0, "the connection was closed");
            text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        text.split_off(text.len() - 3)
    };
    assert_eq!(ask(), "old");
    let port = test_kit::free_port();
    bench.put(
        "config.yaml",
        &format!(
            "listeners: [{{listen: LISTEN, routes: [{{respond: {{status: 200, body: new}}}}]}},
                     {{listen: '127.0.0.1:{port}', routes: [{{respond: {{status: 200, body: second}}}}]}}]\n"
        ),
    );
    assert_eq!(proxy.sidecar.admin_post("/-/reload").0, 200);
    assert!(eventually(PATIENCE, || ask() == "new"));
    let second = || test_kit::http::get(([127, 0, 0, 1], port).into(), "/").is_ok_and(|answer| answer.body == "second");
    assert!(eventually(PATIENCE, second));
    bench.put("config.yaml", "listeners: [{listen: LISTEN, routes: [{respond: {status: 9, body: bad}}]}]\n");
    assert_eq!(proxy.sidecar.admin_post("/-/reload").0, 500);
    assert_eq!(ask(), "new", "a bad file changes nothing");
    bench.put("config.yaml", "listeners: [{listen: LISTEN, routes: [{respond: {status: 200, body: new}}]}]\n");
    assert_eq!(proxy.sidecar.admin_post("/-/reload").0, 200);
    assert!(eventually(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_err()), "the second is closed again");
    assert_eq!(ask(), "new");
}

#[test]
fn a_reload_that_cannot_have_its_port_changes_nothing() {
    let bench = Bench::new();
    let proxy = bench.routes("  - {respond: {status: 200, body: old}}\n");
    let taken = bench.app.addr();
    bench.put("config.yaml", &format!("listeners: [{{listen: '{taken}', routes: [{{respond: 204}}]}}]\n"));
    let (status, text) = proxy.sidecar.admin_post("/-/reload");
    assert_eq!(status, 500);
    assert!(text.contains("already in use"), "{text}");
    assert_eq!(proxy.get("/").body, "old");
}

#[test]
fn finishes_requests_in_flight_on_sigterm() {
    let bench = Bench::new();
    let proxy = bench.routes("  - {to: APP}\n");
    bench.app.answer([Reply::After(Duration::from_millis(600), Box::new(Reply::Status(200, "late".into())))]);
    let at = proxy.at;
    let caller = std::thread::spawn(move || test_kit::http::get(at, "/slow").unwrap().body);
    bench.app.wait_requests(1);
    proxy.sidecar.signal(Signal::TERM);
    assert_eq!(caller.join().unwrap(), "late");
    assert_eq!(proxy.sidecar.wait_exit(), 0);
}

#[test]
fn drain_is_for_what_comes_in_and_what_goes_out_goes_on() {
    let bench = Bench::new();
    let outbound = test_kit::free_port();
    let proxy = bench.serving(&format!(
        "listeners:
- {{listen: LISTEN, routes: [{{to: APP}}]}}
- {{listen: '127.0.0.1:{outbound}', inbound: false, routes: [{{to: APP}}]}}\n"
    ));
    assert_eq!(proxy.get("/").status, 200);
    assert_eq!(proxy.sidecar.admin_post("/drain").0, 200);
    assert_eq!(proxy.sidecar.admin_get("/readyz").0, 503);
    assert!(eventually(PATIENCE, || test_kit::http::get(proxy.at, "/").is_err()));
    assert_eq!(test_kit::http::get(([127, 0, 0, 1], outbound).into(), "/").unwrap().status, 200);
    assert!(proxy.sidecar.is_running());
}

#[test]
fn a_drain_outlasts_a_reload_and_can_be_taken_back() {
    let bench = Bench::new();
    let port = test_kit::free_port();
    let routes = format!("listeners: [{{listen: '127.0.0.1:{port}', routes: [{{to: APP}}]}}]\n");
    let file = bench.put("config.yaml", &routes);
    let sidecar = bench.start().args(["--config", &file, "--workers", "2"]).spawn();
    sidecar.wait_ready();
    let get = || test_kit::http::get(([127, 0, 0, 1], port).into(), "/").is_ok_and(|answer| answer.status == 200);
    for _ in 0..2 {
        assert!(get());
        assert_eq!(sidecar.admin_post("/drain").0, 200);
        assert!(eventually(PATIENCE, || !get()));
        assert_eq!(sidecar.admin_post("/-/reload").0, 200);
        sidecar.wait_log(|line| line.message().contains("reloaded"));
        assert!(!get(), "a new configuration is no reason to take in new guests");
        assert_eq!(sidecar.admin_get("/readyz").0, 503);
        assert_eq!(sidecar.admin_post("/undrain").0, 200);
        assert!(eventually(PATIENCE, get), "{}", sidecar.stderr());
        assert_eq!(sidecar.admin_get("/readyz").0, 200);
    }
}

#[test]
fn an_app_that_is_not_up_yet_is_waited_for() {
    let bench = Bench::new();
    let port = test_kit::free_port();
    let proxy = bench.routes(&format!("  - {{to: '127.0.0.1:{port}'}}\n"));
    let at = proxy.at;
    let caller = std::thread::spawn(move || test_kit::http::get(at, "/").unwrap());
    let failed = || {
        proxy.sidecar.metric(&format!("reverse_proxy_upstream_connect_failures_total{{cluster=\"127.0.0.1:{port}\"}}"))
    };
    assert!(eventually(PATIENCE, || failed().is_some_and(|count| count > 0.0)));
    let app = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut socket, _) = app.accept().unwrap();
    let mut piece = [0; 4096];
    assert!(socket.read(&mut piece).unwrap() > 0);
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup").unwrap();
    let answer = caller.join().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "up"));
}
