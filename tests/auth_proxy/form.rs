//! The form for users of the password file, and what the pages look like.

use test_kit::{HookServer, Sidecar, TempDir};

use crate::browser::{Browser, World};

/// alice, with the password "secret".
const USERS: &str = "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";

fn world(dir: &TempDir, more: &[&str]) -> World {
    let file = format!("--htpasswd-file={}", dir.put("users", USERS));
    World::new(&[&[&*file, "--htpasswd-user-group=typists"], more].concat())
}

/// The secret of the form on a page.
#[track_caller]
fn token(browser: &mut Browser, page: &str) -> String {
    let body = browser.get(page).body;
    let rest = body.split("name=\"csrf\" value=\"").nth(1).unwrap_or_else(|| panic!("no form: {body}"));
    rest.split('"').next().unwrap().to_owned()
}

fn typed<'a>(token: &'a str, password: &'a str, target: &'a str) -> [(&'a str, &'a str); 4] {
    [("username", "alice"), ("password", password), ("csrf", token), ("rd", target)]
}

#[test]
fn who_types_a_good_password_is_signed_in_and_ends_where_it_began() {
    let dir = TempDir::new();
    let world = world(&dir, &[]);
    let mut browser = world.browser();
    let token = token(&mut browser, "/deep/link?x=1");
    let wrong = browser.post("/oauth2/sign_in", &[], &typed(&token, "wrong", "/deep/link?x=1"));
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("The user name or the password is wrong") && !wrong.body.contains("wrong\"wrong"));
    let done = browser.post(
        "/oauth2/sign_in",
        &[("Sec-Fetch-Site", "same-origin")],
        &typed(&token, "secret", "/deep/link?x=1"),
    );
    assert_eq!((done.status, done.header("location")), (303, Some("/deep/link?x=1")), "{}", done.body);
    assert_eq!(browser.get("/deep/link?x=1").status, 200);
    let seen = world.seen();
    assert_eq!((seen.header("x-forwarded-user"), seen.header("x-forwarded-groups")), (Some("alice"), Some("typists")));
    assert_eq!(seen.header("cookie"), None);
    assert!(!world.proxy.stderr().contains("secret"), "{}", world.proxy.stderr());
}

#[test]
fn a_form_of_another_site_signs_nobody_in() {
    let dir = TempDir::new();
    let world = world(&dir, &[]);
    let mut browser = world.browser();
    let good = token(&mut browser, "/oauth2/sign_in");
    let mut other = world.browser();
    let others = token(&mut other, "/oauth2/sign_in");
    for (site, token) in
        [("cross-site", &*good), ("same-site", &good), ("same-origin", &others), ("same-origin", ""), ("none", "x")]
    {
        let answer = browser.post("/oauth2/sign_in", &[("Sec-Fetch-Site", site)], &typed(token, "secret", "/"));
        assert_eq!(answer.status, 403, "{site} {token}");
    }
    let mut without = world.browser();
    assert_eq!(without.post("/oauth2/sign_in", &[], &typed(&good, "secret", "/")).status, 403, "without its cookie");
    for (target, end) in
        [("//evil.example", "/"), ("https://evil.example/", "/"), ("/oauth2/sign_out", "/"), ("/x", "/x")]
    {
        let mut again = browser.clone();
        let answer = again.post("/oauth2/sign_in", &[], &typed(&good, "secret", target));
        assert_eq!(answer.header("location"), Some(end), "{target}");
    }
    // Tabs that were open already go on.
    assert_eq!(token(&mut browser, "/"), good);
}

#[test]
fn a_form_is_bounded_and_a_guesser_is_locked_out_of_it() {
    let dir = TempDir::new();
    let world = world(&dir, &[]);
    let mut browser = world.browser();
    let token = token(&mut browser, "/");
    let long = "x".repeat(20_000);
    assert_eq!(browser.post("/oauth2/sign_in", &[], &typed(&token, &long, "/")).status, 413);
    let statuses: Vec<_> =
        (0..20).map(|_| browser.post("/oauth2/sign_in", &[], &typed(&token, "wrong", "/")).status).collect();
    assert!(statuses[0] == 401 && statuses.ends_with(&[429]), "{statuses:?}");
    let refused = browser.post("/oauth2/sign_in", &[], &typed(&token, "secret", "/"));
    assert!(refused.status == 429 && refused.body.contains("Please wait"), "{}", refused.body);
}

#[test]
fn without_the_form_nothing_is_posted_to_us() {
    let dir = TempDir::new();
    let world = world(&dir, &["--display-htpasswd-form=false"]);
    let mut browser = world.browser();
    assert!(!browser.get("/").body.contains("<form"));
    let answer = browser.post("/oauth2/sign_in", &[], &typed("x", "secret", "/"));
    assert!(answer.status == 403 && !browser.cookies.keys().any(|name| name == "_oauth2_proxy"), "{}", answer.body);
}

#[test]
fn pages_have_the_name_the_words_and_the_picture_of_the_house() {
    let dir = TempDir::new();
    dir.put("users", USERS);
    dir.put("logo", "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>");
    let app = HookServer::start();
    let file = dir.put(
        "config.yaml",
        format!(
            "listen: 127.0.0.1:0\nbehind: {{proxies: [127.0.0.0/8]}}\npasswords: {{file: '{dir}/users'}}\nupstreams: [{{to: '{app}'}}]\n\
             pages: {{name: The <House>, text: Ask Bob & Co., logo: '{dir}/logo', banner: Hello, footer: Bye}}\n",
            dir = dir.to_str().unwrap(),
            app = app.url(""),
        ),
    );
    let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &file]).spawn();
    let mut browser = Browser::new(&proxy);
    let page = browser.get("/");
    for text in ["<h1>Sign in to The &lt;House&gt;</h1>", "Ask Bob &amp; Co.", "Hello", "Bye", "src=\"/oauth2/logo\""] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("img-src 'self'"), "{policy}");
    assert!(page.body.len() < 10_000 && !page.body.contains("<script"));
    let logo = browser.get("/oauth2/logo");
    assert_eq!(logo.header("content-type"), Some("image/svg+xml"));
    assert!(logo.header("content-security-policy").unwrap().ends_with("sandbox"), "a picture runs nothing");
    // Over http a browser would lose the cookie again: there its own dialog does.
    let elsewhere = browser.ask("GET", "/", &[("Accept", "text/html"), ("X-Forwarded-Host", "app.example")]);
    assert_eq!(elsewhere.status, 401);
    // Programs are asked for a password as always.
    assert_eq!(
        browser.ask("GET", "/", &[("Accept", "*/*")]).header("www-authenticate").map(|text| &text[..5]),
        Some("Basic")
    );
}
