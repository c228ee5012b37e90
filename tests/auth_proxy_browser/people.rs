//! Who comes, and what they find: the app, or a page that says why not.

use serde_json::json;

use crate::hand::World;

#[test]
fn somebody_signs_in_and_the_app_is_told_who_it_is() {
    let world = World::new(&["--pass-access-token"]);
    let tab = world.browser(&json!({}));
    let page = tab.go(&world.url("/"));
    assert_eq!(page.status(), 403);
    assert!(page.text.contains("Sign in"), "{page:?}");
    let done = tab.sign_in("alice");
    assert_eq!(done.url, world.url("/"));
    let seen = world.seen("/");
    for (name, value) in [
        ("x-forwarded-user", "alice"),
        ("x-forwarded-email", "alice@mycompany.com"),
        ("x-forwarded-groups", "staff"),
        ("x-forwarded-preferred-username", "alice"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{seen:?}");
    }
    assert!(seen.header("x-forwarded-access-token").is_some_and(|token| token.len() > 20));
    assert!(seen.header("cookie").is_none_or(|cookies| !cookies.contains("oauth2_proxy")), "{seen:?}");
    assert_eq!(world.granted("authorization_code"), 1);
}

#[test]
fn a_deep_link_is_where_the_login_ends_to_the_letter() {
    let world = World::new(&[]);
    let tab = world.browser(&json!({}));
    let path = "/deep/link?x=1&y=a%2Fb&z=%26%3D%2B+%C3%A9";
    tab.go(&world.url(path));
    assert_eq!(tab.sign_in("alice").url, world.url(path));
    assert_eq!(world.seen(path).header("x-forwarded-user"), Some("alice"));
}

#[test]
fn without_a_page_of_ours_the_way_is_as_short_as_it_can_be() {
    let world = World::new(&["--skip-provider-button"]);
    let tab = world.browser(&json!({}));
    assert!(tab.go(&world.url("/x?y")).url.contains("/interaction/"));
    assert_eq!(tab.type_in("alice").url, world.url("/x?y"));
}

#[test]
fn nobody_needs_a_script_to_sign_in() {
    let world = World::new(&[]);
    let tab = world.browser(&json!({"javaScriptEnabled": false}));
    tab.go(&world.url("/plain"));
    assert_eq!(tab.sign_in("alice").url, world.url("/plain"));
    world.seen("/plain");
}

#[test]
fn somebody_of_another_domain_is_told_so_and_is_not_let_in() {
    let world = World::new(&[]);
    let tab = world.browser(&json!({}));
    for name in ["eve@evil.example", "eve@evil.example@mycompany.com.evil.example"] {
        tab.walk(&json!([["go", world.url("/oauth2/sign_in?rd=/x")]]));
        tab.leave();
        let page = tab.walk(&json!([
            ["fill", ["input[name=login]", name]],
            ["fill", ["input[name=password]", "any"]],
            ["click", "button[type=submit]"],
            ["click", "form:has(input[value=consent]) button[type=submit]"],
            ["until", "/oauth2/callback"],
        ]));
        assert!(page.text.contains("No access") && page.text.contains("eve@evil.example"), "{page:?}");
        assert_eq!(tab.cookies(), [] as [serde_json::Value; 0]);
        assert_eq!(tab.go(&world.url("/x")).status(), 403);
        // Whoever is known at the provider is not asked again.
        tab.walk(&json!([["forget", null]]));
    }
    assert!(world.app.requests().iter().all(|request| request.path != "/x"));
}

#[test]
fn who_is_not_in_the_group_is_told_so_and_another_account_gets_in() {
    let world = World::new(&["--allowed-group=admins"]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/"));
    tab.leave();
    let page = tab.walk(&json!([
        ["fill", ["input[name=login]", "alice"]],
        ["fill", ["input[name=password]", "any"]],
        ["click", "button[type=submit]"],
        ["click", "form:has(input[value=consent]) button[type=submit]"],
        ["until", "/oauth2/callback"],
    ]));
    assert!(page.text.contains("alice@mycompany.com"), "{page:?}");
    tab.walk(&json!([["forget", null], ["go", world.url("/")]]));
    assert_eq!(tab.sign_in("alice+admins").url, world.url("/"));
    assert_eq!(world.seen("/").header("x-forwarded-groups"), Some("staff,admins"));
}

#[test]
fn a_script_of_the_page_gets_401_and_never_another_page() {
    let world = World::new(&["--skip-auth-route=^/public$", "--skip-provider-button"]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/public"));
    let fetched = "fetch('/api/x', {redirect: 'manual'}).then(async (answer) => [answer.status, answer.type, await answer.text()])";
    let answer = tab.script(fetched);
    assert_eq!((&answer[0], &answer[1]), (&json!(401), &json!("basic")), "{answer}");
    tab.go(&world.url("/home"));
    tab.type_in("alice");
    assert_eq!(tab.script(fetched)[0], json!(200));
    assert_eq!(world.seen("/api/x").header("x-forwarded-email"), Some("alice@mycompany.com"));
}
