//! Who somebody is: said by us and by nobody else, to apps and to proxies that ask.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use serde_json::json;
use test_kit::Request;

use crate::{
    case::{Case, Outcome, case, holds, unless},
    rig::{Browser, Rig, World},
};

const CLASS: &str = "identity";
/// What an app behind either proxy is told in its requests.
const NAMES: [&str; 5] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
];
/// What other proxies tell it, with the answers to their questions.
const ANSWERED: [&str; 6] = [
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-preferred-username",
    "x-auth-request-access-token",
    "gap-auth",
];

/// What an app that reads `_` as `-` believes, if it is what was forged.
fn believed(request: &Request) -> Option<String> {
    let is_identity = |name: &str| NAMES.iter().chain(&ANSWERED).any(|known| *known == name.replace('_', "-"));
    let found = request.headers.iter().find(|(name, value)| is_identity(name) && value.contains("forged"));
    found.map(|(name, value)| format!("the app got {name}: {value}"))
}

fn sent(world: &World, browser: &mut Browser, path: &str, headers: &[(&str, &str)]) -> Outcome {
    let before = world.app.requests().len();
    browser.ask("GET", path, headers);
    unless(world.app.requests()[before..].iter().find_map(believed))
}

/// Spelled by this function, on a path that needs no login and on one that does.
fn forged(rig: &mut Rig, signed_in: bool, spell: fn(&str) -> String) -> Outcome {
    forged_as(rig, signed_in, &NAMES, spell)
}

fn forged_as(rig: &mut Rig, signed_in: bool, names: &[&str], spell: fn(&str) -> String) -> Outcome {
    let world = rig.world();
    let mut browser = world.browser();
    if signed_in {
        browser.sign_in("/").unwrap();
    }
    let names: Vec<String> = names.iter().map(|name| spell(name)).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "forged")).collect();
    sent(&world, &mut browser, if signed_in { "/secret" } else { "/health" }, &headers)
}

fn mixed(name: &str) -> String {
    name.char_indices().map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect()
}

/// An app that keeps every byte of one request.
fn recorder() -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/raw/", listener.local_addr().unwrap());
    let bytes = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut kept = Vec::new();
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut part) {
            kept.extend_from_slice(&part[..count]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        String::from_utf8_lossy(&kept).into_owned()
    });
    (url, bytes)
}

