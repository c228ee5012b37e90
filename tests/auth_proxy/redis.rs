//! Sessions in Redis: shared by replicas, ended everywhere, and closed where Redis is gone. The same stories are told with a
//! real server behind the feature `real-servers`.

use std::thread;

use serde_json::json;
use test_kit::{PATIENCE, Redis, Sidecar, eventually};

use crate::{
    browser::{Browser, World},
    logout::announced,
};

const PASSWORD: &str = "open sesame";

fn flags(url: &str) -> Vec<String> {
    vec![
        "--session-store-type=redis".into(),
        format!("--redis-connection-url={url}"),
        format!("--redis-password={PASSWORD}"),
    ]
}

fn words(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

fn double() -> (Redis, Vec<String>) {
    let redis = Redis::with_password(PASSWORD);
    let flags = flags(&format!("redis://{}/1", redis.addr()));
    (redis, flags)
}

fn two(flags: &[String]) -> (World, Sidecar) {
    let world = World::new(&words(flags));
    let other = world.replica(&words(flags));
    (world, other)
}

pub(crate) fn replicas_share_sessions_and_signing_out_ends_them_everywhere(flags: &[String]) {
    let (world, other) = two(flags);
    world.provider.say("groups", json!((0..400).map(|n| format!("group-{n}")).collect::<Vec<_>>()));
    let mut browser = world.browser();
    browser.sign_in("/");
    assert!(browser.cookies.values().map(String::len).sum::<usize>() < 200, "a ticket and nothing else");
    let (mut there, mut thief) = (browser.at(&other), browser.clone());
    assert_eq!(there.get("/").status, 200);
    assert!(world.seen().header("x-forwarded-groups").unwrap().ends_with("group-399"));
    assert_eq!(there.get("/oauth2/sign_out?rd=/bye").header("location"), Some("/bye"));
    assert_eq!((thief.get("/").status, browser.get("/").status), (403, 403));
    // Another login is another session, and the one before is of no use any more.
    browser.sign_in("/");
    let mut before = browser.clone();
    browser.sign_in("/");
    assert_eq!((before.get("/").status, browser.get("/").status), (403, 200));
}

pub(crate) fn replicas_refresh_a_session_once(flags: &[String]) {
    let (world, other) = two(flags);
    world.provider.expire_in(0);
    let mut browser = world.browser();
    browser.sign_in("/");
    world.provider.expire_in(3600);
    world.provider.delay(std::time::Duration::from_millis(300));
    let before = world.provider.asked("/token");
    let browsers: Vec<Browser> =
        (0..8).map(|n| if n % 2 == 0 { browser.clone() } else { browser.at(&other) }).collect();
    let asked: Vec<_> = browsers.into_iter().map(|mut one| thread::spawn(move || one.get("/").status)).collect();
    assert!(asked.into_iter().all(|one| one.join().unwrap() == 200));
    assert_eq!(world.provider.asked("/token"), before + 1, "a rotated token is good once");
    assert_eq!(browser.get("/").status, 200, "with the ticket that it had");
    assert_eq!(world.provider.asked("/token"), before + 1);
}

pub(crate) fn a_provider_ends_sessions_on_all_replicas(flags: &[String]) {
    let (world, other) = two(flags);
    world.provider.say("sid", json!("one"));
    let mut first = world.browser();
    first.sign_in("/");
    world.provider.say("sid", json!("two"));
    let mut second = world.browser();
    second.sign_in("/");
    let token = announced(&world, &json!({"sid": "one", "sub": null}));
    assert_eq!(first.at(&other).post("/oauth2/backchannel_logout", &[], &[("logout_token", &token)]).status, 200);
    assert_eq!((first.get("/").status, second.get("/").status), (403, 200));
    // Heard by one is heard by all.
    assert_eq!(first.post("/oauth2/backchannel_logout", &[], &[("logout_token", &token)]).status, 400);
    let token = announced(&world, &json!({"sid": null, "jti": "another"}));
    assert_eq!(second.post("/oauth2/backchannel_logout", &[], &[("logout_token", &token)]).status, 200);
    assert_eq!(second.at(&other).get("/").status, 403);
    second.sign_in("/");
    assert_eq!(second.get("/").status, 200);
}

#[test]
fn sessions_in_redis_are_shared_by_replicas_and_ended_everywhere() {
    let (_redis, flags) = double();
    replicas_share_sessions_and_signing_out_ends_them_everywhere(&flags);
}

#[test]
fn replicas_with_redis_refresh_a_session_once() {
    let (_redis, flags) = double();
    replicas_refresh_a_session_once(&flags);
}

#[test]
fn a_provider_ends_sessions_in_redis_on_all_replicas() {
    let (_redis, flags) = double();
    a_provider_ends_sessions_on_all_replicas(&flags);
}

#[test]
fn redis_knows_neither_who_somebody_is_nor_a_ticket() {
    let (redis, flags) = double();
    let world = World::new(&words(&flags));
    let mut browser = world.browser();
    browser.sign_in("/");
    let dump = redis.dump();
    for secret in ["alice", "mycompany", "access-", "refresh-", browser.cookies.values().next().unwrap()] {
        assert!(!dump.contains(secret), "{secret}: {dump}");
    }
    assert!(!world.proxy.stderr().contains(PASSWORD));
}

#[test]
fn without_redis_nobody_is_let_in_and_it_is_found_when_it_is_back() {
    let (redis, flags) = double();
    let world = World::new(&words(&flags));
    let (mut browser, mut stranger) = (world.browser(), world.browser());
    browser.sign_in("/");
    assert_eq!(browser.get("/ready").status, 200);
    let callback = stranger.begin("/");
    redis.set_down(true);
    let page = browser.get("/");
    assert_eq!((page.status, page.header("retry-after")), (503, Some("5")));
    assert!(page.body.contains("Please try again") && !page.body.contains("redis"), "{}", page.body);
    assert_eq!(browser.ask("GET", "/oauth2/auth", &[]).status, 503);
    assert_eq!(browser.clone().get("/oauth2/sign_out").status, 503, "it could not be ended");
    assert_eq!((browser.get("/ready").status, browser.get("/ping").status), (503, 200));
    assert_eq!(stranger.clone().get("/").status, 403, "who has no session is asked to sign in");
    assert_eq!(stranger.get(&callback).status, 503);
    assert!(world.app.requests().is_empty());
    assert!(world.proxy.metric("auth_proxy_store_failures_total").unwrap() >= 1.0);
    redis.set_down(false);
    assert!(eventually(PATIENCE, || browser.get("/").status == 200));
    stranger.sign_in("/");
}

#[test]
fn a_wrong_password_for_redis_lets_nobody_in() {
    let redis = Redis::with_password("another");
    let world = World::new(&words(&flags(&format!("redis://{}", redis.addr()))));
    let mut browser = world.browser();
    assert_eq!(browser.get("/ready").status, 503);
    let callback = browser.begin("/");
    assert_eq!(browser.get(&callback).status, 503);
}

#[test]
fn sentinels_say_where_sessions_are() {
    let (redis, lost) = (Redis::start(), Redis::start());
    lost.set_down(true);
    let sentinel = Redis::sentinel(redis.addr());
    let world = World::new(&[
        "--session-store-type=redis",
        "--redis-use-sentinel=true",
        "--redis-sentinel-master-name=main",
        &format!("--redis-sentinel-connection-urls=redis://{},redis://{}", lost.addr(), sentinel.addr()),
    ]);
    let mut browser = world.browser();
    browser.sign_in("/");
    assert_eq!(browser.get("/").status, 200);
    assert!(redis.asked("SET") == 1 && sentinel.asked("SET") == 0 && sentinel.asked("SENTINEL") >= 1);
}
