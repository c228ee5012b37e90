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
        "--redis-connection-url: required by --session-store-type=redis",
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

#[test]
fn what_is_not_supported_is_refused_with_the_reason() {
    let good = ["--client-id=a", "--client-secret=b", "--email-domain=*", "--cookie-secret=0123456789abcdef"];
    for (flags, text) in [
        (vec!["--redis-use-cluster"], "--redis-use-cluster: not supported by auth-proxy: one server, or sentinels"),
        (vec!["--custom-templates-dir=/x"], "--custom-templates-dir: not supported by auth-proxy: templates"),
        (
            vec!["--google-group=x"],
            "groups of Google: expected the key of a service account and the address of an admin",
        ),
        (
            vec!["--google-target-principal=x"],
            "--google-target-principal: not supported by auth-proxy: groups are asked",
        ),
        (vec!["--provider=login.gov"], "--provider \"login.gov\": not supported by auth-proxy: it asks for a proof"),
        (vec!["--provider=keycloak"], "use --provider=keycloak-oidc"),
        (vec!["--provider=nobody"], "--provider \"nobody\": expected adfs, azure"),
        (vec!["--provider=gitea"], "expected the address of the server: --login-url"),
        (vec!["--redis-connection-url=redis://x"], "--redis-connection-url: expected --session-store-type=redis"),
        (
            vec!["--session-store-type=redis", "--redis-connection-url=http://:topsecret@x"],
            "--redis-connection-url: expected redis://host:port/database",
        ),
        (vec!["--session-store-type=memory"], "--session-store-type \"memory\": expected cookie or redis"),
        (vec!["--custom-sign-in-logo=https://x/y.png"], "--custom-sign-in-logo: expected a file"),
        (vec!["--auth-request-response-mode=fragment"], "expected query or form_post"),
        (vec!["--auth-request-response-mode=form_post", "--cookie-secure=false"], "none asks for --cookie-secure"),
        (vec!["--provider=gitlab", "--gitlab-project=a/b=x"], "expected PATH or PATH=LEVEL"),
        (vec!["--github-repo=a/b"], "--github-repo: expected --provider=github"),
        (vec!["--entra-id-allowed-tenant=x"], "--entra-id-allowed-tenant: expected --provider=entra-id"),
    ] {
        let output = run(&[&good[..], &flags].concat(), None);
        assert!(matches!(output.code, 64 | 78), "{flags:?}: {}", output.stderr);
        assert!(output.stderr.contains(text) && !output.stderr.contains("topsecret"), "{text}:\n{}", output.stderr);
    }
    for flags in [
        vec!["--provider=entra-id", "--azure-tenant=common", "--entra-id-allowed-tenant=aaa"],
        vec!["--provider=azure", "--azure-tenant=8d9a7c5e-1111-2222-3333-444455556666", "--resource=https://x"],
        vec!["--provider=gitlab", "--gitlab-project=a/b=30", "--gitlab-group=c"],
        vec!["--provider=github", "--github-repo=a/b", "--github-token=t"],
        vec![
            "--session-store-type=redis",
            "--redis-use-sentinel",
            "--redis-sentinel-master-name=m",
            "--redis-sentinel-connection-urls=redis://a:1,redis://b:2",
            "--redis-sentinel-password=p",
            "--redis-connection-idle-timeout=30",
        ],
    ] {
        let output = run(&[&good[..], &flags].concat(), None);
        assert_eq!(output.code, 0, "{flags:?}: {}", output.stderr);
    }
}
