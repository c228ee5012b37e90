//! The way out: an app behind `HTTP_PROXY` and `HTTPS_PROXY`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use test_kit::{Authority, Reply, Signal};

use crate::{Bench, PATIENCE, Proxy};

/// What curl says through the proxy: its output with the status at its end, and whether all was well.
fn curl(proxy: &Proxy, url: &str, more: &[&str]) -> (String, bool) {
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "20", "-w", "%{http_code}", "--noproxy", "", "--proxy"]);
    command.arg(format!("http://{}", proxy.at)).arg(url).args(more);
    let output = command.output().unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

fn way_out(bench: &Bench, egress: &str) -> Proxy {
    bench.serving(&format!("listeners:\n- listen: LISTEN\n  inbound: false\n  egress: {egress}\n"))
}

/// A server with TLS in front of the app, as they are out there.
fn world(bench: &Bench, authority: &Authority, more: &str) -> Proxy {
    let pair = authority.server(&["localhost", "payments.test"]);
    bench.put("ca.crt", &authority.pem());
    bench.put("tls.crt", &pair.certificate);
    bench.put("tls.key", &pair.key);
    let tls = format!("{{cert_file: DIR/tls.crt, key_file: DIR/tls.key{more}}}");
    let file =
        bench.put("world.yaml", &format!("listeners: [{{listen: LISTEN, tls: {tls}, routes: [{{to: APP}}]}}]\n"));
    Proxy::of(bench.start().args(["--config", &file]))
}

