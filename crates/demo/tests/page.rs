//! The page as a browser has it: fed while things happen, its buttons do what they say, and it sees the end.
#![allow(clippy::disallowed_methods, reason = "reads a capped answer of its own child")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

struct Demo {
    child: Child,
    page: String,
    /// Killed at the end, it takes nothing away itself.
    _tmp: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let tmp = tempfile::tempdir().expect("a directory");
        let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
            .env("TMPDIR", tmp.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo runs");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout"));
        let mut line = String::new();
        while !line.starts_with("page http://") {
            line.clear();
            assert!(lines.read_line(&mut line).expect("a line") > 0, "it ended early");
        }
        let page = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        let page = page.to_owned();
        // Nobody reads what it prints from here on, but it has to go somewhere.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { child, page, _tmp: tmp }
    }

    fn ask(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.page).expect("it listens");
        let length = body.len();
        let request =
            format!("{head}\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}", self.page);
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.take(1 << 20).read_to_string(&mut answer).expect("it answers");
        answer
    }

    fn press(&self, what: &str, typed: &str) {
        let answer = self.ask(&format!("POST /do/{what} HTTP/1.1\r\nX-Demo: 1"), typed);
        assert!(answer.starts_with("HTTP/1.1 202 "), "{what}: {answer}");
    }

    fn feed(&self) -> Feed {
        let mut stream = TcpStream::connect(&self.page).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a time-out");
        write!(stream, "GET /feed HTTP/1.1\r\nHost: {}\r\n\r\n", self.page).expect("it reads");
        Feed(BufReader::new(stream))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Only of use when a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The states as they come.
struct Feed(BufReader<TcpStream>);

impl Feed {
    fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).expect("the feed goes on") == 0 {
                return None;
            }
            if let Some(state) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(state).expect("JSON"));
            }
        }
    }

    #[track_caller]
    fn until(&mut self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        let mut last = Value::Null;
        while Instant::now() < end {
            last = self.next().unwrap_or_else(|| panic!("the feed ended before {what}"));
            if so(&last) {
                return last;
            }
        }
        panic!("not within {} s: {what}: {last:#}", SOON.as_secs());
    }
}

fn happened(state: &Value, who: &str, text: &str) -> bool {
    let fits = |event: &Value| event["who"] == who && event["text"].as_str().is_some_and(|said| said.contains(text));
    state["events"].as_array().is_some_and(|events| events.iter().any(fits))
}

fn sidecar<'a>(state: &'a Value, name: &str) -> &'a Value {
    let sidecars = state["sidecars"].as_array().expect("a list");
    sidecars.iter().find(|sidecar| sidecar["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn the_page_is_fed_its_buttons_do_something_and_it_sees_the_end() {
    let demo = Demo::start();
    let page = demo.ask("GET / HTTP/1.1", "");
    assert!(
        page.contains("default-src 'none'") && !page.contains("https://") && !page.contains("src=\"http"),
        "{page}"
    );
    let mut feed = demo.feed();
    let state = feed.until("five sidecars are ready", |state| {
        let ready = |sidecar: &Value| sidecar["ready"] == true && sidecar["resident"].as_f64() > Some(0.0);
        state["sidecars"].as_array().is_some_and(|all| all.len() == 5 && all.iter().all(ready))
    });
    assert_eq!(state["phase"], "running");

    demo.press("config-reloader/greet", "Salut <b>");
    feed.until("the app has the new greeting", |state| happened(state, "app", "says “Salut <b>”"));
    demo.press("config-reloader/greet", "");
    feed.until("an empty greeting is refused", |state| happened(state, "config-reloader", "refused: line 2: greeting"));
    demo.press("log-shipper/burst", "");
    feed.until("a burst has arrived", |state| happened(state, "Elasticsearch", "5000 more lines"));
    demo.press("metrics-adapter/thousand", "");
    feed.until("a thousand are counted", |state| happened(state, "metrics-adapter", "button_pressed is 1000 now"));
    demo.press("auth-proxy/outsider", "");
    feed.until("an outsider is refused", |state| happened(state, "auth-proxy", "mallory has an account, and gets 403"));
}

#[test]
fn a_sidecar_that_is_killed_comes_back_and_the_stop_is_seen() {
    let mut demo = Demo::start();
    let mut feed = demo.feed();
    feed.until("it is there", |state| sidecar(state, "log-shipper")["ready"] == true);
    demo.press("log-shipper/kill", "");
    feed.until("it is gone", |state| happened(state, "log-shipper", "has ended: signal: 9"));
    feed.until("it is back", |state| {
        let view = sidecar(state, "log-shipper");
        view["ready"] == true && view["restarts"] == 1 && happened(state, "log-shipper", "is back")
    });
    let pid = Pid::from_raw(demo.child.id() as i32).expect("a pid");
    kill_process(pid, Signal::INT).expect("it is there");
    let end = feed.until("the end", |state| state["phase"] == "stopped");
    let stops = end["stops"].as_array().expect("a list");
    let names: Vec<_> = stops.iter().filter_map(|stop| stop["name"].as_str()).collect();
    let order = ["app", "auth-proxy", "reverse-proxy", "metrics-adapter", "log-shipper", "config-reloader"];
    assert_eq!(names, order);
    assert!(stops.iter().all(|stop| stop["code"] == "0"), "{stops:#?}");
    let said = stops.iter().find(|stop| stop["name"] == "log-shipper").map(|stop| stop["words"].to_string());
    assert!(said.is_some_and(|words| words.contains("each once")), "{stops:#?}");
    assert_eq!(demo.child.wait().expect("its end").code(), Some(0));
}
