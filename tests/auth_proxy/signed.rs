//! Who is there, signed for the app, and found to be so by whoever has our public key.

use std::net::SocketAddr;

use test_kit::{Authority, HookServer, PATIENCE, Sidecar, TempDir, eventually, http};

const RIGHT: &str = "Basic c2hhOnNlY3JldCB3b3Jk";

struct Bench {
    dir: TempDir,
    app: HookServer,
    proxy: Sidecar,
}

impl Bench {
    fn new(more: &str) -> Self {
        let (dir, app) = (TempDir::new(), HookServer::start());
        dir.put("users", "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n");
        for name in ["one.pem", "two.pem"] {
            dir.put(name, Authority::new("x").client("x").key);
        }
        let text = format!(
            "listen: 127.0.0.1:0\npasswords: {{file: 'DIR/users', groups: [staff]}}\nupstreams: [{{to: '{}'}}]\n\
             tell: {{identity_token: {{audience: app, issuer: 'https://me.example'{more}}}}}\n",
            app.url("")
        );
        let file = dir.put("config.yaml", text.replace("DIR", dir.to_str().unwrap()));
        let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &file]).spawn();
        Self { dir, app, proxy }
    }

    fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.proxy.port_of("proxy")).into()
    }

    /// What the app was told, and what our keys were then.
    fn token(&self) -> String {
        let headers = [("Authorization", RIGHT), ("X-Identity-Token", "mine"), ("x_identity_token", "mine")];
        assert_eq!(http::request(self.addr(), "GET", "/", &headers, "").unwrap().status, 200);
        let seen = self.app.requests().pop().unwrap();
        assert_eq!(seen.headers.iter().filter(|(name, _)| name.replace('_', "-") == "x-identity-token").count(), 1);
        seen.header("x-identity-token").unwrap().to_owned()
    }

    /// As an app would verify it, with a library that knows nothing of us.
    fn verified(&self, token: &str, audience: &str) -> Result<oidc::Claims, oidc::Error> {
        let mut settings = oidc::Settings::new("https://me.example", audience);
        settings.discover = false;
        settings.endpoints.jwks = Some(format!("http://{}/oauth2/jwks", self.addr()));
        settings.endpoints.authorization = Some("http://127.0.0.1:9/".into());
        settings.endpoints.token = Some("http://127.0.0.1:9/".into());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(oidc::Provider::new(settings).verify(token))
    }
}

#[test]
fn the_app_can_verify_who_is_there_with_a_key_of_ours() {
    let bench = Bench::new("");
    let token = bench.token();
    let claims = bench.verified(&token, "app").unwrap();
    assert_eq!((claims.text("sub").as_deref(), claims.list("groups")), (Some("sha"), vec!["staff".to_owned()]));
    assert_eq!(claims.list("amr"), ["password"]);
    let lasts =
        claims.text("exp").unwrap().parse::<u64>().unwrap() - claims.text("iat").unwrap().parse::<u64>().unwrap();
    assert_eq!(lasts, 60);
    assert!(bench.verified(&token, "another").is_err());
    let other = Bench::new("");
    assert!(other.verified(&token, "app").is_err(), "each process has a key of its own");
    assert_eq!(bench.proxy.admin_post("/-/reload").0, 200);
    assert!(bench.verified(&token, "app").is_ok(), "which a reload does not change");
    let answer = http::request(bench.addr(), "GET", "/oauth2/auth", &[("Authorization", RIGHT)], "").unwrap();
    assert!(bench.verified(answer.header("x-identity-token").unwrap(), "app").is_ok());
    assert!(!bench.proxy.stderr().contains(&token));
}

#[test]
fn keys_of_files_are_shared_and_replaced_without_a_gap() {
    let bench = Bench::new(", key_files: ['DIR/one.pem', 'DIR/two.pem']");
    let old = bench.token();
    let shown = http::get(bench.addr(), "/oauth2/jwks").unwrap().body;
    assert!(shown.matches("\"kid\"").count() == 2 && !shown.contains("\"d\""), "{shown}");
    // The second signs from now on, and the first is still shown.
    let text = values::read_text(&bench.dir.join("config.yaml"), 1 << 20).unwrap();
    let (one, two) = (bench.dir.join("one.pem"), bench.dir.join("two.pem"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let swapped = text.replace(&format!("'{one}', '{two}'"), &format!("'{two}', '{one}'"));
    assert_ne!(swapped, text);
    bench.dir.put("config.yaml", swapped);
    assert_eq!(bench.proxy.admin_post("/-/reload").0, 200);
    assert!(eventually(PATIENCE, || old.split('.').next() != bench.token().split('.').next()), "another key");
    let new = bench.token();
    assert!(bench.verified(&old, "app").is_ok() && bench.verified(&new, "app").is_ok());
    bench.dir.put("two.pem", "nothing");
    bench.proxy.wait_log(|line| line.message().contains("two.pem: expected a private key for P-256"));
    assert!(bench.verified(&bench.token(), "app").is_ok());
}
