//! TLS: ended here, renewed without losing anybody, and what a client's certificate opens.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
};

use test_kit::{Authority, HookServer, PATIENCE, Pair, Sidecar, TempDir, eventually, http};
use tls::{
    ClientTls, Identity, Roots,
    rustls::{ClientConnection, StreamOwned, pki_types::ServerName},
};

use crate::browser::COOKIE_SECRET;

struct Bench {
    dir: TempDir,
    authority: Authority,
    app: HookServer,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: TempDir::new(), authority: Authority::new("test CA"), app: HookServer::start() };
        bench.dir.put("ca.crt", bench.authority.pem());
        bench.put("tls", &bench.authority.server(&["localhost"]));
        bench
    }

    fn put(&self, name: &str, pair: &Pair) {
        self.dir.put(&format!("{name}.key"), &pair.key);
        self.dir.put(&format!("{name}.crt"), &pair.certificate);
    }

    /// `DIR` and `APP` are filled in.
    fn serve(&self, text: &str) -> Sidecar {
        let text = text.replace("DIR", self.dir.to_str().unwrap()).replace("APP", &self.app.url(""));
        let file = self.dir.put("config.yaml", text);
        Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &file]).spawn()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn client(&self, addr: SocketAddr, shows: Option<&str>) -> Client {
        let pair = |name: &str| Identity {
            certificate: self.file(&format!("{name}.crt")),
            key: self.file(&format!("{name}.key")),
        };
        let roots = Roots::File(self.file("ca.crt"));
        let config = ClientTls { roots, identity: shows.map(pair), ..ClientTls::default() }.load().unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)))
    }
}

/// A connection that stays open.
struct Client(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Client {
    /// The status; None where there is no connection (any more).
    fn get(&mut self, path: &str) -> Option<u16> {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).ok()?;
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest.split(' ').next().and_then(|code| code.parse().ok());
            }
            match line.trim_end().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        self.0.read_exact(&mut vec![0; length]).ok()?;
        status
    }

    fn certificate(&self) -> Vec<u8> {
        self.0.get_ref().conn.peer_certificates().unwrap()[0].to_vec()
    }

    fn version(&self) -> String {
        format!("{:?}", self.0.get_ref().conn.protocol_version().unwrap())
    }
}

fn at(proxy: &Sidecar, what: &str) -> SocketAddr {
    ([127, 0, 0, 1], proxy.port_of(what)).into()
}

