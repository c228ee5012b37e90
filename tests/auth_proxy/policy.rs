//! A policy service that has the last word, and what holds when it says nothing.

use std::time::{Duration, Instant};

use test_kit::{HookServer, PATIENCE, Reply, Sidecar, TempDir, eventually, http};

use crate::browser::World;

const RIGHT: &str = "Basic c2hhOnNlY3JldCB3b3Jk";

struct Bench {
    _dir: TempDir,
    app: HookServer,
    service: HookServer,
    proxy: Sidecar,
}

impl Bench {
    fn new(path: &str, answer: Reply, more: &[&str]) -> Self {
        let (dir, app, service) = (TempDir::new(), HookServer::start(), HookServer::answering([answer]));
        let users = dir.put("users", "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n");
        let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
            .args(["--listen", "127.0.0.1:0", "--upstream", &app.url(""), "--passwords", &users])
            .args(["--policy-url", &service.url(path)])
            .args(more)
            .spawn();
        Self { _dir: dir, app, service, proxy }
    }

    fn ask(&self, path: &str) -> u16 {
        let addr = ([127, 0, 0, 1], self.proxy.port_of("proxy")).into();
        http::request(addr, "GET", path, &[("Authorization", RIGHT)], "").unwrap().status
    }
}

fn says(text: &str) -> Reply {
    Reply::Status(200, text.into())
}

#[test]
fn the_service_is_asked_as_opa_is_and_its_answer_counts() {
    let bench = Bench::new("/v1/data/authz", says("{\"result\": {\"allow\": true}}"), &[]);
    assert_eq!(bench.ask("/a/b%20c?x=1&x=2"), 200);
    let asked = bench.service.requests().pop().unwrap();
    assert_eq!((&*asked.method, &*asked.path), ("POST", "/v1/data/authz"));
    let said: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let input = &said["input"];
    assert_eq!(input["parsed_path"], serde_json::json!(["a", "b c"]));
    assert_eq!((&input["path"], &input["query"]["x"]), (&"/a/b%20c".into(), &serde_json::json!(["1", "2"])));
    assert_eq!((&input["user"]["name"], &input["user"]["by"]), (&"sha".into(), &"password".into()));
    assert_eq!((&input["method"], &input["client"]), (&"GET".into(), &"127.0.0.1".into()));
    assert!(!asked.body.contains("c2hhOn") && asked.header("authorization").is_none(), "no secret goes there");
    assert_eq!(bench.ask("/a/%2e%2e/b"), 200);
    let said: serde_json::Value = serde_json::from_str(&bench.service.requests().pop().unwrap().body).unwrap();
    assert!(said["input"]["parsed_path"].is_null(), "a path with two meanings has no parts");
    for (answer, status) in [
        ("{\"result\": true}", 200),
        ("{\"result\": false}", 403),
        ("{\"result\": {\"allow\": false, \"reason\": \"not on Sundays\"}}", 403),
        ("{}", 403),
        ("{\"result\": \"true\"}", 503),
        ("{\"result\": 1}", 503),
        ("{\"result\": {}}", 503),
        ("<html>", 503),
    ] {
        bench.service.answer([says(answer)]);
        assert_eq!(bench.ask("/"), status, "{answer}");
    }
    bench.proxy.wait_log(|line| {
        line.message() == "request" && line.field("rule") == "policy" && line.field("why") == "not on Sundays"
    });
    assert_eq!(bench.app.requests().len(), 3);
}

#[test]
fn a_plain_service_answers_by_status_or_by_a_word() {
    let bench = Bench::new("/check", Reply::Status(200, String::new()), &[]);
    assert_eq!(bench.ask("/"), 200);
    let said: serde_json::Value = serde_json::from_str(&bench.service.requests().pop().unwrap().body).unwrap();
    assert_eq!(said["path"], "/");
    for (status, body, expected) in [
        (204, "", 200),
        (403, "", 403),
        (401, "", 403),
        (200, "{\"allow\": true}", 200),
        (200, "{\"allow\": false}", 403),
        (200, "welcome", 503),
        (404, "", 503),
        (302, "", 503),
        (500, "", 503),
    ] {
        bench.service.answer([Reply::Status(status, body.into())]);
        assert_eq!(bench.ask("/"), expected, "{status} {body}");
    }
}

