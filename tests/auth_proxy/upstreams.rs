//! What is behind: apps over http, https and sockets, files, and answers of our own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use test_kit::{Authority, HookServer, PATIENCE, Reply, Sidecar, TempDir, eventually, http};

use crate::browser::World;

fn serve(dir: &TempDir, name: &str, text: &str) -> Sidecar {
    let file = dir.put(name, text.replace("DIR", dir.to_str().unwrap()));
    Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &file]).spawn()
}

fn addr(proxy: &Sidecar) -> SocketAddr {
    ([127, 0, 0, 1], proxy.port_of("proxy")).into()
}

/// By network: then a path that can be read in two ways comes through as well, and is the upstream's to refuse.
const OPEN: &str = "listen: 127.0.0.1:0\nallow: {certificates: ['*']}\nbypass: {networks: [127.0.0.0/8]}\n";

#[test]
fn files_are_served_with_what_browsers_need_and_nothing_beside_them_is() {
    let dir = TempDir::new();
    for (name, text) in [
        ("site/index.html", "<p>hello</p>"),
        ("site/app.js", "0123456789"),
        ("site/a b.txt", "spaces"),
        ("site/.env", "hidden"),
        ("site/sub/index.html", "below"),
        ("site/bare/x.bin", "x"),
        ("secret", "outside"),
    ] {
        std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        dir.put(name, text);
    }
    std::os::unix::fs::symlink(dir.join("secret"), dir.join("site/way-out")).unwrap();
    std::os::unix::fs::symlink("sub", dir.join("site/link")).unwrap();
    let proxy = serve(&dir, "c.yaml", &format!("{OPEN}upstreams: [{{path: /site/, to: 'file://DIR/site'}}]\n"));
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        http::request(addr(&proxy), method, path, headers, "").unwrap()
    };
    let get = |path: &str| ask("GET", path, &[]);
    let page = get("/site/");
    assert_eq!((page.status, &*page.body), (200, "<p>hello</p>"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(get("/site/a%20b.txt").body, "spaces");
    assert_eq!((get("/site/sub").status, get("/site/sub").header("location")), (301, Some("/site/sub/")));
    assert_eq!((&*get("/site/sub/").body, &*get("/site/link/").body), ("below", "below"));
    for path in [
        "/site/.env",
        "/site/way-out",
        "/site/../secret",
        "/site/%2e%2e/secret",
        "/site/..%2fsecret",
        "/site/sub/..%5c..%5csecret",
        "/site//secret",
        "/site/app.js/",
        "/site/bare/",
        "/site/nothing",
        "/site/app.js%00.html",
        "/secret",
        "/",
    ] {
        let answer = get(path);
        assert!(matches!(answer.status, 404 | 400), "{path}: {} {}", answer.status, answer.body);
    }
    let whole = get("/site/app.js");
    let (tag, time) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    let head = ask("HEAD", "/site/app.js", &[]);
    assert_eq!((head.status, head.header("content-length"), &*head.body), (200, Some("10"), ""));
    for (name, value, status, body) in [
        ("If-None-Match", tag, 304, ""),
        ("If-None-Match", "\"x\", W/\"y\"", 200, "0123456789"),
        ("If-Modified-Since", time, 304, ""),
        ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 200, "0123456789"),
        ("Range", "bytes=2-4", 206, "234"),
        ("Range", "bytes=-3", 206, "789"),
        ("Range", "bytes=10-", 416, ""),
        ("Range", "bytes=0-1,3-4", 200, "0123456789"),
    ] {
        let answer = ask("GET", "/site/app.js", &[(name, value)]);
        assert_eq!((answer.status, &*answer.body), (status, body), "{name}: {value}");
    }
    let part = ask("GET", "/site/app.js", &[("Range", "bytes=2-4"), ("If-Range", tag)]);
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 2-4/10")));
    assert_eq!(ask("GET", "/site/app.js", &[("Range", "bytes=2-4"), ("If-Range", "\"old\"")]).status, 200);
    assert_eq!(ask("POST", "/site/app.js", &[]).status, 405);
}