/// One request on a connection of its own, and all that comes back.
fn tell(at: SocketAddr, text: &str) -> String {
    String::from_utf8_lossy(&test_kit::http::raw(at, text.as_bytes()).unwrap()).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[test]
fn https_urls_are_tunnelled_to_places_on_the_list() {
    let (bench, authority) = (Bench::new(), Authority::new("test CA"));
    let world = world(&bench, &authority, "");
    let proxy = way_out(&bench, &format!("{{allow: ['localhost:{}']}}", world.at.port()));
    let url = format!("https://localhost:{}/hi?x=1", world.at.port());
    let ca = bench.dir.join("ca.crt");
    for version in ["--http1.1", "--http2"] {
        let said = curl(&proxy, &url, &["--cacert", ca.to_str().unwrap(), version]);
        assert_eq!(said, ("hello from the app200".into(), true), "{version}");
    }
    assert_eq!(bench.asked().path, "/hi?x=1");
    assert_eq!(bench.asked().header("via"), None, "what is in a tunnel is nobody's to change");
    let body = "x".repeat(300_000);
    let file = bench.put("body", &body);
    let said = curl(&proxy, &url, &["--cacert", ca.to_str().unwrap(), "-d", &format!("@{file}")]);
    assert!(said.1 && bench.asked().body == body, "{said:?}");
}

#[test]
fn http_urls_are_passed_on_without_telling_who_asks() {
    let bench = Bench::new();
    let proxy = way_out(&bench, "{allow: ['APP'], retries: {times: 2, on: [503]}}");
    let url = format!("http://{}/plain?x=1", bench.app.addr());
    let said = curl(&proxy, &url, &["--proxy-user", "me:secret", "-d", "body"]);
    assert_eq!(said, ("hello from the app200".into(), true));
    let asked = bench.asked();
    assert_eq!((asked.method.as_str(), asked.path.as_str(), asked.body.as_str()), ("POST", "/plain?x=1", "body"));
    assert_eq!(asked.header("host"), Some(bench.app.addr().to_string().as_str()));
    assert_eq!(asked.header("via"), Some("1.1 reverse-proxy"));
    for name in
        ["proxy-authorization", "proxy-connection", "x-forwarded-for", "x-request-id", "traceparent", "forwarded"]
    {
        assert_eq!(asked.header(name), None, "{name}");
    }
    bench.app.answer([Reply::Status(503, String::new()), Reply::Status(200, "at last".into())]);
    assert_eq!(curl(&proxy, &url, &[]).0, "at last200");
}

#[test]
fn strangers_are_refused_and_nobody_is_asked() {
    let bench = Bench::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let elsewhere = other.local_addr().unwrap();
    let proxy = way_out(&bench, "{allow: ['APP', '*.example.com:443'], deny: ['bad.example.com:443']}");
    for place in
        [elsewhere.to_string(), "example.com:443".into(), "bad.example.com:443".into(), "a.example.com:22".into()]
    {
        let answer =
            tell(proxy.at, &format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\nGET / HTTP/1.1\r\n\r\n"));
        assert_eq!(status(&answer), 403, "{place}: {answer}");
        assert!(answer.contains(&format!("{place}: this proxy does not go there")), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "what was meant for the tunnel is no request: {answer}");
        let answer = tell(proxy.at, &format!("GET http://{place}/ HTTP/1.1\r\nHost: APP\r\nConnection: close\r\n\r\n"));
        assert_eq!(status(&answer), 403, "{place}: {answer}");
    }
    let here = bench.app.addr();
    let answer = tell(proxy.at, &format!("GET / HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n"));
    assert_eq!(status(&answer), 403, "not a request to a proxy: {answer}");
    let answer = tell(proxy.at, &format!("GET https://{here}/ HTTP/1.1\r\nHost: {here}\r\nConnection: close\r\n\r\n"));
    assert_eq!(status(&answer), 400, "{answer}");
    for target in ["127.0.0.1", "user@127.0.0.1:80", "http://127.0.0.1:80", "127.0.0.1:0", "127.0.0.1:99999", "/"] {
        let answer = tell(proxy.at, &format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(matches!(status(&answer), 400 | 403), "{target}: {answer}");
    }
    assert!(other.accept().is_err(), "somebody came by");
    assert!(bench.app.requests().is_empty());
}

#[test]
fn no_spelling_of_it_leads_to_the_metadata_of_a_cloud_or_to_ourselves() {
    let bench = Bench::new();
    let proxy = way_out(&bench, "{allow: ['*:*']}");
    let begun = Instant::now();
    for host in [
        "169.254.169.254",
        "169.254.169.254.",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "2852039166",
        "0xa9fea9fe",
        "169.254.43518",
        "0251.0376.0251.0376",
        "169.254.170.2",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "100.100.100.200",
        "168.63.129.16",
        "127.0.0.1",
        "127.1",
        "127.255.255.254",
        "localhost",
        "LOCALHOST.",
        "0.0.0.0",
        "0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
    ] {
        let port = bench.app.addr().port();
        let tunnel = tell(proxy.at, &format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"));
        let plain = format!("GET http://{host}:{port}/latest HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let plain = tell(proxy.at, &plain);
        assert_eq!((status(&tunnel), status(&plain)), (403, 403), "{host}: {tunnel}\n{plain}");
    }
    assert!(begun.elapsed() < PATIENCE, "nobody was waited for");
    assert!(bench.app.requests().is_empty());
    assert!(proxy.sidecar.metric("reverse_proxy_failures_total{flag=\"UAEX\"}").is_some_and(|count| count >= 40.0));
    // Who says it himself may go there.
    let proxy = way_out(&bench, "{allow: ['*:*'], never: []}");
    assert_eq!(curl(&proxy, &bench.app.url("/"), &[]).0, "hello from the app200");
}

#[test]
fn plain_urls_become_tls_with_a_certificate_of_our_own() {
    let (bench, authority) = (Bench::new(), Authority::new("test CA"));
    let pair = authority.client("the pod");
    bench.put("pod.crt", &pair.certificate);
    bench.put("pod.key", &pair.key);
    let world = world(&bench, &authority, ", client_ca_file: DIR/ca.crt");
    let proxy = bench.serving(&format!(
        "clusters:
- name: payments
  endpoints: ['{}']
  tls: {{server_name: payments.test, ca_file: DIR/ca.crt, cert_file: DIR/pod.crt, key_file: DIR/pod.key}}
listeners:
- listen: LISTEN
  inbound: false
  egress: {{allow: ['payments.test:443']}}
  hosts:
  - names: [payments.test]
    routes: [{{to: payments}}]\n",
        world.at
    ));
    assert_eq!(curl(&proxy, "http://payments.test/pay", &[]).0, "hello from the app200");
    assert_eq!(bench.asked().path, "/pay");
    assert_eq!(curl(&proxy, "http://other.test/pay", &[]).0.split('\n').next_back(), Some("403"));
    // A tunnel to the same host is a tunnel; that it has no address out here is another matter.
    let answer = tell(proxy.at, "CONNECT payments.test:443 HTTP/1.1\r\nHost: payments.test:443\r\n\r\n");
    assert_eq!(status(&answer), 502, "{answer}");
    let answer = tell(proxy.at, "CONNECT payments.test:22 HTTP/1.1\r\nHost: payments.test:22\r\n\r\n");
    assert_eq!(status(&answer), 403, "{answer}");
}

#[test]
fn tunnels_outlast_a_drain_and_are_waited_for_at_the_end() {
    let bench = Bench::new();
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = echo.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut socket, _) = echo.accept().unwrap();
            std::thread::spawn(move || {
                let mut piece = [0; 64];
                while let Ok(read @ 1..) = socket.read(&mut piece) {
                    socket.write_all(&piece[..read]).unwrap();
                }
            });
        }
    });
    let proxy = way_out(&bench, &format!("{{allow: ['{place}']}}"));
    let open = || {
        let mut socket = TcpStream::connect(proxy.at).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // What is sent ahead of the answer is the beginning of the tunnel.
        socket.write_all(format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\nearly").as_bytes()).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && !head.to_ascii_lowercase().contains("content-length"), "{head}");
        let mut early = [0; 5];
        socket.read_exact(&mut early).unwrap();
        assert_eq!(&early, b"early");
        socket
    };
    let ask = |socket: &mut TcpStream| {
        socket.write_all(b"ping").unwrap();
        let mut answer = [0; 4];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ping");
    };
    let mut first = open();
    assert_eq!(proxy.sidecar.admin_post("/drain").0, 200);
    ask(&mut first);
    let mut second = open();
    ask(&mut second);
    proxy.sidecar.signal(Signal::TERM);
    let closed = || TcpStream::connect(proxy.at).is_err();
    assert!(test_kit::eventually(PATIENCE, closed), "no new ones");
    for _ in 0..3 {
        ask(&mut first);
        ask(&mut second);
        std::thread::sleep(Duration::from_millis(50));
    }
    drop((first, second));
    assert_eq!(proxy.sidecar.wait_exit(), 0);
    server.join().unwrap();
}

#[test]
fn a_list_with_mistakes_is_refused_with_all_of_them() {
    let bench = Bench::new();
    let file = bench.put(
        "config.yaml",
        "listeners:\n- listen: LISTEN\n  auth: {users_file: x}\n  egress:\n    allow: ['http://a', 'a:0']\n    never: [nonsense]\n    alow: [b]\n",
    );
    let output = bench.start().args(["--config", &file, "--check-config"]).run();
    assert_eq!(output.code, 78);
    let said = output.stderr;
    for wanted in ["http://a", "a:0", "nonsense", "did you mean allow?", "auth: not beside egress"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
