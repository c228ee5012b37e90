//! `reverse-proxy` in the place of its peers, from outside: their flags, their files, what they answer.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "reverse_proxy_dialects/envoy.rs"]
mod envoy;
#[path = "reverse_proxy_dialects/envoy_chains.rs"]
mod envoy_chains;
#[path = "reverse_proxy_dialects/envoy_egress.rs"]
mod envoy_egress;
#[path = "reverse_proxy_dialects/nginx.rs"]
mod nginx;
#[path = "reverse_proxy_dialects/seeds.rs"]
mod seeds;

use std::net::SocketAddr;

use test_kit::{HookServer, Reply, Sidecar, Start, TempDir, http::Response};

const BINARY: &str = env!("CARGO_BIN_EXE_reverse-proxy");

/// An app, a directory, and a port to listen on: peers know no port 0.
struct Bench {
    dir: TempDir,
    app: HookServer,
    at: SocketAddr,
}

impl Bench {
    fn new() -> Self {
        let app = HookServer::answering([Reply::Status(200, "hello from the app".into())]);
        Self { dir: TempDir::new(), app, at: SocketAddr::from(([127, 0, 0, 1], test_kit::free_port())) }
    }

    /// `APP` and `APPPORT` are the app's, `OURPORT` is ours, `DIR` is the directory.
    fn put(&self, name: &str, text: &str) -> String {
        // Base64 has such words in it now and then.
        if text.starts_with("-----BEGIN") {
            return self.dir.put(name, text);
        }
        let app = self.app.addr();
        let text = text.replace("APPPORT", &app.port().to_string()).replace("APP", &app.to_string());
        let text = text.replace("OURPORT", &self.at.port().to_string()).replace("DIR", self.dir.to_str().unwrap());
        self.dir.put(name, text)
    }

    /// Called by the name of the peer; what that has no flag for comes from the environment.
    fn called(&self, name: &str) -> Start {
        let start = Sidecar::start(BINARY).own_admin().argv0(format!("/usr/bin/{name}"));
        start.env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0").env("SIDECAR_DRAIN_DELAY", "0s")
    }

    fn running(&self, name: &str, config: &str) -> Sidecar {
        let file = self.put("peer.conf", config);
        let sidecar = self.called(name).args(["-c", &file]).spawn();
        sidecar.wait_ready();
        sidecar
    }

    #[track_caller]
    fn get(&self, path: &str) -> Response {
        test_kit::http::get(self.at, path).unwrap()
    }

    #[track_caller]
    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        test_kit::http::request(self.at, "GET", path, headers, "").unwrap()
    }

    fn asked(&self) -> test_kit::Request {
        self.app.requests().pop().expect("the app was asked nothing")
    }
}
