//! What carries the bytes: PROXY headers, sockets, descriptors, bodies that are nobody's to look into.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
};

use test_kit::Authority;

use crate::{Bench, PATIENCE, Proxy};

/// A proxy that wants a PROXY header and tells the app who the client is.
fn back(bench: &Bench) -> Proxy {
    bench.serving(
        "listeners:
- listen: LISTEN
  proxy_protocol: true
  routes: [{to: APP, request_headers: {set: {X-Client: '${client_address} ${client_port}', X-Peer: '${peer_address}'}}}]\n",
    )
}

fn ask(at: SocketAddr, first: &[u8]) -> (SocketAddr, String) {
    let mut socket = TcpStream::connect(at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&[first, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat()).unwrap();
    let mut answer = Vec::new();
    // A reset is an answer as well.
    let _ = socket.read_to_end(&mut answer);
    (socket.local_addr().unwrap(), String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn proxy_headers_say_who_the_client_is_on_the_way_in_and_out() {
    let bench = Bench::new();
    let back = back(&bench);
    for version in ["v1", "v2"] {
        for listener in ["routes: [{to: back}]", "tcp: back"] {
            let cluster = format!("clusters: [{{name: back, endpoints: ['{}'], proxy_protocol: {version}}}]", back.at);
            let file = bench.put("front.yaml", &format!("{cluster}\nlisteners: [{{listen: LISTEN, {listener}}}]\n"));
            let front = Proxy::of(bench.start().args(["--config", &file]));
            let (own, answer) = ask(front.at, b"");
            assert!(answer.starts_with("HTTP/1.1 200"), "{version} {listener}: {answer}");
            let told = format!("{} {}", own.ip(), own.port());
            assert_eq!(bench.asked().header("x-client"), Some(told.as_str()), "{version} {listener}");
        }
    }
}

#[test]
fn proxy_headers_are_read_in_both_versions_and_nothing_else_is_let_in() {
    let bench = Bench::new();
    let back = back(&bench);
    let v2 = |command: u8, family: u8, addresses: &[u8]| {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[0x20 | command, family][..], &length, addresses].concat()
    };
    let v4 = [9, 8, 7, 6, 1, 1, 1, 1, 0x12, 0x34, 0, 80];
    let mut v6 = [0; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (9, 1, 7, 80);
    // With a TLV of its own after the addresses, which says nothing to us.
    let with_more = [&v4[..], &[0xe0, 0, 2, 1, 2]].concat();
    for (header, client) in [
        (b"PROXY TCP4 9.8.7.6 1.1.1.1 4660 80\r\n".to_vec(), "9.8.7.6 4660"),
        (b"PROXY TCP6 ::9 ::1 7 80\r\n".to_vec(), "::9 7"),
        (v2(1, 0x11, &v4), "9.8.7.6 4660"),
        (v2(1, 0x11, &with_more), "9.8.7.6 4660"),
        (v2(1, 0x21, &v6), "::9 7"),
    ] {
        let (_, answer) = ask(back.at, &header);
        assert!(answer.starts_with("HTTP/1.1 200"), "{client}: {answer}");
        assert_eq!(bench.asked().header("x-client"), Some(client));
        assert_eq!(bench.asked().header("x-peer"), Some("127.0.0.1"));
    }
    // The one in front speaks for itself: a health check.
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0, 0, &[])] {
        let (own, answer) = ask(back.at, &header);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(bench.asked().header("x-client"), Some(format!("127.0.0.1 {}", own.port()).as_str()));
    }
    let before = bench.app.requests().len();
    for header in [
        Vec::new(),
        b"PROXY TCP4 9.8.7.6\r\n".to_vec(),
        b"PROXY TCP4 9.8.7.6 1.1.1.1 4660 80 \r\n".to_vec(),
        b"PROXY TCP4 999.8.7.6 1.1.1.1 1 80\r\n".to_vec(),
        b"proxy TCP4 9.8.7.6 1.1.1.1 1 80\r\n".to_vec(),
        v2(1, 0x11, &v4[..8]),
        v2(3, 0x11, &v4),
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c".to_vec(),
    ] {
        let (_, answer) = ask(back.at, &header);
        assert_eq!(answer, "", "{header:?}");
    }
    assert_eq!(bench.app.requests().len(), before);
}

#[test]
fn a_proxy_header_comes_before_tls() {
    let (bench, authority) = (Bench::new(), Authority::new("test CA"));
    let pair = authority.server(&["localhost"]);
    bench.put("ca.crt", &authority.pem());
    bench.put("tls.crt", &pair.certificate);
    bench.put("tls.key", &pair.key);
    let proxy = bench.serving(
        "listeners: [{listen: LISTEN, proxy_protocol: true, tls: {cert_file: DIR/tls.crt, key_file: DIR/tls.key}, routes: [{to: APP}]}]\n",
    );
    let url = format!("https://localhost:{}/", proxy.at.port());
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "20", "--noproxy", "*", "--haproxy-protocol", "--cacert"]);
    let output = command.arg(bench.dir.join("ca.crt")).args([
        "--resolve",
        &format!("localhost:{}:127.0.0.1", proxy.at.port()),
        &url,
    ]);
    assert_eq!(String::from_utf8(output.output().unwrap().stdout).unwrap(), "hello from the app");
}

