//! TLS rotation: nginx serves what a Secret has, and `openssl s_client` says what is served.

use std::process::{Command, Stdio};

use test_kit::{Authority, ConfigMap, Kubelet, PATIENCE, Pair, Sidecar, TempDir, eventually, free_port};

use crate::{
    lines_with, never, nginx, pod::Pod, program, recipe, said, settings, wait_failure, wait_lines, wait_reloads,
    watching,
};

/// Serial number and fingerprint of a certificate, as openssl prints them.
#[track_caller]
fn identity(certificate: &str) -> String {
    let dir = TempDir::new();
    let file = dir.put("certificate", certificate);
    let args = ["x509", "-noout", "-serial", "-fingerprint", "-sha256", "-in", &file];
    let output = Command::new(program("openssl")).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same of what a server presents to somebody who comes now.
fn served(port: u16) -> String {
    let (place, openssl) = (format!("127.0.0.1:{port}"), program("openssl"));
    let asked = Command::new(openssl).args(["s_client", "-connect", &place]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    let (Some(begin), Some(end)) = (said.find("-----BEGIN"), said.find("-----END")) else {
        return format!("{said}\n{}", String::from_utf8_lossy(&asked.stderr));
    };
    let end = end + said[end..].find('\n').unwrap_or_default();
    identity(&format!("{}\n", &said[begin..end]))
}

#[track_caller]
fn wait_served(port: u16, pair: &Pair) {
    let wanted = identity(&pair.certificate);
    assert!(eventually(PATIENCE, || served(port) == wanted), "expected {wanted}, found {}", served(port));
}

/// nginx of the recipe, and its Secret.
struct Served {
    secret: ConfigMap,
    port: u16,
    nginx: Sidecar,
    pod: Pod,
    dir: TempDir,
}

impl Served {
    #[track_caller]
    fn start(authority: &Authority, pair: &Pair) -> Self {
        let (dir, port, pod) = (TempDir::new(), free_port(), Pod::new());
        let mut secret = ConfigMap::new(dir.join("tls"), Kubelet::New);
        update(&mut secret, authority, &pair.certificate, &pair.key);
        let tls = dir.join("tls");
        let places = [("/etc/tls", tls.to_str().unwrap()), ("listen 8443", &*format!("listen 127.0.0.1:{port}"))];
        dir.put("conf.d/default.conf", recipe("tls-rotation", "default.conf", &places));
        let nginx = nginx::with_conf_d(&pod, &dir, &dir.join("conf.d"));
        wait_served(port, pair);
        Self { secret, port, nginx, pod, dir }
    }

    /// The recipe's settings, and more.
    fn settings(&self, more: &str) -> [String; 2] {
        let (tls, conf_d) = (self.dir.join("tls"), self.dir.join("conf.d"));
        let places = [
            ("/etc/tls", tls.to_str().unwrap()),
            ("/etc/nginx/conf.d", conf_d.to_str().unwrap()),
            ("127.0.0.1:8443", &*format!("127.0.0.1:{}", self.port)),
        ];
        settings(&self.dir, &(recipe("tls-rotation", "config-reloader.yaml", &places) + more))
    }
}

fn update(secret: &mut ConfigMap, authority: &Authority, certificate: &str, key: &str) {
    secret.update(&[("tls.crt", certificate), ("tls.key", key), ("ca.crt", &authority.pem())]);
}

#[test]
fn the_recipe_serves_a_renewed_certificate() {
    let authority = Authority::new("pillion test");
    let mut pair = authority.server(&["127.0.0.1", "localhost"]);
    let mut web = Served::start(&authority, &pair);
    let sidecar = watching(web.pod.config_reloader().args(web.settings("")));
    for round in 1..=3 {
        let before = identity(&pair.certificate);
        pair = authority.server(&["127.0.0.1", "localhost"]);
        assert_ne!(identity(&pair.certificate), before);
        update(&mut web.secret, &authority, &pair.certificate, &pair.key);
        wait_reloads(&sidecar, round);
        // Verified means that nobody who comes from now on sees the old one.
        assert_eq!(served(web.port), identity(&pair.certificate));
        wait_lines(&web.nginx, nginx::TOLD, round);
        assert_eq!(said(&sidecar, "told"), round, "{}", sidecar.stderr());
    }
}

#[test]
fn an_authority_that_is_renewed_with_its_certificate_is_trusted() {
    let before = Authority::new("before");
    let mut web = Served::start(&before, &before.server(&["127.0.0.1"]));
    let sidecar = watching(web.pod.config_reloader().args(web.settings("")));
    let after = Authority::new("after");
    let pair = after.server(&["127.0.0.1"]);
    update(&mut web.secret, &after, &pair.certificate, &pair.key);
    wait_reloads(&sidecar, 1);
    assert_eq!(served(web.port), identity(&pair.certificate));
}

#[test]
fn a_certificate_that_is_not_its_keys_is_refused_and_the_old_one_served() {
    let authority = Authority::new("pillion test");
    let old = authority.server(&["127.0.0.1"]);
    let mut web = Served::start(&authority, &old);
    let check = format!("check:\n  - exec: {} -t -c {}\n", program("nginx"), web.dir.join("nginx.conf").display());
    let sidecar = watching(web.pod.config_reloader().args(web.settings(&check)));
    let new = authority.server(&["127.0.0.1"]);
    update(&mut web.secret, &authority, &new.certificate, &old.key);
    let problem = wait_failure(&sidecar, "check", "key values mismatch");
    assert!(problem.contains("tls.key"), "{problem}");
    let told = || lines_with(&web.nginx, nginx::TOLD) > 0 || said(&sidecar, "told") > 0;
    assert!(never(told), "{}", sidecar.stderr());
    assert_eq!(served(web.port), identity(&old.certificate));
    assert_eq!(sidecar.metric("config_reloader_pending"), Some(1.0));
    update(&mut web.secret, &authority, &new.certificate, &new.key);
    wait_reloads(&sidecar, 1);
    assert_eq!(served(web.port), identity(&new.certificate));
}

#[test]
fn a_certificate_of_somebody_else_is_served_and_said_to_be_wrong() {
    let authority = Authority::new("pillion test");
    let mut web = Served::start(&authority, &authority.server(&["127.0.0.1"]));
    let sidecar = watching(web.pod.config_reloader().args(web.settings("verify_within: 5s\n")));
    let stranger = Authority::new("stranger").server(&["127.0.0.1"]);
    update(&mut web.secret, &authority, &stranger.certificate, &stranger.key);
    let problem = wait_failure(&sidecar, "verify", "the app was told and is not well");
    assert!(problem.contains(&format!("https://127.0.0.1:{}/", web.port)), "{problem}");
    let line = sidecar.wait_log(|line| line.message().starts_with("nothing to go back to"));
    assert_eq!(line.level(), "ERROR");
    assert_eq!(served(web.port), identity(&stranger.certificate));
    assert_eq!(sidecar.metric("config_reloader_last_reload_successful"), Some(0.0));
    let own = authority.server(&["127.0.0.1"]);
    update(&mut web.secret, &authority, &own.certificate, &own.key);
    wait_reloads(&sidecar, 1);
    assert_eq!(served(web.port), identity(&own.certificate));
}
