//! The words of the peer: flags, variables, file.

use test_kit::{Sidecar, TempDir, http};

use crate::browser::COOKIE_SECRET;

fn start() -> test_kit::Sidecar {
    // The seed's container, as it is; only where it listens is the test's.
    Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
        .argv0("oauth2-proxy")
        .own_admin()
        .args(["--upstream=http://127.0.0.1:8080", "--http-address=127.0.0.1:0", "--provider=google"])
        .args(["--email-domain=mycompany.com", "--cookie-secure=true", &format!("--cookie-secret={COOKIE_SECRET}")])
        .env("OAUTH2_PROXY_CLIENT_ID", "id.apps.googleusercontent.com")
        .env("OAUTH2_PROXY_CLIENT_SECRET", "secret")
        .spawn()
}

#[test]
fn the_seeds_container_starts_without_a_network_and_answers_on_its_paths() {
    let proxy = start();
    let addr = ([127, 0, 0, 1], proxy.port_of("proxy")).into();
    for (path, status) in [
        ("/ping", 200),
        ("/ready", 200),
        ("/", 403),
        ("/oauth2/auth", 401),
        ("/oauth2/userinfo", 401),
        ("/robots.txt", 200),
        ("/oauth2/sign_in", 403),
        ("/oauth2/nothing", 404),
        ("/oauth2/callback", 403),
        ("/oauth2/sign_out", 302),
    ] {
        assert_eq!(http::get(addr, path).unwrap().status, status, "{path}");
    }
    let start = http::get(addr, "/oauth2/start?rd=/x").unwrap();
    let location = start.header("location").unwrap();
    assert!(location.starts_with("https://accounts.google.com/o/oauth2/"), "{location}");
    for part in [
        "client_id=id.apps.googleusercontent.com",
        "response_type=code",
        "code_challenge_method=S256",
        "nonce=",
        "access_type=offline",
    ] {
        assert!(location.contains(part), "{location}: {part}");
    }
    assert!(location.contains("redirect_uri=https%3A%2F%2F127.0.0.1%3A"), "{location}");
    let page = http::get(addr, "/oauth2/sign_in").unwrap();
    assert!(page.body.contains("Sign in with Google") && page.body.len() < 10_000 && !page.body.contains("<script"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    proxy.signal(test_kit::Signal::TERM);
    assert_eq!(proxy.wait_exit(), 0);
    assert!(!proxy.stderr().contains(COOKIE_SECRET));
}

fn run(args: &[&str], file: Option<&str>) -> test_kit::Output {
    let dir = TempDir::new();
    let file = file.map(|text| format!("--config={}", dir.put("proxy.cfg", text)));
    Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
        .arg("oauth2-proxy")
        .args(file)
        .args(args)
        .arg("--config-test")
        .run()
}

#[test]
fn every_mistake_is_said_at_once_and_what_cannot_be_done_is_refused_by_name() {
    let output = run(
        &["--upstrem=x", "--cookie-secure=maybe", "--session-store-type=redis", "--signature-key=sha256:x", "x"],
        None,
    );
    assert_ne!(output.code, 0);
    for text in [
        "--upstrem: unknown flag, did you mean --upstream?",
        "--cookie-secure \"maybe\": expected true or false",
        "--signature-key: not supported by auth-proxy",
        "x: unexpected argument",
    ] {
        assert!(output.stderr.contains(text), "{text}:\n{}", output.stderr);
    }
    let output = run(
        &["--session-store-type=redis", "--cookie-samesite=none", "--cookie-secure=false", "--skip-auth-route=("],
        None,
    );
    assert_eq!(output.code, 78);
    for text in [
        "--client-id: required",
        "--client-secret: required",
        "--cookie-secret: required",
        "--email-domain: required",
        "--session-store-type: only \"cookie\"",
        "--cookie-samesite: none asks for --cookie-secure",
        "--skip-auth-route \"(\"",
    ] {
        assert!(output.stderr.contains(text), "{text}:\n{}", output.stderr);
    }
}

#[test]
fn a_file_is_read_with_its_usual_slips() {
    let good = format!(
        "http_address=\"127.0.0.1:0\"\nupstreams=\"http://127.0.0.1:8080/\"\nreverse_proxy = \"true\"\ncookie_secure=\"false\"\n\
         cookie-secret=\"{COOKIE_SECRET}\"\nemail_domains=[\"*\"]\nclient_id=\"a\"\nclient_secret=\"b\"\nprovider=\"github\"\ngithub_org=\"x\"\n"
    );
    let output = run(&[], Some(&good));
    assert_eq!(output.code, 0, "{}", output.stderr);
    let output = run(&[], Some(&format!("{good}upstreem = 1\n")));
    assert_eq!(output.code, 78, "{}", output.stderr);
    assert!(
        output.stderr.contains("proxy.cfg:11: upstreem: unknown key, did you mean upstreams?"),
        "{}",
        output.stderr
    );
    let output =
        run(&["-http-address=127.0.0.1:0", "-email-domain=x.y"], Some(&good.replace("github_org", "github_team")));
    assert!(output.stderr.contains("--github-team \"x\": expected --github-org"), "{}", output.stderr);
}
