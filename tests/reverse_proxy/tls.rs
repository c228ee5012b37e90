//! TLS: certificates that change, clients that have to say who they are.

use std::process::Command;

use test_kit::{Authority, Pair, eventually};

use crate::{Bench, PATIENCE, Proxy};

const CONFIG: &str = "listeners:
- listen: LISTEN
  forwarded: [x_forwarded, client_certificate]
  tls: {cert_file: DIR/tls.crt, key_file: DIR/tls.key, client_ca_file: DIR/ca.crt, client_certificates: optional}
  routes:
  - {path: /who, client_names: ['*CN=friend*', 'CN=friend'], to: APP}
  - {to: APP}\n";

fn put(bench: &Bench, pair: &Pair, name: &str) {
    bench.put(&format!("{name}.key"), &pair.key);
    bench.put(&format!("{name}.crt"), &pair.certificate);
}

/// What curl says: its output, and whether all was well.
fn curl(bench: &Bench, proxy: &Proxy, path: &str, more: &[&str]) -> (String, bool) {
    let url = format!("https://localhost:{}{path}", proxy.at.port());
    let ca = bench.dir.join("ca.crt");
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "20", "-w", "%{http_code} %{http_version}", "--cacert"]).arg(ca);
    command.args(["--resolve", &format!("localhost:{}:127.0.0.1", proxy.at.port()), &url]).args(more);
    let output = command.output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn tls_is_terminated_and_the_client_is_known_by_its_certificate() {
    let (bench, authority) = (Bench::new(), Authority::new("test CA"));
    bench.put("ca.crt", &authority.pem());
    put(&bench, &authority.server(&["localhost"]), "tls");
    put(&bench, &authority.client("friend"), "friend");
    put(&bench, &authority.client("stranger"), "stranger");
    let proxy = bench.serving(CONFIG);
    assert_eq!(curl(&bench, &proxy, "/", &["--http1.1"]).0, "hello from the app200 1.1");
    assert_eq!(bench.asked().header("x-forwarded-proto"), Some("https"));
    assert_eq!(bench.asked().header("x-forwarded-client-cert"), None);
    assert!(curl(&bench, &proxy, "/", &["--http2"]).0.ends_with("200 2"), "HTTP/2 by ALPN");
    let shown = |name: &str| {
        let file = |end: &str| bench.dir.join(format!("{name}.{end}")).to_str().unwrap().to_owned();
        curl(&bench, &proxy, "/who", &["--cert", &file("crt"), "--key", &file("key")]).0
    };
    assert!(shown("friend").contains("200"), "{}", shown("friend"));
    let told = bench.asked().header("x-forwarded-client-cert").unwrap().to_owned();
    assert!(told.starts_with("Hash=") && told.contains(";Subject=\"CN=friend\""), "{told}");
    assert!(shown("stranger").contains("403"));
    assert!(curl(&bench, &proxy, "/who", &[]).0.contains("403"), "without a certificate nobody");
}

#[test]
fn a_new_certificate_is_shown_without_a_reload_and_a_bad_one_is_not() {
    let (bench, authority) = (Bench::new(), Authority::new("test CA"));
    bench.put("ca.crt", &authority.pem());
    put(&bench, &authority.server(&["elsewhere.test"]), "tls");
    let proxy = bench.serving(CONFIG);
    assert!(!curl(&bench, &proxy, "/", &[]).1, "it is not for localhost yet");
    put(&bench, &authority.server(&["localhost"]), "tls");
    assert!(eventually(PATIENCE, || curl(&bench, &proxy, "/", &[]).1), "{}", proxy.sidecar.stderr());
    bench.put("tls.key", "nothing of use");
    proxy.sidecar.wait_log(|line| line.message().starts_with("certificates not reloaded, the old ones stay"));
    assert!(curl(&bench, &proxy, "/", &[]).1);
}

#[test]
fn an_app_with_a_certificate_of_version_1_is_reached_where_nobody_asks_who_it_is() {
    let bench = Bench::new();
    let fixture = |name: &str| format!("{}/../../tests/fixtures/tls/version1.{name}", env!("CARGO_MANIFEST_DIR"));
    for version in ["1.2", "1.3"] {
        let tls = format!(
            "{{cert_file: {}, key_file: {}, min_version: '{version}', max_version: '{version}'}}",
            fixture("crt"),
            fixture("key")
        );
        let app = bench.serving(&format!("listeners: [{{listen: LISTEN, tls: {tls}, routes: [{{to: APP}}]}}]\n"));
        let file = bench.put(
            "front.yaml",
            &format!(
                "clusters:
- {{name: any, endpoints: ['{0}'], tls: {{dangerously_skip_verification: true}}}}
- {{name: checked, endpoints: ['{0}'], tls: {{ca_file: {1}, server_name: localhost}}}}
listeners: [{{listen: LISTEN, routes: [{{path: /checked, to: checked}}, {{to: any}}]}}]\n",
                app.at,
                fixture("crt")
            ),
        );
        let front = Proxy::of(bench.start().args(["--config", &file]));
        assert_eq!(front.get("/").status, 200, "{version}: {}", front.sidecar.stderr());
        assert_eq!(front.get("/checked").status, 502, "{version}");
    }
}

#[test]
fn tls_is_passed_through_by_name_and_spoken_to_an_app() {
    let (bench, authority) = (Bench::new(), Authority::new("test CA"));
    bench.put("ca.crt", &authority.pem());
    put(&bench, &authority.server(&["localhost", "one.test"]), "tls");
    put(&bench, &authority.client("friend"), "friend");
    // The app behind: it ends TLS, and asks who comes.
    let app = bench.serving(CONFIG);
    let (port, at) = (app.at.port(), app.at);
    let file = bench.put(
        "front.yaml",
        &format!(
            "clusters:
- name: secure
  endpoints: ['{at}']
  tls: {{ca_file: DIR/ca.crt, server_name: localhost, cert_file: DIR/friend.crt, key_file: DIR/friend.key}}
- name: wrong
  endpoints: ['{at}']
  tls: {{ca_file: DIR/ca.crt, server_name: other.test}}
listeners:
- {{listen: LISTEN, tcp: [{{server_names: ['*.test'], to: '127.0.0.1:{port}'}}, {{to: '127.0.0.1:1'}}]}}
- {{listen: 'unix:DIR/front.sock', routes: [{{prefix: /wrong, to: wrong}}, {{to: secure}}]}}\n"
        ),
    );
    let front = Proxy::of(bench.start().args(["--config", &file]));
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-s", "--max-time", "20", "-w", "%{http_code}", "--cacert"]).arg(bench.dir.join("ca.crt"));
        let output = command.args(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    };
    let port = front.at.port();
    let resolve = format!("one.test:{port}:127.0.0.1");
    assert_eq!(curl(&["--resolve", &resolve, &format!("https://one.test:{port}/")]).0, "hello from the app200");
    assert!(!curl(&["--resolve", &format!("localhost:{port}:127.0.0.1"), &format!("https://localhost:{port}/")]).1);
    let socket = bench.dir.join("front.sock");
    let over_socket = |path: &str| curl(&["--unix-socket", socket.to_str().unwrap(), &format!("http://a{path}")]).0;
    assert!(over_socket("/who").ends_with("200"), "our own certificate is shown: {}", front.sidecar.stderr());
    assert!(over_socket("/wrong").ends_with("502"), "a name that is not the app's is not believed");
}
