//! Logins: of whom, by whom, in answer to what. A provider that lies, an answer that was meant for another.

use serde_json::json;

use crate::{
    case::{Case, Outcome, case, holds, unless},
    rig::{Rig, World, at_provider, parameter},
};

const CLASS: &str = "logins";

/// Whether one of these answers signs the victim in.
fn answered(world: &World, victim: &mut crate::rig::Browser, answers: &[String]) -> Outcome {
    let found = answers.iter().find(|answer| {
        victim.get(answer);
        victim.is_in()
    });
    unless(found.map(|answer| format!("signed in by {}", answer.replace(&world.provider.issuer(), "ISSUER"))))
}

/// The provider says this of somebody who signs in.
fn lying(rig: &mut Rig, flags: &[&str], lies: &[(&str, serde_json::Value)]) -> Outcome {
    for (name, value) in lies {
        let Some(world) = rig.fresh(flags) else { return Outcome::Absent("does not start".into()) };
        world.provider.say(name, value.clone());
        let mut browser = world.browser();
        browser.sign_in("/");
        if browser.is_in() {
            return Outcome::Falls(format!("signed in with {name} = {value}"));
        }
    }
    Outcome::Holds
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(CLASS, "an answer in a browser that has not asked", "login CSRF", |rig| {
            let world = rig.world();
            let callback = world.browser().begin("/").unwrap();
            answered(&world, &mut world.browser(), &[callback])
        }),
        case(CLASS, "an answer in a browser that has asked something else", "login CSRF", |rig| {
            let world = rig.world();
            let mut victim = world.browser();
            victim.begin("/").unwrap();
            let callback = world.browser().begin("/").unwrap();
            answered(&world, &mut victim, &[callback])
        }),
        case(CLASS, "the code of one, the state of another", "RFC 9700 4.5", |rig| {
            let world = rig.world();
            let mut victim = world.browser();
            let own = victim.begin("/").unwrap();
            let foreign = world.browser().begin("/").unwrap();
            let answer = own.replace(parameter(&own, "code").unwrap(), parameter(&foreign, "code").unwrap());
            answered(&world, &mut victim, &[answer])
        }),
        case(CLASS, "a code that was used before", "replay", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            let callback = browser.begin("/").unwrap();
            let kept = browser.clone();
            browser.get(&callback);
            answered(&world, &mut kept.clone(), &[callback])
        }),
        case(CLASS, "answers without a state, or with half of one", "", |rig| {
            let world = rig.world();
            let mut victim = world.browser();
            let callback = victim.begin("/").unwrap();
            let (code, state) = (parameter(&callback, "code").unwrap(), parameter(&callback, "state").unwrap());
            let half = &state[..state.len() / 2];
            let iss = world.provider.issuer();
            let answers = [
                format!("/oauth2/callback?code={code}&iss={iss}"),
                format!("/oauth2/callback?code={code}&state=&iss={iss}"),
                format!("/oauth2/callback?code={code}&state={half}&iss={iss}"),
                format!("/oauth2/callback?state={state}&iss={iss}"),
                format!("/oauth2/callback?code=&state={state}&iss={iss}"),
                format!("/oauth2/callback?code={code}&state=:/&iss={iss}"),
            ];
            answered(&world, &mut victim, &answers)
        }),
        case(CLASS, "an answer that another provider gave", "RFC 9207", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            let callback = browser.begin("/").unwrap();
            let mixed = callback.replace(&format!("iss={}", world.provider.issuer()), "iss=https://evil.example");
            answered(&world, &mut browser, &[mixed])
        }),
        case(CLASS, "an answer that no longer says who gives it", "RFC 9207", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            let callback = browser.begin("/").unwrap();
            let bare = callback.split("&iss=").next().unwrap().to_owned();
            answered(&world, &mut browser, &[bare])
        }),
        case(CLASS, "the answer to another login in the token", "nonce", |rig| {
            let Some(world) = rig.fresh(&[]) else { return Outcome::Absent("does not start".into()) };
            world.provider.say_nonce(Some("of another login"));
            let mut browser = world.browser();
            let callback = browser.begin("/").unwrap();
            answered(&world, &mut browser, &[callback])
        }),
        case(CLASS, "no proof key, though the provider takes one", "CVE-2024-23647", |rig| {
            let Some(world) = rig.fresh(&["--code-challenge-method"]) else {
                return Outcome::Absent("does not start".into());
            };
            let start = world.browser().get("/oauth2/start");
            let location = start.header("location").unwrap_or_default();
            holds(location.contains("code_challenge_method=S256"), "a code that leaks is of use to whoever has it")
        }),
        case(CLASS, "a token for another", "", |rig| {
            lying(rig, &[], &[("aud", json!("another")), ("aud", json!(["another"])), ("azp", json!("another"))])
        }),
        case(CLASS, "a token from another", "", |rig| lying(rig, &[], &[("iss", json!("https://evil.example"))])),
        case(CLASS, "a token of yesterday, or about nobody", "", |rig| {
            lying(rig, &[], &[("exp", json!(1)), ("sub", json!("")), ("sub", json!(null))])
        }),
        case(CLASS, "an access token that is not the ID token's", "OpenID Connect Core 3.1.3.6", |rig| {
            lying(rig, &[], &[("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))])
        }),
        case(CLASS, "an address that nobody has verified", "", |rig| {
            lying(rig, &[], &[("email_verified", json!(false)), ("email_verified", json!("false"))])
        }),
        case(CLASS, "an address of two domains", "CVE-2026-40574", |rig| {
            lying(
                rig,
                &[],
                &[
                    ("email", json!("a@evil.example@mycompany.com")),
                    ("email", json!("a@mycompany.com.evil.example")),
                    ("email", json!("a@evil.example\n@mycompany.com")),
                ],
            )
        }),
        case(CLASS, "a group that is not the one", "CVE-2021-21411", |rig| {
            lying(
                rig,
                &["--allowed-group=admins"],
                &[
                    ("groups", json!(["Admins"])),
                    ("groups", json!(["admins2"])),
                    ("groups", json!(["x,admins"])),
                    ("groups", json!(null)),
                    ("groups", json!([" admins"])),
                ],
            )
        }),
        case(CLASS, "tabs that are in each other's way", "oauth2-proxy #817", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            let first = browser.begin("/one").unwrap();
            let second = browser.begin("/two").unwrap();
            let done = [second, first].iter().all(|callback| browser.get(callback).status == 302);
            holds(done, "the first of two logins is refused")
        }),
        case(CLASS, "markup in what the provider says", "CVE-2026-33525", |rig| {
            let Some(world) = rig.fresh(&["--show-debug-on-error"]) else {
                return Outcome::Absent("no such flag".into());
            };
            let mark = "%3Cscript%3Ealert(1)%3C/script%3E";
            let mut browser = world.browser();
            let callback = browser.begin("/").unwrap();
            let state = parameter(&callback, "state").unwrap();
            let iss = world.provider.issuer();
            let paths = [
                format!("/oauth2/callback?error={mark}"),
                format!("/oauth2/callback?error={mark}&error_description={mark}&state={state}&iss={iss}"),
                format!("/oauth2/callback?code={mark}&state={mark}"),
            ];
            unless(
                paths
                    .iter()
                    .find(|path| browser.get(path).body.contains("<script>alert(1)"))
                    .map(|path| format!("{path} is run by the page")),
            )
        }),
        case(CLASS, "codes and tokens in the log", "", |rig| {
            let Some(world) = rig.fresh(&[]) else { return Outcome::Absent("does not start".into()) };
            let mut browser = world.browser();
            let callback = browser.begin("/").unwrap();
            browser.get(&callback);
            browser.get("/secret?password=of-the-query");
            let log = world.log();
            let session: Vec<_> = browser.cookies.values().map(|value| &value[..40]).collect();
            let code = format!("code={}", parameter(&callback, "code").unwrap());
            let found = if log.contains(&code) {
                Some("the log has the code of the login".to_owned())
            } else if log.contains("of-the-query") {
                Some("the log has the query".into())
            } else {
                session.iter().any(|value| log.contains(*value)).then(|| "the log has the session".into())
            };
            unless(found)
        }),
        case(CLASS, "the page in a frame of another site", "clickjacking", |rig| {
            let world = rig.world();
            let answer = world.browser().get("/oauth2/sign_in");
            let frames = answer.header("x-frame-options").is_some()
                || answer.header("content-security-policy").is_some_and(|policy| policy.contains("frame-ancestors"));
            holds(frames, "nothing says that it must not be framed")
        }),
        case(CLASS, "a second way to the provider in one answer", "", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            let start = browser
                .get("/oauth2/start?rd=/&login_hint=x&redirect_uri=https://evil.example/&client_id=evil&prompt=none");
            let location = start.header("location").unwrap_or_default().to_owned();
            let wrong = location.contains("evil");
            let callback = at_provider(&location);
            holds(!wrong && callback.is_some(), format!("sent to the provider with {location}"))
        }),
    ]
}