#[test]
fn sockets_of_files_are_as_good_as_ports_on_both_sides() {
    let bench = Bench::new();
    let back = bench.put("back.yaml", "listeners: [{listen: 'unix:DIR/app.sock', routes: [{to: APP}]}]\n");
    let _back = {
        let sidecar = bench.start().args(["--config", &back]).spawn();
        sidecar.wait_ready();
        sidecar
    };
    let file = bench.put("front.yaml", "listeners: [{listen: 'unix:DIR/front.sock', routes: [{to: 'unix:DIR/app.sock'}]}, {listen: LISTEN, tcp: 'unix:DIR/app.sock'}]\n");
    let front = Proxy::of(bench.start().args(["--config", &file]));
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "20", "--unix-socket"]).arg(bench.dir.join("front.sock"));
    let output = command.args(["http://a/one", "http://a/two"]).stderr(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello from the apphello from the app");
    assert_eq!(bench.asked().path, "/two");
    assert_eq!(front.get("/three").body, "hello from the app");
}

#[test]
fn a_body_that_would_be_large_unpacked_stays_packed() {
    let bench = Bench::new();
    // What it would unpack to is never asked: a bomb is bytes like others, in both directions.
    let bomb: Vec<u8> =
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff".iter().copied().chain((0..200_000).map(|n| (n % 251) as u8)).collect();
    let app = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = app.local_addr().unwrap();
    let sent = bomb.clone();
    let server = std::thread::spawn(move || {
        let (socket, _) = app.accept().unwrap();
        let mut socket = BufReader::new(socket);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(socket.read_until(b'\n', &mut head).unwrap() > 0);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.contains("content-encoding: gzip") && head.contains("accept-encoding: gzip"), "{head}");
        let mut body = vec![0; sent.len()];
        socket.read_exact(&mut body).unwrap();
        assert!(body == sent);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", sent.len());
        socket.get_mut().write_all(&[head.as_bytes(), &sent].concat()).unwrap();
    });
    let proxy = bench.routes(&format!("  - {{to: '{at}'}}\n"));
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nContent-Encoding: gzip\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    );
    let mut socket = TcpStream::connect(proxy.at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&[head.as_bytes(), &bomb].concat()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    assert!(String::from_utf8_lossy(&answer[..at]).to_ascii_lowercase().contains("content-encoding: gzip"));
    assert!(answer[at + 4..] == bomb);
    server.join().unwrap();
}

#[test]
fn more_connections_than_a_shell_allows_are_served() {
    let bench = Bench::new();
    let file = bench.put("config.yaml", "listeners: [{listen: LISTEN, routes: [{to: APP}]}]\n");
    let start = bench.start().args(["--config", &file]).under(["sh", "-c", "ulimit -Sn 128; exec \"$@\"", "sh"]);
    let proxy = Proxy::of(start);
    let held: Vec<_> = (0..300).map(|_| TcpStream::connect(proxy.at).unwrap()).collect();
    assert_eq!(proxy.get("/").status, 200);
    drop(held);
}

#[test]
fn what_went_over_the_wire_is_counted_with_heads_and_framing() {
    let bench = Bench::new();
    let proxy = bench.serving(
        "listeners:
- listen: LISTEN
  access_log: {to: DIR/access.log, text: '${wire_received} ${bytes_received} ${wire_sent} ${bytes_sent}'}
  routes: [{to: APP}]\n",
    );
    let request = b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
    let answer = test_kit::http::raw(proxy.at, request).unwrap();
    let wanted = format!("{} 3 {} 18\n", request.len(), answer.len());
    let log = bench.dir.join("access.log");
    let written = || std::fs::read_to_string(&log).is_ok_and(|text| text == wanted);
    assert!(test_kit::eventually(PATIENCE, written), "{wanted}{:?}", std::fs::read_to_string(&log));
}
