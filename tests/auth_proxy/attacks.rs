//! What somebody might try: forged answers, forged headers, other paths, other targets.

use serde_json::json;
use test_kit::OpenId;

use crate::browser::{Browser, World, encoded};

#[test]
fn an_answer_to_another_login_is_refused() {
    let world = World::new(&[]);
    let (mut victim, mut attacker) = (world.browser(), world.browser());
    let of_attacker = attacker.begin("/");
    let of_victim = victim.begin("/");
    // Login CSRF: the attacker's answer in the victim's browser.
    assert_eq!(victim.get(&of_attacker).status, 403);
    let parameter = |text: &str, name: &str| {
        let rest = &text[text.find(&format!("{name}=")).unwrap() + name.len() + 1..];
        rest.split('&').next().unwrap().to_owned()
    };
    let (state, code) = (parameter(&of_victim, "state"), parameter(&of_attacker, "code"));
    let issuer = world.provider.issuer();
    for answer in [
        String::new(),
        format!("?code={code}"),
        format!("?state={state}&iss={issuer}"),
        // The attacker's code under the victim's state: the proof key is another.
        format!("?code={code}&state={state}&iss={issuer}"),
    ] {
        assert_ne!(victim.get(&format!("/oauth2/callback{answer}")).status, 302, "{answer}");
    }
    assert_eq!(victim.get("/").status, 403);
    assert!(world.app.requests().is_empty());
}

#[test]
fn an_answer_is_good_once_and_from_its_issuer_only() {
    let world = World::new(&[]);
    let mut browser = world.browser();
    for swap in ["http://evil.example", ""] {
        let callback = browser.begin("/");
        let (front, _) = callback.split_once("&iss=").unwrap();
        let mixed = if swap.is_empty() { front.to_owned() } else { format!("{front}&iss={swap}") };
        assert_eq!(browser.get(&mixed).status, 403, "{mixed}");
        assert_eq!(browser.get(&callback).status, 403, "the login is over");
    }
    let callback = browser.begin("/");
    assert_eq!(browser.get(&callback).status, 302);
    assert_eq!(browser.clone().get(&callback).status, 403, "replayed");
}

#[test]
fn tokens_that_are_not_the_answer_are_refused() {
    for (name, value, why) in [
        ("iss", json!("https://evil.example"), "issuer"),
        ("aud", json!("another"), "meant for another"),
        ("exp", json!(1), "ExpiredSignature"),
        ("azp", json!("another"), "azp"),
        ("sub", json!(""), "about nobody"),
        ("email_verified", json!(false), "not verified"),
        ("at_hash", json!("AAAA"), "at_hash"),
    ] {
        let world = World::new(&[]);
        world.provider.say(name, value);
        let mut browser = world.browser();
        let callback = browser.begin("/");
        assert_eq!(browser.get(&callback).status, 403, "{name}");
        world.proxy.wait_log(|line| line.message() == "not signed in" && line.field("why").contains(why));
        assert_eq!(browser.get("/").status, 403);
    }
    let world = World::new(&[]);
    world.provider.say_nonce(Some("of another login"));
    let mut browser = world.browser();
    let callback = browser.begin("/");
    assert_eq!(browser.get(&callback).status, 403, "nonce");
}