#[test]
fn without_an_answer_nobody_is_let_in_within_bounded_time_and_that_can_be_seen() {
    let bench = Bench::new("/v1/data/authz", Reply::Hang, &[]);
    assert!(bench.proxy.admin_get("/ready").1.contains("on error deny, not asked yet"));
    let begun = Instant::now();
    assert_eq!(bench.ask("/"), 503);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(bench.app.requests().is_empty());
    let (status, detail) = bench.proxy.admin_get("/ready");
    assert!(status == 200 && detail.starts_with("ready\npolicy: POST http://127.0.0.1:"), "{detail}");
    assert!(detail.contains("on error deny, does not answer: "), "{detail}");
    assert_eq!(bench.proxy.metric("auth_proxy_policy_info{on_error=\"deny\"}"), Some(1.0));
    assert_eq!(bench.proxy.metric("auth_proxy_policy_answers_total{outcome=\"failed_closed\"}"), Some(1.0));
    bench.service.answer([says("{\"result\": true}")]);
    assert_eq!(bench.ask("/"), 200);
    assert!(bench.proxy.admin_get("/ready").1.contains("on error deny, answers"));
}

#[test]
fn whoever_says_so_fails_open_and_that_can_be_seen_too() {
    let bench = Bench::new("/v1/data/authz", Reply::Close, &["--on-policy-error", "allow"]);
    bench.proxy.wait_message("whoever the rules let in is let in also when the policy service does not answer");
    assert_eq!(bench.ask("/"), 200);
    assert_eq!(bench.proxy.metric("auth_proxy_policy_info{on_error=\"allow\"}"), Some(1.0));
    assert_eq!(bench.proxy.metric("auth_proxy_policy_answers_total{outcome=\"failed_open\"}"), Some(1.0));
    bench.service.answer([says("{\"result\": false}")]);
    assert_eq!(bench.ask("/"), 403, "an answer counts as ever");
    let addr = ([127, 0, 0, 1], bench.proxy.port_of("proxy")).into();
    assert_eq!(http::get(addr, "/").unwrap().status, 401, "who is unknown stays outside");
}

#[test]
fn an_answer_is_kept_as_long_as_it_says_and_only_for_the_same_question() {
    let bench = Bench::new("/v1/data/authz", says("{\"result\": {\"allow\": true, \"max_age\": 1}}"), &[]);
    for _ in 0..3 {
        assert_eq!(bench.ask("/a"), 200);
    }
    assert_eq!(bench.service.requests().len(), 1);
    assert_eq!(bench.ask("/b"), 200);
    assert_eq!(bench.service.requests().len(), 2);
    bench.service.answer([says("{\"result\": false}")]);
    assert!(eventually(PATIENCE, || bench.ask("/a") == 403), "it holds no longer");
    let before = bench.service.requests().len();
    bench.ask("/a");
    assert_eq!(bench.service.requests().len(), before + 1, "an answer without a time is asked for each time");
}

#[test]
fn the_service_may_be_on_a_socket_and_proxies_that_ask_get_its_word() {
    let world = World::new(&["--policy-url=unix:///nonexistent/opa.sock#/v1/data/authz", "--policy-timeout=300ms"]);
    let mut browser = world.browser();
    assert_eq!(browser.get("/oauth2/auth").status, 401);
    browser.sign_in("/");
    assert_eq!(browser.get("/oauth2/auth").status, 503);
    assert_eq!(browser.get("/").status, 503);
    assert!(world.proxy.admin_get("/ready").1.contains("(unix socket /nonexistent/opa.sock)"));
}
