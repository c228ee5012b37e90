//! What the browser keeps: changed, moved, stolen, replayed.

use std::time::Duration;

use test_kit::{PATIENCE, eventually};

use crate::{
    case::{Case, Outcome, case, holds, unless},
    rig::{Browser, USUAL, World},
};

const CLASS: &str = "cookies and sessions";

fn is_session(name: &str) -> bool {
    name.starts_with("_oauth2_proxy") && !name.contains("csrf")
}

/// The session of somebody who is signed in.
fn session(browser: &Browser) -> (String, String) {
    let (name, value) = browser.cookies.iter().find(|(name, _)| is_session(name)).unwrap();
    (name.clone(), value.clone())
}

/// Whether one of these is taken for a session.
fn taken(world: &World, name: &str, values: impl IntoIterator<Item = String>) -> Outcome {
    let mut browser = world.browser();
    let found = values.into_iter().find(|value| {
        browser.cookies.clear();
        browser.cookies.insert(name.to_owned(), value.clone());
        browser.is_in()
    });
    unless(found.map(|value| format!("let in with {value:.40}...")))
}

fn signed_in(world: &World) -> (Browser, String, String) {
    let mut browser = world.browser();
    browser.sign_in("/").unwrap();
    let (name, value) = session(&browser);
    (browser, name, value)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(CLASS, "a bit turned, anywhere", "", |rig| {
            let world = rig.world();
            let (_, name, value) = signed_in(&world);
            let turned = (0..value.len() - 2).step_by(value.len() / 40 + 1).map(|at| {
                let mut bytes = value.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                String::from_utf8(bytes).unwrap()
            });
            taken(&world, &name, turned.collect::<Vec<_>>())
        }),
        case(CLASS, "cut, doubled, put together otherwise", "", |rig| {
            let world = rig.world();
            let (_, name, value) = signed_in(&world);
            let half = value.len() / 2;
            taken(
                &world,
                &name,
                [
                    String::new(),
                    value[..half].into(),
                    value[half..].into(),
                    format!("{value}{value}"),
                    format!("{}{}", &value[half..], &value[..half]),
                    "A".repeat(4000),
                    "|".repeat(20),
                ],
            )
        }),
        case(CLASS, "of another installation", "", |rig| {
            let world = rig.world();
            let (_, name, _) = signed_in(&world);
            let Some(other) = rig.fresh(&["--cookie-secret=another-secret-another-secret-00"]) else {
                return Outcome::Absent("does not start".into());
            };
            let (_, _, foreign) = signed_in(&other);
            taken(&world, &name, [foreign])
        }),
        case(CLASS, "of another use: a login's for a session's", "", |rig| {
            let world = rig.world();
            let (_, name, _) = signed_in(&world);
            let mut browser = world.browser();
            browser.begin("/").unwrap();
            let login: Vec<String> = browser.cookies.values().cloned().collect();
            taken(&world, &name, login)
        }),
        case(CLASS, "under another name", "", |rig| {
            let world = rig.world();
            let (_, name, _) = signed_in(&world);
            let Some(other) = rig.fresh(&["--cookie-name=_oauth2_proxy_other"]) else {
                return Outcome::Absent("does not start".into());
            };
            let (_, _, foreign) = signed_in(&other);
            taken(&world, &name, [foreign])
        }),
        case(CLASS, "pieces without a beginning, or a hundred of them", "", |rig| {
            let world = rig.world();
            let (_, name, value) = signed_in(&world);
            let mut browser = world.browser();
            for number in 1..100 {
                browser.cookies.insert(format!("{name}_{number}"), value.chars().take(50).collect());
            }
            holds(!browser.is_in(), "let in")
        }),
        case(CLASS, "a session that somebody else has put there", "session fixation", |rig| {
            let world = rig.world();
            let (_, name, planted) = signed_in(&world);
            let mut victim = world.browser();
            victim.cookies.insert(name.clone(), planted.clone());
            victim.sign_in("/").unwrap();
            holds(victim.cookies.get(&name) != Some(&planted), "the planted session is still there after the login")
        }),
        case(CLASS, "the sign-in page leaves the session before it alive", "CVE-2026-34454", |rig| {
            let world = rig.world();
            let (mut browser, name, value) = signed_in(&world);
            browser.get("/oauth2/sign_in");
            let cleared = !browser.cookies.contains_key(&name);
            browser.cookies.insert(name, value);
            let dead = !browser.is_in();
            if !cleared {
                Outcome::Falls("the cookie stays".into())
            } else {
                holds(dead, "the cookie goes, a copy of it still lets in")
            }
        }),
        case(CLASS, "a copy after signing out", "replay", |rig| {
            let world = rig.world();
            let (mut browser, name, value) = signed_in(&world);
            browser.get("/oauth2/sign_out");
            if browser.cookies.contains_key(&name) {
                return Outcome::Falls("the cookie stays".into());
            }
            taken(&world, &name, [value])
        }),
        case(CLASS, "a copy after its time", "replay", |rig| {
            let Some(world) = rig.fresh(&["--cookie-expire=2s", "--cookie-refresh=0s"]) else {
                return Outcome::Absent("does not start".into());
            };
            let (mut browser, _, _) = signed_in(&world);
            let kept = browser.clone();
            let is_over = eventually(PATIENCE.min(Duration::from_secs(10)), || {
                browser = kept.clone();
                !browser.is_in()
            });
            holds(is_over, "a copy of the cookie outlives its time")
        }),
        case(CLASS, "a session when its owner is off the list", "CVE-2021-41230", |rig| {
            let list = rig.dir.put("addresses", "alice@mycompany.com\n");
            let Some(world) = rig.fresh(&[&format!("--authenticated-emails-file={list}")]) else {
                return Outcome::Absent("does not start".into());
            };
            let (browser, _, _) = signed_in(&world);
            rig.dir.put("addresses", "bob@mycompany.com\n");
            if let Some(sidecar) = world.sidecar() {
                // Ours reads its files again when it is told to.
                sidecar.signal(test_kit::Signal::HUP);
            }
            let is_out = eventually(Duration::from_secs(10), || !browser.clone().is_in());
            holds(is_out, "whoever was let in once stays in")
        }),
        case(CLASS, "out of reach for scripts, plain text and other sites", "RFC 6265bis", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            let callback = browser.begin("/").unwrap();
            let mut lines = browser.set.clone();
            browser.get(&callback);
            lines.extend(browser.set.iter().filter(|line| !line.contains("=;")).cloned());
            let weak = lines.iter().find_map(|line| {
                let missing =
                    ["HttpOnly", "Secure", "SameSite"].into_iter().find(|attribute| !line.contains(attribute))?;
                Some(format!("{} is without {missing}", line.split('=').next().unwrap()))
            });
            unless(weak)
        }),
        case(CLASS, "two sessions in one request", "cookie tossing", |rig| {
            let world = rig.world();
            let (_, name, value) = signed_in(&world);
            let cookie = format!("{name}=forged; {name}={value}; {name}_0=forged");
            let answer = world.browser().ask("GET", "/secret", &[("Cookie", &cookie), ("Accept", "text/html")]);
            let seen = world.app.requests().pop();
            let told = seen.and_then(|request| request.header("cookie").map(str::to_owned)).unwrap_or_default();
            holds(answer.status != 200 || !told.contains(&value), "the app got the session of its user")
        }),
        case(CLASS, "one that is of nobody's making ends no session", "", |rig| {
            let world = rig.world();
            let (mut browser, name, value) = signed_in(&world);
            let cookie = format!("other=\u{1}; ;;=; x; {name}={value}");
            let answer =
                browser.ask("GET", "/secret", &[("Cookie", &cookie.replace('\u{1}', "\"")), ("Accept", "text/html")]);
            holds(answer.status == 200, format!("{} for odd cookies of others", answer.status))
        }),
        case(CLASS, "a session that was split: one piece of another's", "", |rig| {
            let Some(world) = rig.fresh(&USUAL) else { return Outcome::Absent("does not start".into()) };
            world.provider.say(
                "groups",
                serde_json::json!((0..400).map(|n| format!("group-{}-{n}", n * 7919)).collect::<Vec<_>>()),
            );
            let (mut first, mut second) = (world.browser(), world.browser());
            if first.sign_in("/").is_none() || second.sign_in("/").is_none() || first.cookies.len() < 2 {
                return Outcome::Absent("it is not split".into());
            }
            let (name, _) =
                first.cookies.iter().next_back().map(|(name, value)| (name.clone(), value.clone())).unwrap();
            let other = second.cookies[&name].clone();
            first.cookies.insert(name, other);
            holds(!first.is_in(), "let in with a session of two halves")
        }),
    ]
}
