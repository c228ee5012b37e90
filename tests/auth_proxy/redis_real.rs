//! The stories of `redis` with a real Redis: by TCP, with TLS, behind a unix socket, and found by a sentinel.

use std::process::{Child, Command, Stdio};

use test_kit::{Authority, PATIENCE, TempDir, eventually, free_port};

use crate::{browser::World, redis::*};

const PASSWORD: &str = "open sesame";

struct Server {
    process: Child,
    port: u16,
    dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn started(dir: TempDir, port: u16, args: &[&str]) -> Server {
    let process = Command::new("redis-server")
        .args(args)
        .current_dir(dir.to_str().unwrap())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server, which .ci/install-servers installs");
    assert!(eventually(PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()));
    Server { process, port, dir }
}

fn redis(more: &[&str]) -> Server {
    let port = free_port();
    let number = port.to_string();
    let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", PASSWORD];
    let port_args = if more.contains(&"--tls-port") { ["--port", "0"] } else { ["--port", &number] };
    let more: Vec<&str> = more.iter().map(|arg| if *arg == "{port}" { &*number } else { arg }).collect();
    started(TempDir::new(), port, &[&fixed[..], &port_args, &more].concat())
}

fn flags(url: &str) -> Vec<String> {
    vec![
        "--session-store-type=redis".into(),
        format!("--redis-connection-url={url}"),
        format!("--redis-password={PASSWORD}"),
    ]
}

#[test]
fn a_real_redis_keeps_sessions_for_all_replicas() {
    let server = redis(&[]);
    let flags = flags(&format!("redis://127.0.0.1:{}/2", server.port));
    replicas_share_sessions_and_signing_out_ends_them_everywhere(&flags);
    replicas_refresh_a_session_once(&flags);
    a_provider_ends_sessions_on_all_replicas(&flags);
}

#[test]
fn a_real_redis_that_comes_back_is_found_and_a_unix_socket_does_as_well() {
    let server = redis(&["--unixsocket", "redis.sock"]);
    let socket = format!("unix://{}/redis.sock", server.dir.to_str().unwrap());
    replicas_share_sessions_and_signing_out_ends_them_everywhere(&flags(&socket));
    let flags = flags(&format!("redis://127.0.0.1:{}", server.port));
    let world = World::new(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let mut browser = world.browser();
    browser.sign_in("/");
    let port = server.port;
    drop(server);
    assert_eq!(browser.get("/").status, 503);
    let number = port.to_string();
    let args = ["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD, "--port", &number];
    let _again = started(TempDir::new(), port, &args);
    // It is an empty one: whoever was signed in is asked to do so again.
    assert!(eventually(PATIENCE, || browser.get("/").status == 403));
    browser.sign_in("/");
    assert_eq!(browser.get("/").status, 200);
}

#[test]
fn a_real_redis_speaks_tls_to_those_who_trust_it() {
    let authority = Authority::new("the house");
    let pair = authority.server(&["127.0.0.1"]);
    let dir = TempDir::new();
    let (ca, certificate, key) =
        (dir.put("ca.pem", authority.pem()), dir.put("redis.pem", &pair.certificate), dir.put("redis.key", &pair.key));
    let server = redis(&[
        "--tls-port",
        "{port}",
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ]);
    let mut flags = flags(&format!("rediss://127.0.0.1:{}", server.port));
    let world = World::new(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(world.browser().get("/ready").status, 503, "a certificate of nobody that is known");
    flags.push(format!("--redis-ca-path={ca}"));
    replicas_share_sessions_and_signing_out_ends_them_everywhere(&flags);
}

#[test]
fn a_real_sentinel_says_which_redis_is_the_master() {
    let server = redis(&[]);
    let (dir, port) = (TempDir::new(), free_port());
    let config = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main {PASSWORD}\n",
        server.port
    );
    // The config of a sentinel is quoted by itself where it has spaces.
    let config = dir.put("sentinel.conf", config.replace(PASSWORD, &format!("\"{PASSWORD}\"")));
    let sentinel = started(dir, port, &[&config, "--sentinel"]);
    let flags = [
        "--session-store-type=redis".to_owned(),
        "--redis-use-sentinel=true".into(),
        "--redis-sentinel-master-name=main".into(),
        format!("--redis-sentinel-connection-urls=redis://127.0.0.1:{}", sentinel.port),
        format!("--redis-password={PASSWORD}"),
    ];
    replicas_share_sessions_and_signing_out_ends_them_everywhere(&flags);
}
