//! Our own file: several providers, rules for single routes, networks.

use serde_json::json;
use test_kit::TempDir;

use crate::browser::{World, at_provider};

const FILE: &str = "
listen: 127.0.0.1:0
cookie: {secret_files: ['{dir}/cookie-secret'], insecure: true}
redirect_url: http://127.0.0.1/oauth2/callback
providers:
  - {name: company, title: The Company, issuer: '{issuer}', client_id: app, client_secret_file: '{dir}/client-secret'}
  - {name: partner, title: A Partner, issuer: 'http://127.0.0.1:9', client_id: app}
allow:
  domains: [mycompany.com]
  routes: [{path: ^/admin(/|$), groups: [admins]}]
bypass: {paths: [^/health$], api: [^/api/]}
upstreams: [{to: '{app}'}]
";

#[test]
fn one_of_several_providers_is_chosen_and_another_that_is_down_is_in_nobodys_way() {
    let dir = TempDir::new();
    let world = World::of_file(&dir, FILE);
    let mut browser = world.browser();
    let page = browser.get("/x");
    assert!(page.body.contains("The Company") && page.body.contains("A Partner"), "{}", page.body);
    assert_eq!(browser.get("/oauth2/start?provider=partner").status, 503);
    assert_eq!(browser.get("/oauth2/start?provider=nobody").status, 404);
    let start = browser.get("/oauth2/start?provider=company&rd=/x");
    let callback = at_provider(start.header("location").unwrap());
    assert_eq!(browser.get(&callback).header("location"), Some("/x"));
    assert_eq!(browser.get("/x").status, 200);
    assert!(!browser.set.iter().any(|line| line.contains("Secure")), "{:?}", browser.set);
}

#[test]
fn a_route_asks_for_more_and_has_no_second_spelling() {
    let dir = TempDir::new();
    let world = World::of_file(&dir, FILE);
    let mut browser = world.browser();
    browser.sign_in("/");
    assert_eq!(browser.get("/").status, 200);
    let before = world.app.requests().len();
    for path in [
        "/admin",
        "/admin/x",
        "/x/../admin",
        "//admin",
        "/%61dmin",
        "/x/..%2fadmin",
        "/./admin",
        "/admin;x/y",
        "/admin%2fx",
    ] {
        let status = browser.get(path).status;
        assert!(matches!(status, 403 | 400), "{path}: {status}");
    }
    assert_eq!(world.app.requests().len(), before);
    world.provider.say("groups", json!(["admins"]));
    browser.sign_in("/");
    assert_eq!(browser.get("/admin/x").status, 200);
    assert_eq!(browser.get("/%61dmin").status, 200, "the same path, spelled otherwise");
}

#[test]
fn what_is_wrong_with_the_file_is_said_with_its_lines() {
    let dir = TempDir::new();
    let file =
        dir.put("config.yaml", "listen: nowhere:x\nproviders: [{issuer: i}]\nupstreams: [{to: ftp://x, pth: /}]\n");
    let output =
        test_kit::Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &file, "--check-config"]).run();
    assert_eq!(output.code, 78);
    for text in [
        "config.yaml:1: listen",
        "client_id: required",
        "allow: expected domains or emails",
        "secret_files",
        "expected http://host:port",
        "pth",
    ] {
        assert!(output.stderr.contains(text), "{text}:\n{}", output.stderr);
    }
}
