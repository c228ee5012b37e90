//! People who sign in: from the page to the app and out again.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use test_kit::{OpenId, PATIENCE, Reply, TempDir, eventually};

use crate::browser::{Browser, World};

#[test]
fn a_login_ends_where_it_began_and_the_app_is_told_who_it_is() {
    let world = World::new(&["--pass-access-token"]);
    let mut browser = world.browser();
    let page = browser.get("/deep/link?x=1&y=a%2Fb");
    assert_eq!(page.status, 403);
    assert!(page.body.contains("/oauth2/start?rd=%2Fdeep%2Flink%3Fx%3D1%26y%3Da%252Fb"), "{}", page.body);
    assert_eq!(browser.sign_in("/deep/link?x=1&y=a%2Fb"), "/deep/link?x=1&y=a%2Fb");
    browser.cookies.insert("own".into(), "of the app".into());
    assert_eq!(browser.get("/deep/link?x=1&y=a%2Fb").status, 200);
    let seen = world.seen();
    assert_eq!(seen.path, "/deep/link?x=1&y=a%2Fb");
    assert_eq!(seen.header("x-forwarded-user"), Some("alice-id"));
    assert_eq!(seen.header("x-forwarded-email"), Some("alice@mycompany.com"));
    assert_eq!(seen.header("x-forwarded-groups"), Some("staff,dev"));
    assert_eq!(seen.header("x-forwarded-preferred-username"), Some("alice"));
    assert!(seen.header("x-forwarded-access-token").unwrap().starts_with("access-"));
    assert_eq!(seen.header("cookie"), Some("own=of the app"), "ours are not for the app");
    let info = browser.get("/oauth2/userinfo");
    assert!(info.body.contains("\"email\":\"alice@mycompany.com\"") && !info.body.contains("access-"), "{}", info.body);
    assert!(!world.proxy.stderr().contains("access-") && !world.proxy.stderr().contains(OpenId::SECRET));
}

#[test]
fn cookies_have_the_attributes_that_were_asked_for() {
    let world = World::new(&["--cookie-name=__Host-s", "--cookie-samesite=strict"]);
    let mut browser = world.browser();
    let callback = browser.begin("/");
    assert!(browser.set[0].ends_with("; Max-Age=900; HttpOnly; Secure; SameSite=Lax"), "{:?}", browser.set);
    browser.get(&callback);
    let session = browser.set.iter().find(|line| line.starts_with("__Host-s=")).unwrap();
    assert!(session.contains("; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict"), "{session}");
    assert!(browser.set.iter().any(|line| line.starts_with("__Host-s_csrf_") && line.contains("Max-Age=0")));
}

#[test]
fn several_tabs_sign_in_at_the_same_time() {
    let world = World::new(&[]);
    let mut browser = world.browser();
    let tabs: Vec<_> = ["/one", "/two", "/three"].iter().map(|target| (*target, browser.begin(target))).collect();
    for (target, callback) in tabs.into_iter().rev() {
        assert_eq!(browser.get(&callback).header("location"), Some(target));
    }
    for _ in 0..20 {
        browser.begin("/");
    }
    assert!(browser.cookies.len() <= 9, "{:?}", browser.cookies.keys());
}

#[test]
fn a_session_that_is_too_large_for_one_cookie_is_in_several() {
    let world = World::new(&[]);
    world.provider.say("groups", json!((0..400).map(|n| format!("group-{n}")).collect::<Vec<_>>()));
    let mut browser = world.browser();
    browser.sign_in("/");
    assert!(browser.cookies.len() > 2 && browser.set.iter().all(|line| line.len() < 4096));
    assert_eq!(browser.get("/").status, 200);
    assert!(world.seen().header("x-forwarded-groups").unwrap().ends_with("group-399"));
    assert_eq!(world.seen().header("cookie"), None);
    browser.get("/oauth2/sign_out");
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies.keys());
}

#[test]
fn whoever_does_not_belong_is_told_so_and_gets_no_session() {
    let world = World::new(&["--allowed-group=admins"]);
    let mut browser = world.browser();
    let callback = browser.begin("/");
    let page = browser.get(&callback);
    assert_eq!(page.status, 403);
    assert!(page.body.contains("alice@mycompany.com may not sign in here") && browser.cookies.is_empty());
    world.provider.say("groups", json!(["admins"]));
    browser.sign_in("/");
    assert_eq!(browser.get("/").status, 200);
}

#[test]
fn parallel_requests_refresh_once_and_all_get_through() {
    let world = World::new(&[]);
    world.provider.expire_in(0);
    let mut browser = world.browser();
    browser.sign_in("/");
    world.provider.expire_in(3600);
    world.provider.delay(Duration::from_millis(300));
    let before = world.provider.asked("/token");
    let browsers: Vec<_> = (0..8).map(|_| browser.clone()).collect();
    let asked: Vec<_> =
        browsers.into_iter().map(|mut browser| thread::spawn(move || (browser.get("/").status, browser))).collect();
    let done: Vec<_> = asked.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(done.iter().all(|(status, _)| *status == 200));
    assert_eq!(world.provider.asked("/token"), before + 1, "a rotated token is good once");
    let (_, mut browser) = done.into_iter().next_back().unwrap();
    assert_eq!(browser.get("/").status, 200);
    assert_eq!(world.provider.asked("/token"), before + 1, "the new session is in the browser");
}