#[test]
fn nobody_but_us_says_who_somebody_is() {
    let world = World::new(&["--skip-auth-route=^/public"]);
    let mut browser = world.browser();
    let forged = [
        ("Accept", "text/html"),
        ("X-Forwarded-User", "root"),
        ("X_Forwarded_Email", "root@mycompany.com"),
        ("x-forwarded_groups", "admins"),
        ("X-Auth-Request-User", "root"),
        ("X_Auth_Request_Email", "root"),
        ("X-Forwarded-Access-Token", "t"),
        ("X-Forwarded-Preferred-Username", "root"),
        ("X-Forwarded-For", "10.9.9.9"),
        ("X-Forwarded-Host", "evil.example"),
    ];
    assert_eq!(browser.ask("GET", "/public/x", &forged).status, 200);
    let is_clean = |request: &test_kit::Request| {
        request
            .headers
            .iter()
            .all(|(name, value)| !value.contains("root") && !value.contains("admins") && !(name.contains("token")))
    };
    assert!(is_clean(&world.seen()), "{:?}", world.seen());
    assert_eq!(world.seen().header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(world.seen().header("x-forwarded-host").is_none_or(|host| host.starts_with("127.0.0.1")));
    browser.sign_in("/");
    browser.ask("GET", "/", &[&forged[..], &[("Connection", "close, X-Forwarded-Email")]].concat());
    let seen = world.seen();
    assert!(is_clean(&seen), "{seen:?}");
    assert_eq!(seen.header("x-forwarded-email"), Some("alice@mycompany.com"));
    assert_eq!(seen.headers.iter().filter(|(name, _)| name == "x-forwarded-user").count(), 1);
}

#[test]
fn an_authorization_that_an_app_believes_is_ours() {
    let world = World::new(&["--pass-authorization-header", "--session-cookie-minimal", "--skip-auth-route=^/public"]);
    let mut browser = world.browser();
    browser.sign_in("/");
    for path in ["/", "/public"] {
        browser.ask("GET", path, &[("Authorization", "Bearer of.my.own"), ("Accept", "text/html")]);
        let seen = world.seen();
        assert_eq!(seen.path, path);
        assert!(seen.header("authorization").is_none_or(|value| !value.contains("my.own")), "{seen:?}");
    }
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_not_let_in_by_a_rule() {
    let world = World::new(&["--skip-auth-route=GET=^/public/", "--skip-auth-route=^/health$"]);
    let mut browser = world.browser();
    for path in ["/public/a", "/public/a%20b", "/health", "/health?x=/secret"] {
        assert_eq!(browser.get(path).status, 200, "{path}");
    }
    let before = world.app.requests().len();
    for path in [
        "/public/../secret",
        "/public/%2e%2e/secret",
        "/public/..%2fsecret",
        "/public/..;/secret",
        "/public//secret",
        "/public/%5c..%5csecret",
        "/public/a%23/../../secret",
        "/public/%252e%252e/secret",
        "/public/a%00",
        "/public/a%3fb",
        "/secret?x=/public/",
        "/secret?/health",
        "/Public/a",
        "/healthz",
    ] {
        let status = browser.get(path).status;
        assert!(matches!(status, 403 | 400), "{path}: {status}");
    }
    assert_eq!(browser.ask("POST", "/public/a", &[]).status, 403, "the rule is for GET");
    assert_eq!(browser.ask("GET", "/", &[("X-Forwarded-Uri", "/public/a"), ("X-Original-URL", "/health")]).status, 403);
    assert_eq!(world.app.requests().len(), before, "the app saw none of it");
}

#[test]
fn a_login_ends_nowhere_else() {
    let world = World::new(&["--whitelist-domain=.friend.example"]);
    let mut browser = world.browser();
    for (target, ends) in [
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/%09/evil.example", "/%09/evil.example"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("https://evilfriend.example/", "/"),
        ("https://a.friend.example/x", "https://a.friend.example/x"),
        ("/oauth2/sign_out", "/"),
        ("/ok?next=//x", "/ok?next=//x"),
    ] {
        assert_eq!(browser.sign_in(target), ends, "{target:?}");
        assert_eq!(
            browser.get(&format!("/oauth2/sign_out?rd={}", encoded(target))).header("location"),
            Some(ends),
            "{target:?}"
        );
    }
}

#[test]
fn cookies_of_our_own_making_cannot_be_made_by_others() {
    let (world, other) = (World::new(&[]), World::new(&["--cookie-name=other"]));
    let mut browser = world.browser();
    browser.sign_in("/");
    let good = browser.cookies["_oauth2_proxy"].clone();
    let mut elsewhere = other.browser();
    elsewhere.sign_in("/");
    let callback = elsewhere.begin("/");
    assert!(callback.contains("state="));
    let login = elsewhere.cookies.iter().find(|(name, _)| name.contains("csrf")).unwrap().1.clone();
    let mut changed = good.clone().into_bytes();
    changed[40] ^= 1;
    let moved = elsewhere.cookies["other"].clone();
    for value in [
        String::from_utf8_lossy(&changed).into_owned(),
        good[..good.len() - 4].into(),
        login,
        moved,
        "x".into(),
        String::new(),
    ] {
        browser.cookies.insert("_oauth2_proxy".into(), value.clone());
        assert_eq!(browser.get("/").status, 403, "{value}");
    }
    browser.cookies.insert("_oauth2_proxy".into(), good);
    assert_eq!(browser.get("/").status, 200);
}

#[test]
fn a_key_that_was_changed_is_found_at_once() {
    let world = World::new(&["--skip-jwt-bearer-tokens"]);
    let mut browser = world.browser();
    assert_eq!(with_token(&mut browser, &world.provider), 200);
    world.provider.rotate_key();
    assert_eq!(with_token(&mut browser, &world.provider), 200);
    browser.sign_in("/");
    assert_eq!(world.provider.asked("/jwks"), 2);
}

#[test]
fn tokens_of_strangers_cause_no_flood_at_the_provider() {
    let world = World::new(&["--skip-jwt-bearer-tokens"]);
    let mut browser = world.browser();
    let stranger = OpenId::start();
    for _ in 0..20 {
        stranger.rotate_key();
        assert_eq!(with_token(&mut browser, &stranger), 401);
    }
    assert_eq!(world.provider.asked("/jwks"), 2);
    assert_eq!(with_token(&mut browser, &world.provider), 200);
}

/// A token that says it is of the world's provider, signed by this one.
fn with_token(browser: &mut Browser, signer: &OpenId) -> u16 {
    let token = format!("Bearer {}", signer.token(&json!({})));
    browser.ask("GET", "/", &[("Authorization", &token), ("Accept", "application/json")]).status
}
