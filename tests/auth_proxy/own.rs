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

#[test]
fn what_a_provider_does_not_say_of_itself_is_in_the_file() {
    let dir = TempDir::new();
    let text = "
listen: 127.0.0.1:0
cookie: {secret_files: ['{dir}/cookie-secret'], domains: [127.0.0.1], insecure: true, name: s}
providers:
  - issuer: '{issuer}'
    client_id: app
    client_secret_file: '{dir}/client-secret'
    parameters: {prompt: login, ui_locales: de}
    algorithms: [ES256]
    endpoints: {discover: false, authorization: '{issuer}/authorize', token: '{issuer}/token', keys: '{issuer}/jwks',
                end_session: '{issuer}/other-end'}
allow: {domains: [mycompany.com]}
sign_out: {at_provider: true, redirect_url: https://app.example/bye}
upstreams: [{to: '{app}'}]
";
    let world = World::of_file(&dir, text);
    let mut browser = world.browser();
    let start = browser.get("/oauth2/start?rd=/x");
    let location = start.header("location").unwrap();
    assert!(location.contains("prompt=login") && location.contains("ui_locales=de"), "{location}");
    assert!(browser.set[0].contains("; Domain=127.0.0.1;"), "{:?}", browser.set);
    let callback = at_provider(location);
    let failed = browser.clone().get(&callback.replace("?code=", "?error=access_denied&x="));
    assert!(
        failed.body.contains("/oauth2/sign_in?rd=%2Fx"),
        "the next try leads to where this one should: {}",
        failed.body
    );
    assert_eq!(browser.get(&callback).header("location"), Some("/x"), "who we are is said in either way");
    let out = browser.get("/oauth2/sign_out").header("location").unwrap().to_owned();
    assert!(out.contains("/other-end?") && out.contains("redirect_uri=https%3A%2F%2Fapp.example%2Fbye"), "{out}");
    assert_eq!(world.provider.asked("/.well-known/openid-configuration"), 0);
}

#[test]
fn cookies_that_browsers_would_drop_and_other_slips_are_refused() {
    let dir = TempDir::new();
    let file = dir.put(
        "config.yaml",
        "cookie: {name: __Host-x, domains: ['a b'], same_site: none, insecure: true, secret_files: []}\n\
         sessions: {redis: 'redis://:topsecret@host'}\nsign_out: {page: maybe}\n\
         providers: [{kind: gitea, client_id: x, name: 'a/b'}, {kind: nobody, client_id: x}]\n\
         pages: {logo: /nowhere.png}\nupstreams: [{to: 'http://x'}]\n",
    );
    let output =
        test_kit::Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &file, "--check-config"]).run();
    assert_eq!(output.code, 78);
    for text in [
        "domains \"a b\": expected a domain",
        "__Host- asks for no domains",
        "browsers drop none with insecure",
        "expected password_file and no password in an address",
        "providers[0]: expected the address of the server",
        "providers[0]: name: expected letters",
        "\"nobody\": expected openid, adfs",
        "logo: ",
        "secret_files in cookie, the same for all replicas",
    ] {
        assert!(output.stderr.contains(text), "{text}:\n{}", output.stderr);
    }
    assert!(!output.stderr.contains("topsecret"));
}
