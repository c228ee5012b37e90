//! Signing out: at the provider as well, and by the provider's word.

use serde_json::{Value, json};
use test_kit::{HookServer, OpenId, TempDir, http};

use crate::browser::World;

/// A token of the provider that says that somebody has signed out.
pub(crate) fn announced(world: &World, more: &Value) -> String {
    let mut claims = json!({"jti": "j", "nonce": null, "email": null, "sid": "one",
                            "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    world.provider.token(&claims)
}

const FILE: &str = "
listen: 127.0.0.1:0
cookie: {secret_files: ['{dir}/cookie-secret'], insecure: true}
providers:
  - {issuer: '{issuer}', client_id: app, client_secret_file: '{dir}/client-secret'}
allow: {domains: [mycompany.com]}
sign_out: {at_provider: true}
upstreams: [{to: '{app}'}]
";

#[test]
fn who_signs_out_is_sent_to_the_provider_and_back() {
    let dir = TempDir::new();
    let world = World::of_file(&dir, FILE);
    let mut browser = world.browser();
    browser.sign_in("/");
    let answer = browser.get("/oauth2/sign_out?rd=/bye");
    let location = answer.header("location").unwrap();
    assert!(location.starts_with(&format!("{}/end?", world.provider.issuer())), "{location}");
    let back =
        format!("post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%3A{}%2Foauth2%2Fsigned_out", world.addr().port());
    for part in ["client_id=app", "id_token_hint=ey", "state=%2Fbye", &back] {
        assert!(location.contains(part), "{location}: {part}");
    }
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.get("/oauth2/signed_out?state=%2Fbye").header("location"), Some("/bye"));
    for state in ["", "?state=//evil.example", "?state=https://evil.example"] {
        let page = browser.get(&format!("/oauth2/signed_out{state}"));
        assert_eq!((page.status, page.header("location")), (200, None), "{state}");
        assert!(page.body.contains("You are signed out") && page.body.contains("/oauth2/sign_in"), "{}", page.body);
    }
    // Whoever was not signed in stays here.
    assert_eq!(browser.get("/oauth2/sign_out").header("location"), Some("/oauth2/signed_out"));
}

#[test]
fn somebody_else_may_be_told_of_a_sign_out() {
    let told = HookServer::start();
    let url = format!("--backend-logout-url={}", told.url("/logout?hint={id_token}"));
    let world = World::new(&[&url]);
    let mut browser = world.browser();
    browser.sign_in("/");
    assert_eq!(browser.get("/oauth2/sign_out").header("location"), Some("/"));
    assert!(told.wait_requests(1)[0].path.starts_with("/logout?hint=ey"));
    let world = World::new(&["--backend-logout-url=http://127.0.0.1:1/{id_token}"]);
    let mut browser = world.browser();
    browser.sign_in("/");
    assert_eq!(browser.get("/oauth2/sign_out").status, 302, "it does not keep anybody signed in");
    assert_eq!(browser.get("/").status, 403);
}

#[test]
fn a_provider_ends_one_session_or_all_of_somebody() {
    let world = World::new(&[]);
    world.provider.say("sid", json!("one"));
    let mut first = world.browser();
    first.sign_in("/");
    world.provider.say("sid", json!("two"));
    let mut second = world.browser();
    second.sign_in("/");
    let post = |token: &str| {
        let answer = world.browser().post("/oauth2/backchannel_logout", &[], &[("logout_token", token)]);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.status
    };
    let token = announced(&world, &json!({"sub": null}));
    assert_eq!(post(&token), 200);
    assert_eq!((first.get("/").status, second.get("/").status), (403, 200));
    assert_eq!(post(&token), 400, "an announcement is good once");
    assert_eq!(post(&announced(&world, &json!({"sid": null, "jti": "all"}))), 200);
    assert_eq!(second.get("/").status, 403);
    second.sign_in("/");
    assert_eq!(second.get("/").status, 200, "a login after it is good");
    assert_eq!(world.proxy.metric("auth_proxy_provider_logouts_total{outcome=\"good\"}"), Some(2.0));
}

#[test]
fn what_is_no_announcement_of_the_provider_ends_nothing() {
    let world = World::new(&[]);
    world.provider.say("sid", json!("one"));
    let mut browser = world.browser();
    browser.sign_in("/");
    let stranger = OpenId::start();
    let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let post = |form: &[(&str, &str)]| world.browser().post("/oauth2/backchannel_logout", &[], form).status;
    for token in [
        world.provider.token(&json!({})),
        announced(&world, &json!({"nonce": "n"})),
        announced(&world, &json!({"aud": "another"})),
        announced(&world, &json!({"exp": 1})),
        announced(&world, &json!({"jti": null})),
        announced(&world, &json!({"sid": null, "sub": null})),
        stranger.token(&json!({"events": events, "sid": "one", "jti": "x", "iss": world.provider.issuer()})),
        "eyJhbGciOiJub25lIn0.e30.".into(),
        String::new(),
    ] {
        assert_eq!(post(&[("logout_token", &token)]), 400, "{token}");
    }
    let good = announced(&world, &json!({}));
    assert_eq!(post(&[("logout_token", &good), ("logout_token", &good)]), 400);
    assert_eq!(post(&[]), 400);
    assert_eq!(
        http::get(world.addr(), &format!("/oauth2/backchannel_logout?logout_token={good}")).unwrap().status,
        404
    );
    assert_eq!(browser.get("/").status, 200);
    assert_eq!(post(&[("logout_token", &good)]), 200);
    assert_eq!(browser.get("/").status, 403);
}

#[test]
fn a_token_that_ends_sessions_lets_nobody_in() {
    let world = World::new(&["--skip-jwt-bearer-tokens", "--bearer-token-login-fallback=false"]);
    let token = announced(&world, &json!({"email": "alice@mycompany.com"}));
    let header = format!("Bearer {token}");
    assert_eq!(world.browser().ask("GET", "/", &[("Authorization", &header)]).status, 403);
}
