//! `reverse-proxy` from outside: what becomes of a request, as its own configuration says.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "reverse_proxy/auth.rs"]
mod auth;
#[path = "reverse_proxy/bad_input.rs"]
mod bad_input;
#[path = "reverse_proxy/client.rs"]
mod client;
#[path = "reverse_proxy/egress.rs"]
mod egress;
#[path = "reverse_proxy/life.rs"]
mod life;
#[path = "reverse_proxy/route.rs"]
mod route;
#[path = "reverse_proxy/see.rs"]
mod see;
#[path = "reverse_proxy/tcp.rs"]
mod tcp;
#[path = "reverse_proxy/tls.rs"]
mod tls;
#[path = "reverse_proxy/tools.rs"]
mod tools;
#[path = "reverse_proxy/wire.rs"]
mod wire;

use std::{net::SocketAddr, time::Duration};

use test_kit::{HookServer, Reply, Sidecar, Start, TempDir, http::Response};

const BINARY: &str = env!("CARGO_BIN_EXE_reverse-proxy");

/// Long enough for a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(30);

/// An app, and a proxy in front of it.
struct Bench {
    dir: TempDir,
    app: HookServer,
}

struct Proxy {
    sidecar: Sidecar,
    at: SocketAddr,
}

impl Bench {
    fn new() -> Self {
        Self { dir: TempDir::new(), app: HookServer::answering([Reply::Status(200, "hello from the app".into())]) }
    }

    /// `APP` is the address of the app, `DIR` the directory, `LISTEN` a port that is free.
    fn put(&self, name: &str, text: &str) -> String {
        // Base64 has such words in it now and then.
        if text.starts_with("-----BEGIN") {
            return self.dir.put(name, text);
        }
        let text = text.replace("APP", &self.app.addr().to_string()).replace("DIR", self.dir.to_str().unwrap());
        self.dir.put(name, text.replace("LISTEN", "127.0.0.1:0"))
    }

    fn start(&self) -> Start {
        Sidecar::start(BINARY).env("SIDECAR_DRAIN_DELAY", "0s")
    }

    fn serving(&self, config: &str) -> Proxy {
        let file = self.put("config.yaml", config);
        Proxy::of(self.start().args(["--config", &file]))
    }

    /// One listener with these routes.
    fn routes(&self, routes: &str) -> Proxy {
        self.serving(&format!("listeners:\n- listen: LISTEN\n  routes:\n{routes}"))
    }

    /// What the app was asked last.
    fn asked(&self) -> test_kit::Request {
        self.app.requests().pop().expect("the app was asked nothing")
    }
}

impl Proxy {
    fn of(start: Start) -> Self {
        let sidecar = start.spawn();
        sidecar.wait_ready();
        let at = SocketAddr::from(([127, 0, 0, 1], sidecar.port_of("127.0.0.1:0")));
        Self { sidecar, at }
    }

    #[track_caller]
    fn get(&self, path: &str) -> Response {
        test_kit::http::get(self.at, path).unwrap()
    }

    #[track_caller]
    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        test_kit::http::request(self.at, "GET", path, headers, "").unwrap()
    }

    #[track_caller]
    fn host(&self, host: &str, path: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = test_kit::http::raw(self.at, request.as_bytes()).unwrap();
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
        Response { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }
}