const CERTIFICATES: &str = "
listen: 127.0.0.1:0
tls: {cert_file: 'DIR/tls.crt', key_file: 'DIR/tls.key', client_ca_file: 'DIR/ca.crt', client_certificates: optional}
allow:
  certificates:
  - {name: spiffe://prod/ns/shop/*, groups: [shop]}
  - CN=batch
  routes: [{path: ^/admin(/|$), certificates: [spiffe://prod/ns/shop/sa/admin]}]
upstreams: [{to: 'APP'}]
";

#[test]
fn a_certificate_that_is_listed_lets_in_and_no_other_does() {
    let bench = Bench::new();
    for (name, pair) in [
        ("cart", bench.authority.client_with("cart", &["spiffe://prod/ns/shop/sa/cart"])),
        ("admin", bench.authority.client_with("admin", &["spiffe://prod/ns/shop/sa/admin"])),
        ("batch", bench.authority.client("batch")),
        ("other", bench.authority.client_with("other", &["spiffe://prod/ns/other/sa/x"])),
        ("several", bench.authority.client_with("x", &["spiffe://prod/ns/shop/sa/a", "spiffe://prod/ns/shop/sa/b"])),
        ("foreign", Authority::new("another CA").client("batch")),
    ] {
        bench.put(name, &pair);
    }
    let proxy = bench.serve(CERTIFICATES);
    let addr = at(&proxy, "proxy");
    let get = |name: Option<&str>, path: &str| bench.client(addr, name).get(path);
    assert_eq!(get(Some("cart"), "/x"), Some(200));
    let seen = bench.app.requests().pop().unwrap();
    assert_eq!(seen.header("x-forwarded-user"), Some("spiffe://prod/ns/shop/sa/cart"));
    assert_eq!((seen.header("x-forwarded-groups"), seen.header("x-forwarded-proto")), (Some("shop"), Some("https")));
    assert_eq!(get(Some("batch"), "/x"), Some(200));
    assert_eq!(bench.app.requests().pop().unwrap().header("x-forwarded-user"), Some("batch"));
    let before = bench.app.requests().len();
    assert_eq!(get(None, "/x"), Some(401), "a certificate is asked for, and not demanded");
    for name in ["other", "several"] {
        assert_eq!(get(Some(name), "/x"), Some(401), "{name}");
    }
    assert_eq!(get(Some("foreign"), "/x"), None, "of another authority: no connection at all");
    assert_eq!(get(Some("cart"), "/admin/x"), Some(403));
    assert_eq!(bench.app.requests().len(), before);
    assert_eq!(get(Some("admin"), "/admin/x"), Some(200));
    let line = proxy.wait_log(|line| line.message() == "request" && line.field("decision") == "forbidden");
    assert_eq!((line.field("by"), line.field("rule")), ("certificate".into(), "^/admin(/|$)".into()));
}

#[test]
fn without_a_certificate_there_is_no_connection_where_one_is_required() {
    let bench = Bench::new();
    bench.put("batch", &bench.authority.client("batch"));
    let proxy = bench.serve(&CERTIFICATES.replace("optional", "required"));
    let addr = at(&proxy, "proxy");
    assert_eq!(bench.client(addr, None).get("/"), None);
    proxy.wait_log(|line| line.message() == "a connection was turned away" && line.field("why").starts_with("TLS: "));
    assert_eq!(proxy.metric("auth_proxy_connections_refused_total"), Some(1.0));
    assert_eq!(bench.client(addr, Some("batch")).get("/"), Some(200));
}

#[test]
fn a_new_certificate_is_shown_and_open_connections_stay() {
    let bench = Bench::new();
    bench.put("batch", &bench.authority.client("batch"));
    let proxy = bench.serve(CERTIFICATES);
    let addr = at(&proxy, "proxy");
    let mut old = bench.client(addr, Some("batch"));
    assert_eq!(old.get("/"), Some(200));
    let first = old.certificate();
    bench.put("tls", &bench.authority.server(&["localhost"]));
    let shown = || {
        let mut client = bench.client(addr, Some("batch"));
        client.get("/").map(|_| client.certificate())
    };
    assert!(eventually(PATIENCE, || shown().is_some_and(|shown| shown != first)), "{}", proxy.stderr());
    assert_eq!(old.get("/"), Some(200), "the connection of before is still good");
    // A bad one is not taken.
    let good = shown();
    bench.dir.put("tls.key", "nothing of use");
    proxy.wait_log(|line| line.message().contains("the old ones stay") && line.message().contains("tls.key"));
    assert_eq!(shown(), good);
}

#[test]
fn the_peers_flags_for_tls_are_kept() {
    let bench = Bench::new();
    let (crt, key) = (bench.file("tls.crt"), bench.file("tls.key"));
    let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
        .own_admin()
        .args(["oauth2-proxy", "--http-address=127.0.0.1:0", "--https-address=localhost:0", "--force-https"])
        .args([format!("--tls-cert-file={}", crt.display()), format!("--tls-key-file={}", key.display())])
        .args(["--tls-min-version=TLS1.3", "--email-domain=*", "--client-id=a", "--client-secret=b"])
        .env("OAUTH2_PROXY_COOKIE_SECRET", COOKIE_SECRET)
        .spawn();
    let mut client = bench.client(at(&proxy, "https"), None);
    assert_eq!((client.get("/"), &*client.version()), (Some(403), "TLSv1_3"));
    let plain = at(&proxy, "proxy");
    let answer = http::request(plain, "POST", "/a/b?c=d", &[], "").unwrap();
    assert_eq!((answer.status, answer.header("location")), (308, Some("https://127.0.0.1:0/a/b?c=d")));
    let form = http::post(plain, "/oauth2/backchannel_logout", "logout_token=x").unwrap();
    assert_eq!(form.status, 308, "what is posted to us is not read here");
    assert_eq!(http::get(plain, "/ping").unwrap().status, 200, "probes are answered");
}

#[test]
fn whoever_comes_without_tls_is_sent_there() {
    let bench = Bench::new();
    let text = CERTIFICATES.replace("key_file:", "redirect_from: '127.0.0.1:0', redirect_to: 443, key_file:");
    // Two of them with port 0 would be one address.
    let proxy = bench.serve(&text.replace("listen: 127.0.0.1:0", "listen: localhost:0"));
    let answer = http::get(at(&proxy, "redirect"), "/x").unwrap();
    assert_eq!((answer.status, answer.header("location")), (308, Some("https://127.0.0.1/x")));
}

#[test]
fn another_address_is_listened_on_after_a_reload() {
    let bench = Bench::new();
    let text = "listen: 127.0.0.1:0\nallow: {certificates: ['*']}\nupstreams: [{to: 'APP'}]\n";
    let proxy = bench.serve(text);
    let first = at(&proxy, "proxy");
    assert_eq!(http::get(first, "/ping").unwrap().status, 200);
    bench.dir.put("config.yaml", text.replace("127.0.0.1:0", "localhost:0").replace("APP", &bench.app.url("")));
    assert_eq!(proxy.admin_post("/-/reload").0, 200);
    let second = proxy.wait_log(|line| {
        line.message() == "listening" && line.field("what") == "proxy" && line.field("addr") != first.to_string()
    });
    let second: SocketAddr = second.field("addr").parse().unwrap();
    assert_eq!(http::get(second, "/ping").unwrap().status, 200);
    assert!(eventually(PATIENCE, || http::get(first, "/ping").is_err()));
}
