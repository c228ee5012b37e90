//! What people look for in a container without a shell.

use test_kit::Sidecar;

use crate::{BINARY, Bench};

#[test]
fn netstat_shows_who_listens() {
    let bench = Bench::new();
    let port = bench.app.addr().port();
    let by_its_name = Sidecar::start(BINARY).argv0("/bin/netstat").args(["-tulnp"]).run();
    assert!(by_its_name.stdout.contains(&format!("127.0.0.1:{port} ")), "{}", by_its_name.stderr);
    let output = Sidecar::start(BINARY).args(["netstat", "-tulnp"]).run();
    assert_eq!(output.code, 0);
    let line = output.stdout.lines().find(|line| line.contains(&format!("127.0.0.1:{port} "))).unwrap_or_default();
    assert!(line.starts_with("tcp ") && line.contains("LISTEN") && line.contains("0.0.0.0:*"), "{}", output.stdout);
}

#[test]
fn get_prints_what_a_url_says() {
    let bench = Bench::new();
    let output = Sidecar::start(BINARY).args(["get", &bench.app.url("/x"), "-H", "X-A: b"]).run();
    assert_eq!((output.code, output.stdout.trim_end()), (0, "hello from the app"));
    assert_eq!(bench.asked().header("x-a"), Some("b"));
    bench.app.answer([test_kit::Reply::Status(404, "none".into())]);
    let output = Sidecar::start(BINARY).args(["get", &bench.app.url("/y")]).run();
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("answered 404"), "{}", output.stderr);
    let output = Sidecar::start(BINARY).args(["get", "https://a"]).run();
    assert!(output.stderr.contains("expected a URL that begins with http://"), "{}", output.stderr);
}
