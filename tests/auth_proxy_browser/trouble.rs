//! What goes wrong: providers that are away, people who change their mind, answers that come twice or from elsewhere.

use serde_json::json;
use test_kit::{PATIENCE, eventually};

use crate::hand::World;

#[test]
fn a_provider_that_is_away_is_said_and_found_when_it_is_back() {
    let world = World::without_provider(&[], 600);
    let tab = world.browser(&json!({}));
    assert_eq!(tab.go(&world.url("/later")).status(), 403);
    let page = tab.walk(&json!([["click", "a.go"], ["until", "/oauth2/start"]]));
    assert!(page.text.contains("Not available"), "{page:?}");
    assert!(!page.text.contains("127.0.0.1"), "nothing of how we are built: {page:?}");
    world.bring_provider();
    let is_there = || tab.go(&world.url("/oauth2/start?rd=/later")).url.contains("/interaction/");
    assert!(eventually(PATIENCE, is_there));
    assert_eq!(tab.type_in("alice").url, world.url("/later"));
}

#[test]
fn who_changes_their_mind_at_the_provider_is_told_and_can_try_again() {
    let world = World::new(&[]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/x"));
    tab.leave();
    let page = tab.walk(&json!([["click", "a[href$=abort]"], ["until", "/oauth2/callback"]]));
    assert!(page.text.contains("did not let you in"), "{page:?}");
    assert!(tab.cookies().is_empty());
    tab.walk(&json!([["click", "a.go"], ["until", "/oauth2/sign_in"]]));
    tab.sign_in("alice");
    assert_eq!(tab.go(&world.url("/x")).status(), 200);
}

#[test]
fn the_back_button_and_an_answer_that_comes_twice_do_no_harm() {
    let world = World::new(&[]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/x"));
    tab.leave();
    // What the provider sends the browser back to, as it is seen by whoever looks at the history.
    let done = tab.walk(&json!([["answers", null]]));
    assert_eq!(done.said, json!([]));
    tab.type_in("alice");
    let answers = tab.walk(&json!([["answers", null]])).said;
    let callback = answers[0].as_str().unwrap().to_owned();
    assert!(callback.contains("/oauth2/callback?"), "{answers}");
    tab.walk(&json!([["back", null]]));
    assert_eq!(tab.go(&world.url("/x")).status(), 200, "still signed in after going back");
    let again = tab.go(&callback);
    assert_eq!(again.status(), 403);
    assert!(again.text.contains("try again"), "{again:?}");
    assert_eq!(tab.go(&world.url("/x")).status(), 200, "and after the answer came a second time");
    let stranger = world.browser(&json!({}));
    assert_eq!(stranger.go(&callback).status(), 403);
    assert_eq!(stranger.go(&world.url("/x")).status(), 403);
    assert_eq!(world.granted("authorization_code"), 1);
}

#[test]
fn an_answer_that_was_meant_for_somebody_else_signs_nobody_in() {
    let world = World::new(&[]);
    let attacker = world.browser(&json!({}));
    attacker.go(&world.url("/"));
    attacker.leave();
    // The attacker stops at the door, and gives the address to the victim.
    let stopped = attacker.walk(&json!([
        ["stop", "/oauth2/callback"],
        ["fill", ["input[name=login]", "attacker"]],
        ["fill", ["input[name=password]", "any"]],
        ["click", "button[type=submit]"],
        ["click", "form:has(input[value=consent]) button[type=submit]"],
        ["stopped", null],
    ]));
    let callback = stopped.said.as_str().unwrap().to_owned();
    assert!(callback.contains("code="), "{callback}");
    let victim = world.browser(&json!({}));
    victim.go(&world.url("/"));
    victim.leave();
    assert_eq!(victim.go(&callback).status(), 403);
    assert_eq!(victim.go(&world.url("/")).status(), 403);
    assert_eq!(world.granted("authorization_code"), 0, "the code was never shown to the provider");
}

#[test]
fn our_page_is_shown_in_no_frame() {
    let world = World::new(&["--skip-auth-route=^/frame$"]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/frame"));
    let framed = tab.script(
        "new Promise((done) => { const frame = document.createElement('iframe'); frame.src = '/oauth2/sign_in';
         frame.onload = () => { let text = null; try { text = frame.contentDocument.body.innerText; } catch {} done(text); };
         document.body.append(frame); })",
    );
    assert!(framed.as_str().is_none_or(|text| !text.contains("Sign in")), "{framed}");
}
