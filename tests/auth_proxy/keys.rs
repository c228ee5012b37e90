//! API keys, and the record of who was let in and why.

use std::net::SocketAddr;

use test_kit::{HookServer, PATIENCE, Sidecar, TempDir, eventually, http};

fn made(name: &str, groups: &str) -> (String, String) {
    let output = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["key", name, groups]).run();
    assert_eq!(output.code, 0, "{}", output.stderr);
    let find = |what: &str| {
        let line = output.stdout.lines().find_map(|line| line.strip_prefix(what));
        line.unwrap_or_else(|| panic!("{what}: {}", output.stdout)).trim().to_owned()
    };
    (find("key:"), find("line:"))
}

struct Bench {
    dir: TempDir,
    app: HookServer,
    proxy: Sidecar,
}

impl Bench {
    fn new(lines: &str, more: &str) -> Self {
        let (dir, app) = (TempDir::new(), HookServer::start());
        let file = dir.put("keys", lines);
        let text = format!("listen: 127.0.0.1:0\nkeys: {file}\nupstreams: [{{to: '{}'}}]\n{more}", app.url(""));
        let config = dir.put("config.yaml", text);
        let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &config]).spawn();
        Self { dir, app, proxy }
    }

    fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.proxy.port_of("proxy")).into()
    }

    fn ask(&self, name: &str, value: &str) -> u16 {
        http::request(self.addr(), "GET", "/x", &[(name, value)], "").unwrap().status
    }
}

#[test]
fn a_key_lets_in_under_its_name_until_it_is_taken_out_of_the_file() {
    let (key, line) = made("ci", "deploy,read");
    let bench = Bench::new(&format!("# ours\n{line}\n"), "");
    assert_eq!(bench.ask("X-API-Key", &key), 200);
    let seen = bench.app.requests().pop().unwrap();
    assert_eq!((seen.header("x-forwarded-user"), seen.header("x-forwarded-groups")), (Some("ci"), Some("deploy,read")));
    assert_eq!((seen.header("x-api-key"), seen.header("authorization")), (None, None), "it was meant for us");
    assert_eq!(bench.ask("Authorization", &format!("Bearer {key}")), 200);
    assert_eq!(bench.app.requests().pop().unwrap().header("authorization"), None);
    for (name, value) in [("X-API-Key", "x"), ("X-API-Key", &key[1..]), ("Authorization", "Bearer x"), ("A", "b")] {
        assert_eq!(bench.ask(name, value), 401, "{name}: {value}");
    }
    let (next, other) = made("next", "");
    bench.dir.put("keys", format!("{other}\n"));
    assert!(eventually(PATIENCE, || bench.ask("X-API-Key", &key) == 401), "{}", bench.proxy.stderr());
    assert_eq!(bench.ask("X-API-Key", &next), 200);
    // A file that is no good is not taken: those who could come in still can.
    bench.dir.put("keys", "ci sha256:zz\n");
    bench.proxy.wait_log(|line| line.message().contains("keys:1: ci: expected 64 hexadecimal digits"));
    assert_eq!(bench.ask("X-API-Key", &next), 200);
    let log = bench.proxy.stderr();
    assert!(!log.contains(&key) && !log.contains(&next), "{log}");
}

#[test]
fn every_decision_is_on_record_and_none_is_held_back() {
    const MANY: usize = 60;
    let (key, line) = made("ci", "");
    let bench = Bench::new(&format!("{line}\n"), "audit: {without_paths: [/ping]}\n");
    for _ in 0..MANY {
        assert_eq!(bench.ask("X-API-Key", &key), 200);
        assert_eq!(bench.ask("X-API-Key", "wrong-and-secret"), 401);
    }
    http::get(bench.addr(), "/ping").unwrap();
    http::get(bench.addr(), "/last?token=secret").unwrap();
    bench.proxy.wait_log(|line| line.message() == "request" && line.field("path") == "/last");
    let lines: Vec<_> = bench.proxy.logs().into_iter().filter(|line| line.message() == "request").collect();
    let of = |decision: &str| lines.iter().filter(|line| line.field("decision") == decision).count();
    assert_eq!((of("allowed"), of("refused"), of("unknown")), (MANY, MANY, 1));
    let allowed = lines.iter().find(|line| line.field("decision") == "allowed").unwrap();
    for (name, value) in [("user", "ci"), ("by", "key"), ("path", "/x"), ("client", "127.0.0.1"), ("status", "200")] {
        assert_eq!(allowed.field(name), value, "{}", allowed.raw);
    }
    assert_eq!(allowed.field("target"), "audit");
    let log = bench.proxy.stderr();
    assert!(!log.contains("secret") && !log.contains(&key) && !log.contains("/ping"), "{log}");
}
