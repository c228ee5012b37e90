//! Passwords: guessed, timed, cut, and put together from two.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    case::{Case, Outcome, case, holds, unless},
    rig::{Rig, World},
};

const CLASS: &str = "passwords";
/// Of "secret word", at cost 10.
const SLOW: &str = "$2b$10$abcdefghijklmnopqrstuurqombnWKmyEJXa.t9eqOAOBQaOVfVRm";
const QUICK: &str = "{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=";
const RIGHT: &str = "secret word";

/// One that nobody has guessed at before.
fn world(rig: &mut Rig) -> World {
    let slow: String = (0..9).map(|number| format!("user{number}:{SLOW}\n")).collect();
    let users = rig.dir.put("users", format!("alice:{QUICK}\nbob:{QUICK}\n{slow}"));
    rig.fresh(&[&format!("--htpasswd-file={users}"), "--display-htpasswd-form=false"]).unwrap()
}

fn ask(world: &World, user: &str, password: &str) -> (u16, String, Duration) {
    let proof = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    let begun = Instant::now();
    let answer = world.browser().ask("GET", "/secret", &[("Authorization", &proof), ("Accept", "application/json")]);
    (answer.status, answer.body, begun.elapsed())
}

/// None of these pairs is right.
fn tried(rig: &mut Rig, pairs: &[(&str, &str)]) -> Outcome {
    let world = world(rig);
    if ask(&world, "alice", RIGHT).0 != 200 {
        return Outcome::Absent("the right password is not let in either".into());
    }
    let found = pairs.iter().find(|(user, password)| ask(&world, user, password).0 == 200);
    unless(found.map(|(user, password)| format!("let in as {user:?} with {password:.20?}")))
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(CLASS, "how long it takes tells who is a user", "CVE-2026-32595", |rig| {
            let world = world(rig);
            // By turns, so that a machine that is busy is so for both.
            let pairs: Vec<_> = (0..9)
                .map(|number| {
                    (
                        ask(&world, &format!("user{number}"), "wrong").2,
                        ask(&world, &format!("nobody{number}"), "wrong").2,
                    )
                })
                .collect();
            let known = median(pairs.iter().map(|(known, _)| *known).collect());
            let unknown = median(pairs.iter().map(|(_, unknown)| *unknown).collect());
            holds(
                unknown > known / 3.0,
                format!("{:.0} ms for a user, {:.1} ms for nobody", known * 1e3, unknown * 1e3),
            )
        }),
        case(CLASS, "what is answered tells who is a user", "", |rig| {
            let world = world(rig);
            let (known, unknown) = (ask(&world, "alice", "wrong"), ask(&world, "nobody", "wrong"));
            holds((known.0, &known.1) == (unknown.0, &unknown.1), format!("{} and {}", known.0, unknown.0))
        }),
        case(CLASS, "as many guesses as one likes", "", |rig| {
            let world = world(rig);
            let statuses: Vec<u16> = (0..20).map(|number| ask(&world, "alice", &format!("guess{number}")).0).collect();
            holds(
                statuses.contains(&429) || ask(&world, "alice", RIGHT).0 != 200,
                "20 wrong guesses in a row, and the right one is let in",
            )
        }),
        case(CLASS, "guesses that lock out others", "CVE-2025-24806", |rig| {
            let world = world(rig);
            for number in 0..20 {
                ask(&world, "alice", &format!("guess{number}"));
            }
            holds(ask(&world, "bob", RIGHT).0 == 200, "another user is locked out, too")
        }),
        case(CLASS, "one user in several spellings", "CVE-2025-24806", |rig| {
            tried(rig, &[("Alice", RIGHT), ("alice ", RIGHT), (" alice", RIGHT), ("alice\0", RIGHT), ("ALICE", RIGHT)])
        }),
        case(CLASS, "the pair cut elsewhere", "CVE-2026-71326", |rig| {
            tried(
                rig,
                &[
                    ("alice:secret", "word"),
                    ("alic", "e:secret word"),
                    ("alicesecret", " word"),
                    ("", "alice:secret word"),
                    ("alice", "secret word\0"),
                    ("alice", "secret word:"),
                ],
            )
        }),
        case(CLASS, "a hash for a password", "", |rig| {
            tried(rig, &[("alice", QUICK), ("alice", "PDUC6jG3V40qqE4XqHRFLkyoMVM="), ("user0", SLOW), ("alice", "")])
        }),
        case(CLASS, "odd proofs", "", |rig| {
            let world = world(rig);
            let proofs = [
                "Basic",
                "Basic ",
                "Basic !!!",
                "Basic Og==",
                "Basic YWxpY2U=",
                "Basic YWxpY2U6",
                "basic",
                "Negotiate YWxpY2U6c2VjcmV0IHdvcmQ=",
            ];
            let open = proofs.into_iter().find(|proof| {
                world
                    .browser()
                    .ask("GET", "/secret", &[("Authorization", proof), ("Accept", "application/json")])
                    .status
                    == 200
            });
            unless(open.map(|proof| format!("let in with {proof:?}")))
        }),
        case(CLASS, "the password in the app's hands", "", |rig| {
            let world = world(rig);
            ask(&world, "alice", RIGHT);
            let seen = world.app.requests().pop();
            let told = seen.and_then(|request| request.header("authorization").map(str::to_owned)).unwrap_or_default();
            holds(
                !told.contains(&BASE64_STANDARD.encode(format!("alice:{RIGHT}"))),
                "the app got the password of its user",
            )
        }),
    ]
}