#[test]
fn an_app_with_tls_is_verified_unless_somebody_says_otherwise_and_that_is_said_loudly() {
    let (dir, app, authority) = (TempDir::new(), HookServer::start(), Authority::new("test CA"));
    let pair = authority.server(&["localhost"]);
    for (name, text) in [("ca.crt", &authority.pem()), ("tls.crt", &pair.certificate), ("tls.key", &pair.key)] {
        dir.put(name, text);
    }
    let tls = "tls: {cert_file: 'DIR/tls.crt', key_file: 'DIR/tls.key'}\n";
    let inner = serve(&dir, "inner.yaml", &format!("{OPEN}{tls}upstreams: [{{to: '{}'}}]\n", app.url("")));
    let port = inner.port_of("proxy");
    let outer = |name: &str, host: &str, more: &str| {
        let upstream = format!("upstreams: [{{to: 'https://{host}:{port}', keep_host: false{more}}}]\n");
        serve(&dir, name, &format!("{OPEN}{upstream}"))
    };
    let good = outer("good.yaml", "localhost", ", ca_file: 'DIR/ca.crt'");
    assert_eq!(http::get(addr(&good), "/x").unwrap().status, 200);
    assert_eq!(app.requests().pop().unwrap().header("host"), Some(&*format!("localhost:{port}")));
    let unknown = outer("unknown.yaml", "localhost", "");
    assert_eq!(http::get(addr(&unknown), "/x").unwrap().status, 502);
    let another = outer("another.yaml", "127.0.0.1", ", ca_file: 'DIR/ca.crt'");
    assert_eq!(http::get(addr(&another), "/x").unwrap().status, 502, "a name that is not in the certificate");
    let blind = outer("blind.yaml", "localhost", ", insecure_skip_verify: true");
    assert_eq!(http::get(addr(&blind), "/x").unwrap().status, 200);
    blind.wait_log(|line| line.field("level") == "WARN" && line.field("note").contains("is not verified"));
}

#[test]
fn an_app_on_a_socket_and_answers_of_our_own_are_found_by_the_longest_path() {
    let (dir, app) = (TempDir::new(), HookServer::start());
    let text = format!("{OPEN}upstreams: [{{to: '{}'}}]\n", app.url(""));
    // Who comes over a socket has no address.
    let text = text.replace("networks: [127.0.0.0/8]", "paths: ['.*']");
    let text = text.replace("listen: 127.0.0.1:0", "listen: 'unix:DIR/app.sock'\nlisten_mode: 0600");
    let inner = serve(&dir, "inner.yaml", &text);
    inner.wait_log(|line| line.message() == "listening" && line.field("what") == "proxy");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(dir.join("app.sock")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let upstreams = "upstreams:\n- {to: 'unix:DIR/app.sock'}\n- {path: /gone, to: 'static://410'}\n\
                     - {path: /ok/, to: 'static://200'}\n";
    let proxy = serve(&dir, "outer.yaml", &format!("{OPEN}{upstreams}"));
    let get = |path: &str| http::get(addr(&proxy), path).unwrap();
    assert_eq!((get("/x").status, get("/gone").status, get("/gone/x").status), (200, 410, 200));
    assert_eq!((get("/ok/x").status, &*get("/ok/x").body), (200, "Authenticated"));
    assert_eq!(app.requests().len(), 2);
}

#[test]
fn the_peers_words_for_upstreams_are_kept() {
    let dir = TempDir::new();
    dir.put("page.html", "a page");
    let slow = HookServer::answering([Reply::Hang]);
    let world = World::new(&[
        &format!("--upstream=file://{}#/files/", dir.to_str().unwrap()),
        &format!("--upstream={}", slow.url("/slow/")),
        "--pass-host-header=false",
        "--upstream-timeout=500ms",
        "--gcp-healthchecks",
        "--silence-ping-logging",
    ]);
    let mut browser = world.browser();
    assert_eq!(browser.get("/files/page.html").status, 403, "not signed in");
    assert_eq!(browser.get("/liveness_check").status, 200);
    assert_eq!(browser.ask("GET", "/", &[("User-Agent", "GoogleHC/1.0"), ("Accept", "text/html")]).status, 403);
    browser.sign_in("/");
    assert_eq!(browser.get("/files/page.html").body, "a page");
    assert_eq!(browser.get("/slow/").status, 504);
    assert_eq!(browser.get("/x").status, 200);
    assert_eq!(world.seen().header("host"), Some(&*world.app.addr().to_string()));
    assert_eq!(browser.get("/ping").status, 200);
    assert!(!world.proxy.stderr().contains("\"/ping\""));
}

/// An app that takes upgrades: it says hello after so long, and then whatever it hears.
fn echo(delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                head(&mut BufReader::new(&stream));
                let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                stream.write_all(switched.as_bytes()).unwrap();
                thread::sleep(delay);
                stream.write_all(b"hello").unwrap();
                let mut piece = [0; 64];
                // Ends when the other side does.
                while let Ok(read @ 1..) = stream.read(&mut piece) {
                    stream.write_all(&piece[..read]).unwrap();
                }
            });
        }
    });
    addr
}

