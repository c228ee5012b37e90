//! The port where metrics are, guarded by a web configuration.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use test_kit::{Authority, Pair, Sidecar, TempDir, eventually, http};
use tls::{
    ClientTls, Identity, Roots,
    rustls::{ClientConnection, StreamOwned, pki_types::ServerName},
};

use crate::{PATIENCE, adapter};

/// "secret", at the lowest cost there is.
const HASH: &str = "$2a$04$RJVpoZ/HTdQ5f2Mte/wNNeplN8Ym6ekoxuztBlCIDJTbyMp9iIj/i";

fn start(file: &str) -> Sidecar {
    let sidecar = adapter().args(["--listen", "udp://127.0.0.1:0", "--web-config", file]).spawn();
    sidecar.wait_message("ready");
    sidecar
}

fn status(sidecar: &Sidecar, path: &str, headers: &[(&str, &str)]) -> u16 {
    http::request(sidecar.admin(), "GET", path, headers, "").unwrap().status
}

fn put(dir: &TempDir, name: &str, pair: &Pair) -> Identity {
    let certificate = dir.put(&format!("{name}.crt"), &pair.certificate).into();
    Identity { certificate, key: dir.put(&format!("{name}.key"), &pair.key).into() }
}

/// The first line of the answer to a request by TLS.
fn by_tls(sidecar: &Sidecar, client: &ClientTls, head: &str) -> Result<String, String> {
    let config = Arc::new(client.load().unwrap());
    let connection = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let socket = TcpStream::connect(sidecar.admin()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    let mut answer = Vec::new();
    let request = format!("GET /metrics HTTP/1.0\r\n{head}\r\n");
    stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer)).map_err(|e| e.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    answer.lines().next().map(str::to_owned).ok_or("no answer".to_owned())
}

#[test]
fn a_password_is_asked_for_on_every_path() {
    let dir = TempDir::new();
    let text =
        format!("basic_auth_users: {{ada: {HASH}}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n");
    let sidecar = start(&dir.put("web.yaml", text));
    // ada:secret, ada:wrong
    let (right, wrong) = ("Basic YWRhOnNlY3JldA==", "Basic YWRhOndyb25n");
    for path in ["/metrics", "/series", "/-/healthy", "/readyz", "/"] {
        assert_eq!(status(&sidecar, path, &[]), 401, "{path}");
        assert_eq!(status(&sidecar, path, &[("Authorization", wrong)]), 401, "{path}");
        assert_eq!(status(&sidecar, path, &[("Authorization", right)]), 200, "{path}");
    }
    let answer = http::request(sidecar.admin(), "GET", "/metrics", &[], "").unwrap();
    assert_eq!(answer.header("www-authenticate"), Some("Basic"));
    assert_eq!(answer.header("x-frame-options"), Some("deny"));
    sidecar.wait_message("somebody came for metrics with a wrong name or password");
}

#[test]
fn a_changed_file_counts_without_a_restart_and_a_bad_one_does_not() {
    let dir = TempDir::new();
    let file = dir.put("web.yaml", "basic_auth_users: {}\n");
    let sidecar = start(&file);
    assert_eq!(status(&sidecar, "/metrics", &[]), 200);
    dir.put("web.yaml", format!("basic_auth_users: {{ada: {HASH}}}\n"));
    assert_eq!(status(&sidecar, "/metrics", &[]), 401);
    dir.put("web.yaml", "basic_auth_users: {ada: no-hash}\n");
    assert_eq!(status(&sidecar, "/metrics", &[]), 401);
    let line = sidecar.wait_message("the web configuration is as it was");
    assert!(line.field("problem").contains("web.yaml:1: basic_auth_users.ada: expected a bcrypt hash"), "{}", line.raw);
    assert!(!line.raw.contains("no-hash"), "{}", line.raw);
    dir.put("web.yaml", "basic_auth_users: {}\n# open again\n");
    assert_eq!(status(&sidecar, "/metrics", &[]), 200);
}

#[test]
fn tls_asks_for_certificates_and_takes_new_ones() {
    let (dir, authority, other) = (TempDir::new(), Authority::new("ours"), Authority::new("other"));
    let roots = dir.put("ca.crt", authority.pem());
    put(&dir, "server", &authority.server(&["localhost"]));
    let sidecar = start(&dir.put(
        "web.yaml",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: ca.crt\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [scraper.test]\n",
    ));
    let client =
        |roots: &str, identity| ClientTls { roots: Roots::File(roots.into()), identity, ..ClientTls::default() };
    let scraper = put(&dir, "scraper", &authority.client_with("scraper", &["scraper.test"]));
    let stranger = put(&dir, "stranger", &authority.client_with("stranger", &["stranger.test"]));
    assert_eq!(by_tls(&sidecar, &client(&roots, Some(scraper.clone())), "").as_deref(), Ok("HTTP/1.0 200 OK"));
    for identity in [None, Some(stranger)] {
        assert!(by_tls(&sidecar, &client(&roots, identity), "").is_err());
    }
    assert!(http::get(sidecar.admin(), "/metrics").is_err());
    sidecar.wait_message("somebody who came for metrics was turned away");
    // Another authority's from now on.
    put(&dir, "server", &other.server(&["localhost"]));
    let roots = dir.put("other.crt", other.pem());
    let taken = || by_tls(&sidecar, &client(&roots, Some(scraper.clone())), "").is_ok();
    assert!(eventually(PATIENCE, taken), "{}", sidecar.stderr());
}

