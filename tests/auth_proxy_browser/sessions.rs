//! Sessions as a browser keeps them: in tabs, over refreshes, until they end.

use serde_json::{Value, json};
use test_kit::{PATIENCE, eventually};

use crate::hand::World;

#[test]
fn a_second_tab_is_signed_in_with_the_first() {
    let world = World::new(&[]);
    let first = world.browser(&json!({}));
    let second = first.other("second");
    first.go(&world.url("/one"));
    assert_eq!(second.go(&world.url("/two")).status(), 403);
    assert_eq!(first.sign_in("alice").url, world.url("/one"));
    let again = second.walk(&json!([["reload", null]]));
    assert_eq!(again.said, json!(200), "{again:?}");
    assert_eq!(world.seen("/two").header("x-forwarded-user"), Some("alice"));
}

#[test]
fn logins_that_are_under_way_at_the_same_time_all_come_to_their_end() {
    let world = World::new(&[]);
    let first = world.browser(&json!({}));
    let tabs = [("/one", first.other("one")), ("/two", first.other("two")), ("/three", first.other("three"))];
    for (path, tab) in &tabs {
        tab.go(&world.url(path));
        tab.leave();
    }
    // The last one signs in first; the others have a form open that is older.
    for (path, tab) in tabs.iter().rev() {
        assert_eq!(tab.type_in("alice").url, world.url(path));
        world.seen(path);
    }
    assert_eq!(first.cookies().len(), 1, "nothing is left of the logins: {:?}", first.cookies());
}

#[test]
fn a_session_lives_on_with_rotating_tokens_and_parallel_requests_cost_one() {
    let world = World::expiring(2, &[]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/"));
    tab.sign_in("alice");
    let many = "Promise.all(Array.from({length: 8}, () => fetch('/many').then((answer) => answer.status)))";
    for round in 1..=3 {
        // Until the tokens have run out and were renewed.
        let renewed = eventually(PATIENCE, || {
            let statuses = tab.script(many);
            assert!(statuses.as_array().unwrap().iter().all(|status| status == 200), "{round}: {statuses}");
            world.granted("refresh_token") >= round
        });
        assert!(renewed, "round {round}");
    }
    assert_eq!(world.refused(), 0, "a token that was used twice ends the whole grant");
    assert_eq!(tab.go(&world.url("/")).status(), 200);
}

#[test]
fn a_session_ends_when_the_provider_has_forgotten_it() {
    let world = World::expiring(1, &[]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/"));
    tab.sign_in("alice");
    world.bring_provider();
    assert!(eventually(PATIENCE, || tab.go(&world.url("/")).status() == 403));
    assert!(tab.go(&world.url("/")).text.contains("Sign in"));
    assert!(world.refused() >= 1);
}

#[test]
fn who_signs_out_is_out_in_every_tab_and_so_is_a_copy_of_the_cookie() {
    let world = World::new(&["--skip-auth-route=^/bye$"]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/"));
    tab.sign_in("alice");
    let other = tab.other("other");
    assert_eq!(other.go(&world.url("/")).status(), 200);
    let stolen = tab.walk(&json!([["cookies", null]])).said;
    let thief = world.browser(&json!({}));
    thief.walk(&json!([["keep", stolen]]));
    assert_eq!(thief.go(&world.url("/")).status(), 200);
    tab.go(&world.url("/oauth2/sign_out?rd=/bye"));
    assert!(tab.cookies().is_empty(), "{:?}", tab.cookies());
    for tab in [&tab, &other, &thief] {
        assert_eq!(tab.go(&world.url("/")).status(), 403);
    }
}

#[test]
fn cookies_are_out_of_reach_for_scripts_and_other_sites() {
    let world = World::new(&["--cookie-name=__Host-oauth2_proxy"]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/"));
    tab.leave();
    let login = tab.cookies();
    tab.type_in("alice");
    let session = tab.cookies();
    assert_eq!((login.len(), session.len()), (1, 1));
    for cookie in login.iter().chain(&session) {
        assert!(cookie["name"].as_str().unwrap().starts_with("__Host-"), "{cookie}");
        for (name, value) in
            [("httpOnly", json!(true)), ("secure", json!(true)), ("sameSite", json!("Lax")), ("path", json!("/"))]
        {
            assert_eq!(cookie[name], value, "{cookie}");
        }
    }
    assert_eq!(tab.script("document.cookie"), json!(""));
    // 127.0.0.1 and localhost are two sites: a picture or a form there brings no session along.
    let elsewhere = world.url("/elsewhere");
    let options = "{credentials: 'include', mode: 'no-cors', method: 'POST'}";
    let foreign = format!("fetch('{elsewhere}', {options}).then(() => 1, () => 0)");
    let page = tab.other("foreign");
    page.go(&world.url("/oauth2/sign_in").replace("127.0.0.1", "localhost"));
    let _: Value = page.script(&foreign);
    assert!(world.app.requests().iter().all(|request| request.path != "/elsewhere"), "{:?}", world.app.requests());
    assert_eq!(tab.go(&elsewhere).status(), 200);
}