/// The status, and all lines read.
fn head(reader: &mut impl BufRead) -> String {
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    first
}

#[test]
fn a_websocket_is_for_those_who_belong_and_outlives_the_timeout_of_answers() {
    let dir = TempDir::new();
    let app = echo(Duration::from_millis(700));
    dir.put("users", "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n");
    let upstreams = format!(
        "upstreams:\n- {{to: 'http://{app}', timeout: 300ms}}\n- {{path: /off, to: 'http://{app}', websocket: false}}\n"
    );
    let proxy = serve(&dir, "c.yaml", &format!("listen: 127.0.0.1:0\npasswords: {{file: 'DIR/users'}}\n{upstreams}"));
    let upgrade = |path: &str, proof: &str| {
        let mut stream = TcpStream::connect(addr(&proxy)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let text =
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{proof}\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        (head(&mut reader), reader)
    };
    let right = "Authorization: Basic c2hhOnNlY3JldCB3b3Jk\r\n";
    assert!(upgrade("/", "").0.contains(" 401 "));
    assert!(
        upgrade("/off", right).0.contains(" 502 "),
        "asked without the upgrade, an app that does so all the same errs"
    );
    let (status, mut reader) = upgrade("/", right);
    assert!(status.contains(" 101 "), "{status}");
    let mut piece = [0; 5];
    reader.read_exact(&mut piece).unwrap();
    assert_eq!(&piece, b"hello");
    reader.get_mut().write_all(b"again").unwrap();
    reader.read_exact(&mut piece).unwrap();
    assert_eq!(&piece, b"again");
}

#[test]
fn a_list_of_addresses_counts_as_it_is_now() {
    let dir = TempDir::new();
    let file = dir.put("emails", "bob@partner.org\n");
    let world = World::new(&[&format!("--authenticated-emails-file={file}"), "--email-domain=nobody.invalid"]);
    let mut browser = world.browser();
    let callback = browser.begin("/");
    assert_eq!(browser.get(&callback).status, 403, "alice is not on it");
    dir.put("emails", "# people\nAlice@mycompany.com\n");
    let signs_in = || {
        let mut browser = world.browser();
        let callback = browser.begin("/");
        browser.get(&callback).status == 302 && browser.get("/").status == 200
    };
    assert!(eventually(PATIENCE, signs_in), "{}", world.proxy.stderr());
}

#[test]
fn large_files_are_served_in_ranges_and_slow_readers_cost_bounded_memory() {
    let dir = TempDir::new();
    std::fs::create_dir(dir.join("site")).unwrap();
    dir.put("site/large", vec![b'x'; (16 << 20) + 1]);
    dir.put("site/fits", vec![b'y'; 12 << 20]);
    let proxy = serve(&dir, "c.yaml", &format!("{OPEN}upstreams: [{{to: 'file://DIR/site'}}]\n"));
    let ask = |path: &str, range: Option<&str>| {
        let headers: Vec<_> = range.map(|range| ("Range", range)).into_iter().collect();
        http::request(addr(&proxy), "GET", path, &headers, "").unwrap()
    };
    assert_eq!(ask("/large", None).status, 507);
    let part = ask("/large", Some("bytes=16777210-"));
    assert_eq!((part.status, &*part.body), (206, "xxxxxxx"));
    // Eight who ask and do not read: more than there is memory for.
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(addr(&proxy)).unwrap();
            stream.write_all(b"GET /fits HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let is_refused = || proxy.logs().iter().any(|line| line.message() == "request" && line.field("status") == "503");
    assert!(eventually(PATIENCE, is_refused), "{}", proxy.stderr());
    assert!(proxy.rss_kib() < 96 * 1024, "{} KiB", proxy.rss_kib());
    drop(readers);
    assert!(eventually(PATIENCE, || ask("/fits", None).body.len() == 12 << 20));
}