#[test]
fn a_session_ends_when_the_provider_refuses_to_refresh_it() {
    let world = World::new(&[]);
    world.provider.expire_in(0);
    let mut browser = world.browser();
    browser.sign_in("/");
    world.provider.refuse_refresh();
    assert_eq!(browser.get("/").status, 403);
    assert_eq!(world.proxy.metric("auth_proxy_refreshes_total{outcome=\"ended\"}"), Some(1.0));
}

#[test]
fn a_cookie_that_was_copied_is_of_no_use_after_signing_out() {
    let world = World::new(&[]);
    let mut browser = world.browser();
    browser.sign_in("/");
    let mut thief = browser.clone();
    assert_eq!(thief.get("/").status, 200);
    assert_eq!(browser.get("/oauth2/sign_out?rd=/bye").header("location"), Some("/bye"));
    assert!(browser.cookies.is_empty());
    assert_eq!(thief.get("/").status, 403);
}

#[test]
fn a_provider_that_is_down_keeps_nobody_from_starting_and_is_found_when_it_is_back() {
    let provider = OpenId::start();
    provider.set_down(true);
    let world = World::with(provider, &[]);
    let mut browser = world.browser();
    assert_eq!(browser.get("/ready").status, 200);
    assert_eq!(browser.get("/oauth2/start").status, 503);
    world.provider.set_down(false);
    assert!(eventually(PATIENCE, || browser.get("/oauth2/start").status == 302));
}

#[test]
fn a_cookie_secret_is_replaced_and_nobody_has_to_sign_in_again() {
    let (old, new) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
    let dir = TempDir::new();
    let file = format!("--cookie-secret-file={}", dir.put("secret", old));
    let world = World::new(&[&file]);
    let mut browser = world.browser();
    browser.sign_in("/");
    // The new one first; sessions of the old one are good as long as it is in the file.
    dir.put("secret", format!("{new}\n{old}\n"));
    let reloaded = world.replica(&[&file]);
    assert_eq!(browser.at(&reloaded).get("/").status, 200);
    let mut fresh = Browser::new(&reloaded);
    fresh.sign_in("/");
    dir.put("secret", new);
    let later = world.replica(&[&file]);
    assert_eq!((fresh.at(&later).get("/").status, browser.at(&later).get("/").status), (200, 403));
}

#[test]
fn the_domain_of_cookies_is_the_longest_that_fits_the_host() {
    let world =
        World::new(&["--cookie-domain=.example.org,app.example.org", "--cookie-path=/oauth2", "--reverse-proxy"]);
    for (host, domain) in [
        ("app.example.org", Some("app.example.org")),
        ("x.example.org:80", Some("example.org")),
        ("evilexample.org", None),
    ] {
        let answer = world.browser().ask("GET", "/oauth2/start", &[("X-Forwarded-Host", host)]);
        let line = answer.header("set-cookie").unwrap();
        let said = line.split("; Domain=").nth(1).map(|rest| rest.split(';').next().unwrap());
        assert!(said == domain && line.contains("; Path=/oauth2;"), "{line}");
    }
}

#[test]
fn clients_are_told_who_they_are_where_that_was_asked_for() {
    let flags = ["--set-xauthrequest", "--pass-access-token", "--set-basic-auth", "--basic-auth-password=shared"];
    let world = World::new(&flags);
    world.app.answer([Reply::Header(200, "X-Auth-Request-User", "somebody else".into())]);
    let mut browser = world.browser();
    browser.sign_in("/");
    let answer = browser.get("/");
    let users: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-auth-request-user").collect();
    assert_eq!(users.len(), 1, "{users:?}");
    for (name, value) in [
        ("x-auth-request-user", "alice-id"),
        ("x-auth-request-email", "alice@mycompany.com"),
        ("x-auth-request-preferred-username", "alice"),
        ("x-auth-request-groups", "staff,dev"),
        ("authorization", "Basic YWxpY2UtaWQ6c2hhcmVk"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert!(answer.header("x-auth-request-access-token").unwrap().starts_with("access-"));
    let world = World::new(&[]);
    let mut browser = world.browser();
    browser.sign_in("/");
    assert!(browser.get("/").headers.iter().all(|(name, _)| !name.starts_with("x-auth-request")));
}

#[test]
fn a_provider_that_hangs_holds_nobody_up_who_can_go_on() {
    let world = World::new(&["--cookie-refresh=1s"]);
    let (mut alice, mut other) = (world.browser(), world.browser());
    alice.sign_in("/");
    world.provider.delay(Duration::from_secs(4));
    let before = world.provider.asked("/token");
    // Who finds that the session is due waits for the provider.
    let mut first = alice.clone();
    let asked = thread::spawn(move || {
        eventually(PATIENCE, || {
            let began = Instant::now();
            first.get("/").status == 200 && began.elapsed() > Duration::from_secs(3)
        })
    });
    assert!(eventually(PATIENCE, || world.provider.asked("/token") > before));
    let began = Instant::now();
    assert_eq!(alice.get("/oauth2/userinfo").status, 200);
    assert_eq!(other.get("/").status, 403);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(asked.join().unwrap());
}

#[test]
fn a_minimal_cookie_has_no_tokens_that_nobody_needs() {
    let length = |flags: &[&str]| {
        let world = World::new(flags);
        let mut browser = world.browser();
        browser.sign_in("/");
        assert_eq!(browser.get("/").status, 200);
        browser.cookies.values().map(String::len).sum::<usize>()
    };
    assert!(length(&["--session-cookie-minimal"]) + 300 < length(&[]));
}
