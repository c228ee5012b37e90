//! Signing out at the provider, from here and from there; and a password typed into our form.

use serde_json::json;
use test_kit::{PATIENCE, TempDir, eventually};

use crate::hand::World;

#[test]
fn who_signs_out_here_is_asked_by_the_provider_and_comes_back() {
    let dir = TempDir::new();
    let world = World::signing_out_everywhere(&dir);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/x"));
    tab.sign_in("alice");
    let thief = world.browser(&json!({}));
    thief.walk(&json!([["keep", tab.cookies()]]));
    assert_eq!(thief.go(&world.url("/x")).status(), 200);
    assert!(tab.go(&world.url("/oauth2/sign_out")).url.starts_with(&world.at_provider("/session/end")));
    let page = tab.walk(&json!([["click", "button[value=yes]"], ["until", "/oauth2/signed_out"]]));
    assert!(page.text.contains("You are signed out"), "{page:?}");
    assert_eq!(thief.go(&world.url("/x")).status(), 403);
    // The provider has forgotten it as well, and asks who comes.
    tab.go(&world.url("/x"));
    assert!(tab.leave().text.contains("Sign-in"));
}

#[test]
fn who_signs_out_at_the_provider_is_out_here() {
    let world = World::new(&[]);
    let tab = world.browser(&json!({}));
    tab.go(&world.url("/"));
    tab.sign_in("alice");
    let other = world.browser(&json!({}));
    other.go(&world.url("/"));
    other.sign_in("bob");
    tab.go(&world.at_provider("/session/end"));
    tab.walk(&json!([["click", "button[value=yes]"], ["until", "/session/end/success"]]));
    assert!(eventually(PATIENCE, || tab.go(&world.url("/")).status() == 403));
    assert_eq!(other.go(&world.url("/")).status(), 200, "nobody else is");
    assert_eq!(world.proxy.metric("auth_proxy_provider_logouts_total{outcome=\"good\"}"), Some(1.0));
}

#[test]
fn a_password_that_is_typed_signs_in_with_scripts_or_without() {
    let dir = TempDir::new();
    // "secret"
    let users = dir.put("users", "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    let world = World::new(&[&format!("--htpasswd-file={users}")]);
    for scripts in [true, false] {
        let tab = world.browser(&json!({ "javaScriptEnabled": scripts }));
        tab.go(&world.url("/deep?x=1"));
        let typed = |password: &str| {
            json!([
                ["fill", ["input[name=username]", "alice"]],
                ["fill", ["input[name=password]", password]],
                ["click", "form button"]
            ])
        };
        tab.walk(&typed("wrong"));
        let page = tab.walk(&json!([["see", "p.wrong"]]));
        assert!(page.text.contains("The user name or the password is wrong"), "{page:?}");
        tab.walk(&typed("secret"));
        tab.walk(&json!([["until", "/deep"]]));
        assert_eq!(world.seen("/deep?x=1").header("x-forwarded-user"), Some("alice"));
    }
}