#[test]
fn a_web_configuration_that_cannot_work_is_no_start() {
    let dir = TempDir::new();
    for (text, expected) in [
        ("basic_auth_user: {}\n", "web.yaml:1: basic_auth_user: unknown key, did you mean basic_auth_users?"),
        ("tls_server_config: {cert_file: none.crt, key_file: none.key}\n", "none.crt"),
    ] {
        let file = dir.put("web.yaml", text);
        for more in [&[][..], &["--check-config"]] {
            let output = adapter().args(["--listen", "udp://127.0.0.1:0", "--web-config", &file]).args(more).run();
            assert_eq!(output.code, 78, "{}", output.stderr);
            assert!(output.stderr.contains(expected), "{}", output.stderr);
        }
    }
}

#[test]
fn the_flag_of_other_exporters_guards_the_peers_port_too() {
    let dir = TempDir::new();
    let file = dir.put("web.yaml", format!("basic_auth_users: {{ada: {HASH}}}\n"));
    let flags = ["--web.listen-address=127.0.0.1:0", "--statsd.listen-udp=127.0.0.1:0", "--statsd.listen-tcp="];
    let guarded = format!("--web.config.file={file}");
    let sidecar = adapter().argv0("statsd_exporter").own_admin().args(flags).args([guarded]).spawn();
    sidecar.wait_message("ready");
    assert_eq!(status(&sidecar, "/metrics", &[]), 401);
    assert_eq!(status(&sidecar, "/metrics", &[("Authorization", "Basic YWRhOnNlY3JldA==")]), 200);
}

#[test]
fn the_health_check_comes_in_by_tls_and_with_a_password() {
    let (dir, authority) = (TempDir::new(), Authority::new("ours"));
    // Neither this machine's name nor an authority that anybody here trusts.
    put(&dir, "server", &authority.server(&["metrics.example"]));
    put(&dir, "other", &authority.server(&["metrics.example"]));
    let password = dir.put("password", "secret\n");
    let tls = |name: &str| format!("tls_server_config: {{cert_file: {name}.crt, key_file: {name}.key}}\n");
    let file = dir.put("web.yaml", format!("{}basic_auth_users: {{ada: {HASH}}}\n", tls("server")));
    let sidecar = start(&file);
    let admin = sidecar.admin().to_string();
    let check = |file: &str, more: &[&str]| {
        let asked = ["healthcheck", "--admin-addr", &admin, "--web-config", file];
        let output = adapter().own_admin().args(asked).args(more.iter().copied()).run();
        (output.code, output.stderr)
    };
    let known = ["--user", "ada", "--password-file", &password];
    assert_eq!(check(&file, &known), (0, String::new()));
    assert_eq!(check(&file, &[&known[..], &["--live"]].concat()).0, 0);
    let (code, said) = check(&file, &[]);
    assert!(code == 1 && said.contains("answered 401") && said.contains("--password-file"), "{code}: {said}");
    // Whoever has another certificate is not told the password.
    let (code, said) = check(&dir.put("other.yaml", tls("other")), &known);
    assert!(code == 1 && said.contains("does not show the certificate in"), "{code}: {said}");
}

#[test]
fn the_health_check_shows_a_certificate_where_one_is_asked_for() {
    let (dir, authority) = (TempDir::new(), Authority::new("ours"));
    dir.put("ca.crt", authority.pem());
    put(&dir, "server", &authority.server(&["localhost"]));
    let client = put(&dir, "client", &authority.client_with("check", &["check.test"]));
    let asks = |kind: &str| {
        let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
        format!("{tls}  client_auth_type: {kind}\n")
    };
    let verified = format!("{}  client_ca_file: ca.crt\n", asks("RequireAndVerifyClientCert"));
    for (text, own, other) in [(asks("RequireAnyClientCert"), 0, 0), (verified, 1, 0)] {
        let file = dir.put("web.yaml", text);
        let sidecar = start(&file);
        let admin = sidecar.admin().to_string();
        let check = |more: &[&str]| {
            let asked = ["healthcheck", "--admin-addr", &admin, "--web-config", &file];
            adapter().own_admin().args(asked).args(more.iter().copied()).run().code
        };
        assert_eq!(check(&[]), own);
        let (certificate, key) = (client.certificate.display().to_string(), client.key.display().to_string());
        assert_eq!(check(&["--cert", &certificate, "--key", &key]), other);
    }
}
