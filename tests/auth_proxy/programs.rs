//! Callers that are no people: APIs, tokens, passwords, and proxies that ask.

use serde_json::json;
use test_kit::{HookServer, PATIENCE, Sidecar, TempDir, eventually, http};

use crate::browser::World;

#[test]
fn programs_get_401_and_never_a_redirect() {
    let world = World::new(&["--skip-provider-button", "--api-route=^/api/", "--skip-auth-preflight"]);
    let mut browser = world.browser();
    assert_eq!(browser.get("/").status, 302, "people are sent to the provider");
    for headers in [
        [("Accept", "application/json"), ("A", "b")],
        [("X-Requested-With", "XMLHttpRequest"), ("Accept", "*/*")],
        [("Sec-Fetch-Mode", "cors"), ("Accept", "*/*")],
    ] {
        let answer = browser.ask("GET", "/", &headers);
        assert_eq!((answer.status, answer.header("location")), (401, None), "{headers:?}");
    }
    assert_eq!(browser.get("/api/x").status, 401);
    assert_eq!(browser.ask("OPTIONS", "/api/x", &[]).status, 200);
}

#[test]
fn a_token_of_the_provider_lets_in_and_every_other_does_not() {
    let world =
        World::new(&["--skip-jwt-bearer-tokens", "--pass-authorization-header", "--bearer-token-login-fallback=false"]);
    let mut browser = world.browser();
    let mut ask = |token: &str| {
        let header = format!("Bearer {token}");
        browser.ask("GET", "/", &[("Authorization", &header)]).status
    };
    let good = world.provider.token(&json!({}));
    assert_eq!(ask(&good), 200);
    assert_eq!(world.seen().header("authorization"), Some(&*format!("Bearer {good}")));
    assert_eq!(world.seen().header("x-forwarded-email"), Some("alice@mycompany.com"));
    for (name, value) in [
        ("aud", json!("another")),
        ("iss", json!("https://evil.example")),
        ("exp", json!(1)),
        ("exp", json!(null)),
        ("email", json!("alice@evil.example")),
        ("email", json!("a@evil.example@mycompany.com")),
        ("email_verified", json!(false)),
        ("nbf", json!(99_999_999_999_u64)),
        ("sub", json!(null)),
    ] {
        assert_eq!(ask(&world.provider.token(&json!({ name: value }))), 403, "{name}: {value}");
    }
    let parts: Vec<_> = good.split('.').collect();
    for token in [format!("{}.{}.", parts[0], parts[1]), "eyJhbGciOiJub25lIn0.e30.".into(), "x".into(), String::new()] {
        assert_eq!(ask(&token), 403, "{token}");
    }
}

#[test]
fn a_proxy_that_asks_gets_202_401_or_403() {
    let world = World::new(&["--set-xauthrequest"]);
    let mut browser = world.browser();
    assert_eq!(browser.get("/oauth2/auth").status, 401);
    browser.sign_in("/");
    let answer = browser.get("/oauth2/auth");
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("x-auth-request-email"), Some("alice@mycompany.com"));
    assert_eq!(answer.header("x-auth-request-groups"), Some("staff,dev"));
    for (query, status) in [
        ("allowed_groups=dev", 202),
        ("allowed_groups=x,dev", 202),
        ("allowed_groups=x", 403),
        ("allowed_emails=Alice@mycompany.com", 202),
        ("allowed_emails=b@mycompany.com", 403),
        ("allowed_email_domains=mycompany.com", 202),
        ("allowed_email_domains=evil.com", 403),
        ("allowed_groups=dev&allowed_emails=b@mycompany.com", 403),
    ] {
        assert_eq!(browser.get(&format!("/oauth2/auth?{query}")).status, status, "{query}");
    }
    assert!(world.app.requests().is_empty());
}

const RIGHT: &str = "Basic c2hhOnNlY3JldCB3b3Jk";
const WRONG: &str = "Basic c2hhOnNlY3JldA==";

#[test]
fn passwords_let_in_and_a_guesser_is_locked_out() {
    let dir = TempDir::new();
    let users = dir.put("users", "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n");
    let app = HookServer::start();
    let upstream = format!("http://{}", app.addr());
    let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
        .args(["--listen", "127.0.0.1:0", "--upstream", &upstream, "--passwords", &users])
        .spawn();
    let addr = ([127, 0, 0, 1], proxy.port_of("proxy")).into();
    let ask = |proof: &str| http::request(addr, "GET", "/", &[("Authorization", proof)], "").unwrap();
    let nobody = http::get(addr, "/").unwrap();
    assert_eq!(nobody.status, 401);
    assert!(nobody.header("www-authenticate").unwrap().starts_with("Basic realm="));
    assert_eq!(ask(RIGHT).status, 200);
    let seen = app.wait_requests(1).pop().unwrap();
    assert_eq!((seen.header("x-forwarded-user"), seen.header("authorization")), (Some("sha"), None));
    for _ in 0..5 {
        assert_eq!(ask(WRONG).status, 401);
    }
    assert_eq!(ask(WRONG).status, 429);
    assert_eq!(ask(RIGHT).status, 200, "whoever proved it before is still remembered");
    assert_eq!(http::get(addr, "/ping").unwrap().body, "OK");
}

#[test]
fn without_a_file_of_users_nobody_is_let_in() {
    let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
        .args(["--listen", "127.0.0.1:0", "--passwords", "/nonexistent/users"])
        .spawn();
    let addr = ([127, 0, 0, 1], proxy.port_of("proxy")).into();
    let answer = http::request(addr, "GET", "/", &[("Authorization", RIGHT)], "").unwrap();
    assert_eq!(answer.status, 403);
    proxy.wait_message("nobody of this file is let in");
}

#[test]
fn a_session_by_password_ends_with_its_user() {
    let dir = TempDir::new();
    let users = dir.put("users", "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n");
    let world = World::new(&[&format!("--htpasswd-file={users}"), "--htpasswd-user-group=locals"]);
    let mut browser = world.browser();
    assert!(browser.get("/").body.contains("<form method=\"post\" action=\"/oauth2/sign_in\">"));
    assert_eq!(browser.get("/oauth2/basic?rd=/x").status, 401);
    let answer = browser.ask("GET", "/oauth2/basic?rd=/x", &[("Authorization", RIGHT)]);
    assert_eq!((answer.status, answer.header("location")), (302, Some("/x")));
    assert_eq!(browser.get("/x").status, 200);
    let seen = world.seen();
    assert_eq!((seen.header("x-forwarded-user"), seen.header("x-forwarded-groups")), (Some("sha"), Some("locals")));
    let mut other = browser.clone();
    dir.put("users", "sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    assert!(eventually(PATIENCE, || other.get("/x").status == 403), "another password is the end of it as well");
    dir.put("users", "another:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n");
    assert!(eventually(PATIENCE, || browser.get("/x").status == 403));
}
