//! The app alone: what its image promises to the manifests that use it.
#![allow(clippy::disallowed_methods, reason = "reads a capped answer of its own child")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

struct App {
    child: Child,
    stderr: BufReader<ChildStderr>,
    addr: String,
}

impl App {
    fn start(config: &Path, logs: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
            .arg("app")
            .env("BIND", "127.0.0.1")
            .env("PORT", "0")
            .env("APP_CONFIG", config)
            .env("LOG_PATH", logs)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the app runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
        let line = line_with(&mut stderr, "listening");
        let addr = line.split("\"addr\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let addr = addr.unwrap_or_else(|| panic!("no address in {line}")).to_owned();
        Self { child, stderr, addr }
    }

    /// The status and the body.
    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.addr).expect("it listens");
        let request = format!("{method} {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.trim_end().to_owned())
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a pid");
        kill_process(pid, signal).expect("it is there");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Only of use when a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line_with(from: &mut impl BufRead, words: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(from.read_line(&mut line).expect("a line") > 0, "it ended before it said {words}");
        if line.contains(words) {
            return line;
        }
    }
}

#[test]
fn it_answers_reloads_logs_and_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let (config, logs) = (dir.path().join("greeting.conf"), dir.path().join("var/log/app"));
    fs::write(&config, "version = 1\ngreeting = Hello\n").expect("a config");
    let mut app = App::start(&config, &logs);
    for path in ["/health", "/healthz", "/ready", "/readyz"] {
        assert_eq!(app.ask("GET", path), (200, "ok".into()), "{path}");
    }
    assert_eq!(app.ask("GET", "/"), (200, "Hello".into()));
    assert_eq!(app.ask("GET", "/nowhere").0, 404);

    fs::write(&config, "version = 2\ngreeting = Bonjour\n").expect("a config");
    assert_eq!(app.ask("POST", "/-/reload"), (200, "reloaded: version 2".into()));
    assert_eq!(app.ask("GET", "/"), (200, "Bonjour".into()));

    fs::write(&config, "version = three\n").expect("a config");
    let refused = "not reloaded, the old config stays: greeting.conf: line 1: version \"three\": expected a number";
    assert_eq!(app.ask("POST", "/-/reload"), (422, refused.into()));
    assert_eq!(app.ask("GET", "/"), (200, "Bonjour".into()));

    fs::write(&config, "version = 4\ngreeting = Hola\n").expect("a config");
    app.signal(Signal::HUP);
    line_with(&mut app.stderr, "\"version\":\"4\"");
    assert_eq!(app.ask("GET", "/"), (200, "Hola".into()));

    for name in ["app.log", "access.log"] {
        fs::rename(logs.join(name), logs.join(format!("{name}.1"))).expect("a rotation");
    }
    app.signal(Signal::USR1);
    line_with(&mut app.stderr, "logs opened again");
    assert_eq!(app.ask("GET", "/rotated").0, 404);

    app.signal(Signal::TERM);
    let goodbye = line_with(&mut app.stderr, "\"stopped\"");
    assert_eq!(app.child.wait().expect("its end").code(), Some(0));
    let lines = |name: &str| fs::read_to_string(logs.join(name)).expect("a log");
    let mut written = 0;
    for (name, wanted) in [
        ("app.log.1", ["\"listening\"", "\"greeted\""]),
        ("app.log", ["\"logs opened again\"", "\"stopped\""]),
        ("access.log.1", ["\"GET / HTTP/1.1\" 200 6 ", "\"POST /-/reload HTTP/1.1\" 422 "]),
        ("access.log", ["\"GET /rotated HTTP/1.1\" 404 ", "127.0.0.1 - - ["]),
    ] {
        let log = lines(name);
        written += log.lines().count();
        for words in wanted {
            assert!(log.contains(words), "no {words} in {name}: {log}");
        }
    }
    assert!(goodbye.contains(&format!("\"lines\":\"{written}\"")), "{written} lines, {goodbye}");
}

#[test]
fn a_broken_config_is_an_error_at_the_start_and_in_a_check() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("greeting.conf");
    fs::write(&config, "greeting: Hello\n").expect("a config");
    let config = config.to_str().expect("UTF-8");
    for args in [["app", "--check", config], ["app", "--config", config]] {
        let output = Command::new(env!("CARGO_BIN_EXE_demo")).args(args).env("PORT", "0").output();
        let output = output.expect("the app runs");
        assert_eq!(output.status.code(), Some(78), "{args:?}");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("line 1: \"greeting: Hello\": expected name = value"), "{words}");
    }
}