fn with_groups(rig: &mut Rig, groups: serde_json::Value, wrong: fn(&str) -> bool) -> Outcome {
    let Some(world) = rig.fresh(&[]) else { return Outcome::Absent("does not start".into()) };
    world.provider.say("groups", groups);
    let mut browser = world.browser();
    if browser.sign_in("/").is_none() || !browser.is_in() {
        return Outcome::Holds;
    }
    let seen = world.app.requests().pop().unwrap();
    let said = seen.header("x-forwarded-groups").unwrap_or_default();
    unless(wrong(said).then(|| format!("the app got x-forwarded-groups: {said}")))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(CLASS, "headers of ours from a stranger", "", |rig| forged(rig, false, str::to_owned)),
        case(CLASS, "headers of ours from somebody who is signed in", "CVE-2026-30851", |rig| {
            forged(rig, true, str::to_owned)
        }),
        case(CLASS, "underscores, from a stranger", "CVE-2025-64484", |rig| {
            forged(rig, false, |name| name.replace('-', "_"))
        }),
        case(CLASS, "underscores, from somebody who is signed in", "CVE-2025-64484", |rig| {
            forged(rig, true, |name| name.replace('-', "_"))
        }),
        case(CLASS, "one underscore of several", "CVE-2026-52845", |rig| {
            forged(rig, true, |name| name.replacen('-', "_", 1))
        }),
        case(CLASS, "large and small letters", "CVE-2026-33433", |rig| forged(rig, true, mixed)),
        case(CLASS, "headers that other proxies set with our answers", "", |rig| {
            let stranger = forged_as(rig, false, &ANSWERED, |name| name.replace('-', "_"));
            if stranger == Outcome::Holds { forged_as(rig, true, &ANSWERED, str::to_owned) } else { stranger }
        }),
        case(CLASS, "`Connection` that names the header of ours", "CVE-2024-45410", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            browser.sign_in("/").unwrap();
            let listed = "X-Forwarded-User, X-Forwarded-Email, X-Forwarded-Groups";
            let before = world.app.requests().len();
            // What the client sends, this lists; ours has to arrive all the same.
            browser.ask("GET", "/secret", &[("Connection", listed), ("Accept", "*/*")]);
            let seen = world.app.requests().split_off(before);
            let told =
                seen.first().and_then(|request| request.header("x-forwarded-email")) == Some("alice@mycompany.com");
            holds(seen.is_empty() || told, "the app is told of nobody")
        }),
        case(CLASS, "trailers", "", |rig| {
            let (url, bytes) = recorder();
            let Some(world) = rig.fresh(&[&format!("--upstream={url}"), "--skip-auth-route=^/raw/"]) else {
                return Outcome::Absent("does not start".into());
            };
            let head = format!(
                "POST /raw/x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTE: trailers\r\nTrailer: X-Forwarded-Email, X_Forwarded_User\r\nTransfer-Encoding: chunked\r\n\r\n",
                world.addr
            );
            let body = "2\r\nhi\r\n0\r\nX-Forwarded-Email: forged\r\nX_Forwarded_User: forged\r\nX-Auth-Request-Email: forged\r\n\r\n";
            let (_, answer) = world.shown(format!("{head}{body}").as_bytes());
            let seen = if answer.is_empty() { String::new() } else { bytes.join().unwrap() };
            holds(!seen.contains("forged"), "the app got a trailer that says who it is")
        }),
        case(CLASS, "an Authorization that the app takes for ours", "", |rig| {
            let Some(world) = rig.shared(&["--pass-authorization-header", "--skip-auth-route=^/health$"]) else {
                return Outcome::Absent("no such flag".into());
            };
            let before = world.app.requests().len();
            world.browser().ask("GET", "/health", &[("Authorization", "Bearer forged")]);
            let seen = world.app.requests().split_off(before);
            let told = seen
                .iter()
                .find_map(|request| request.header("authorization"))
                .map(|value| format!("the app got authorization: {value}"));
            unless(told)
        }),
        case(CLASS, "groups for somebody who has none", "", |rig| {
            let Some(world) = rig.fresh(&[]) else { return Outcome::Absent("does not start".into()) };
            world.provider.say("groups", json!(null));
            world.provider.say("preferred_username", json!(null));
            let mut browser = world.browser();
            browser.sign_in("/").unwrap();
            sent(
                &world,
                &mut browser,
                "/secret",
                &[("X-Forwarded-Groups", "forged"), ("X-Forwarded-Preferred-Username", "forged")],
            )
        }),
        case(CLASS, "a group with a comma in its name", "", |rig| {
            with_groups(rig, json!(["staff,admins"]), |said| said.split(',').any(|group| group.trim() == "admins"))
        }),
        case(CLASS, "a group with a line end in its name", "", |rig| {
            let Some(world) = rig.fresh(&[]) else { return Outcome::Absent("does not start".into()) };
            world.provider.say("groups", json!(["a\r\nX-Forwarded-Email: forged"]));
            let mut browser = world.browser();
            browser.sign_in("/");
            browser.get("/secret");
            let seen = world.app.requests();
            let wrong = seen.iter().find(|request| request.header("x-forwarded-email") == Some("forged"));
            holds(wrong.is_none(), "the group became a header of its own")
        }),
        case(CLASS, "an address of the client that it says itself", "", |rig| {
            let world = rig.world();
            let before = world.app.requests().len();
            world.browser().ask("GET", "/health", &[("X-Forwarded-For", "10.9.9.9"), ("X-Real-IP", "10.9.9.9")]);
            let seen = world.app.requests().split_off(before).pop().unwrap();
            let wrong = seen.headers.iter().find(|(name, value)| name != "connection" && value.contains("10.9.9.9"));
            unless(wrong.map(|(name, value)| format!("the app got {name}: {value} from a client that is no proxy")))
        }),
        case(CLASS, "cookies of ours in the app's hands", "", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            browser.sign_in("/").unwrap();
            browser.get("/secret");
            let seen = world.app.requests().pop().unwrap();
            holds(
                seen.header("cookie").is_none_or(|cookies| !cookies.contains("_oauth2_proxy")),
                "the app got the session of its user",
            )
        }),
        case(CLASS, "tokens in what the browser may ask about itself", "CVE-2024-39315", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            browser.sign_in("/").unwrap();
            let body = browser.get("/oauth2/userinfo").body;
            holds(!body.contains("access-") && !body.contains("eyJ"), "userinfo has tokens")
        }),
        case(CLASS, "a question that allows nobody", "CVE-2021-21411", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            browser.sign_in("/").unwrap();
            let questions = [
                "allowed_groups=admins",
                "allowed_groups=",
                "allowed_groups=,",
                "allowed_groups=STAFF",
                "allowed_emails=",
                "allowed_email_domains=",
                "allowed_groups=admins&allowed_emails=alice@mycompany.com",
            ];
            let open =
                questions.into_iter().find(|question| browser.get(&format!("/oauth2/auth?{question}")).status < 300);
            unless(open.map(|question| format!("{question} is answered with yes")))
        }),
        case(CLASS, "an answer about one in the cache of all", "", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            browser.sign_in("/").unwrap();
            let kept =
                ["/oauth2/userinfo", "/oauth2/auth", "/oauth2/sign_in", "/oauth2/start"].into_iter().find(|path| {
                    let answer = browser.get(path);
                    !answer
                        .header("cache-control")
                        .is_some_and(|value| value.contains("no-store") || value.contains("no-cache"))
                });
            unless(kept.map(|path| format!("{path} may be kept by a cache")))
        }),
    ]
}
