//! Tell: every way, in order, until it worked.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use test_kit::{HookServer, PATIENCE, Reply, Signal, TempDir, eventually};

use crate::{hooked, never, pause, start, wait_content, wait_reloads, watching, watching_by};

/// A process that goes with the test.
struct App(Child);

impl App {
    /// A shell that writes to this file when it is told HUP. Its loop must not start by another name.
    fn that_notes_hup(note: &str, argv0: &str) -> Self {
        let script = format!("trap 'echo told >> {note}' HUP; echo ready; while :; do sleep 0.05; done");
        // Under nohup a shell inherits that HUP is ignored, and cannot trap it.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", "sh", "-c", &script, argv0]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self(child)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_failing_target_does_not_silence_the_others() {
    let dir = TempDir::new();
    let (bad, good) = (HookServer::answering([Reply::Status(500, "no".into())]), HookServer::start());
    let file = dir.put("a", "1");
    let _sidecar = watching(&["--watch", &file, "--url", &bad.url("/bad"), "--url", &good.url("/good")]);
    fs::write(&file, "2").unwrap();
    bad.wait_requests(3);
    assert_eq!(good.wait_requests(1).len(), 1, "what worked is not told twice");
}

#[test]
fn order_is_kept() {
    let dir = TempDir::new();
    let (file, note) = (dir.put("a", "1"), dir.join("note"));
    let exec = |word: &str| format!("sh -c 'sleep 0.0{}; echo {word} >> {}'", 9 - word.len(), note.display());
    let (one, two, three) = (exec("one"), exec("second"), exec("thethird"));
    let sidecar = watching(&["--watch", &file, "--exec", &one, "--exec", &two, "--exec", &three]);
    for round in 1..=3 {
        fs::write(&file, format!("round {round}")).unwrap();
        wait_reloads(&sidecar, round);
    }
    wait_content(note.to_str().unwrap(), &"one\nsecond\nthethird\n".repeat(3));
}

#[test]
fn retries_until_it_works() {
    let dir = TempDir::new();
    let (hook, sidecar, file) = hooked(&dir, &[]);
    hook.answer([Reply::Status(500, "not yet".into()), Reply::Close, Reply::ok()]);
    fs::write(&file, "2").unwrap();
    hook.wait_requests(3);
    wait_reloads(&sidecar, 1);
    assert!(never(|| hook.requests().len() > 3));
    sidecar.wait_log(|line| line.level() == "ERROR" && line.message().contains("500"));
    sidecar.wait_log(|line| line.level() == "WARN" && line.message().starts_with("trying again in"));
    assert_eq!(sidecar.metric("config_reloader_last_reload_successful"), Some(1.0));
}

#[test]
fn a_newer_change_replaces_a_pending_one() {
    let dir = TempDir::new();
    let hook = HookServer::answering([Reply::Status(503, String::new())]);
    let file = dir.put("a", "1");
    let yaml =
        format!("watch: {file}\nsettle: 20ms\nretry: {{first: 1h, most: 1h}}\ntell:\n  - http: {}\n", hook.url("/"));
    let sidecar = watching_by(&dir, &yaml);
    fs::write(&file, "2").unwrap();
    hook.wait_requests(1);
    hook.answer([Reply::ok()]);
    fs::write(&file, "3").unwrap();
    hook.wait_requests(2);
    wait_reloads(&sidecar, 1);
    assert!(never(|| hook.requests().len() > 2));
}

#[test]
fn a_server_may_say_when_to_come_back() {
    let dir = TempDir::new();
    let (hook, _sidecar, file) = hooked(&dir, &[]);
    hook.answer([Reply::Header(503, "Retry-After", "3".into()), Reply::ok()]);
    fs::write(&file, "2").unwrap();
    let requests = hook.wait_requests(2);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(2900));
}

#[test]
fn requests_have_the_method_headers_body_and_credentials_asked_for() {
    let (dir, hook) = (TempDir::new(), HookServer::answering([Reply::Status(204, String::new())]));
    let (file, token) = (dir.put("a", "1"), dir.put("token", "t0ken\n"));
    let yaml = format!(
        "watch: {file}\nsettle: 20ms\ntell:\n  - http:\n      url: {}\n      method: PUT\n      headers: {{X-Who: me}}\n      body: '{{\"now\": true}}'\n      expect: 204\n      token_file: {token}\n",
        hook.url("/x?y=1")
    );
    let sidecar = watching_by(&dir, &yaml);
    fs::write(&file, "2").unwrap();
    let request = hook.wait_requests(1).remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/x?y=1"));
    assert_eq!(request.header("x-who"), Some("me"));
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(request.body, "{\"now\": true}");
    wait_reloads(&sidecar, 1);
    fs::write(&token, "rotated").unwrap();
    fs::write(&file, "3").unwrap();
    assert_eq!(hook.wait_requests(2)[1].header("authorization"), Some("Bearer rotated"));
    let said = sidecar.stderr() + &sidecar.admin_get("/metrics").1;
    assert!(!said.contains("t0ken") && !said.contains("rotated"), "{said}");
}

#[test]
fn passwords_in_urls_are_never_shown() {
    let (dir, hook) = (TempDir::new(), HookServer::answering([Reply::Status(500, String::new())]));
    let file = dir.put("a", "1");
    let url = format!("http://me:hunter2@{}/", hook.addr());
    let sidecar = watching(&["--watch", &file, "--url", &url]);
    fs::write(&file, "2").unwrap();
    hook.wait_requests(1);
    assert!(hook.requests()[0].header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    sidecar.wait_log(|line| line.message().starts_with("not told"));
    let said = sidecar.stderr() + &sidecar.admin_get("/metrics").1;
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn signals_by_pattern_by_pidfile_and_by_name() {
    let dir = TempDir::new();
    let (file, note) = (dir.put("a", "1"), dir.put("note", ""));
    let mark = format!("app-{}", dir.file_name().unwrap().to_str().unwrap());
    let app = App::that_notes_hup(&note, &mark);
    let pidfile = dir.put("app.pid", format!("{}\n", app.0.id()));
    let signal = ["--watch", &file, "--signal", "HUP"];
    let pattern = [&signal[..], &["--command-line", &mark]].concat();
    let by_file = [&signal[..], &["--pidfile", &pidfile]].concat();
    for (round, args) in [pattern, by_file].iter().enumerate() {
        let sidecar = watching(args);
        fs::write(&file, format!("round {round}")).unwrap();
        wait_reloads(&sidecar, 1);
        wait_content(&note, &"told\n".repeat(round + 1));
    }
}

#[test]
fn a_process_is_found_by_a_name_longer_than_the_kernel_keeps() {
    let dir = TempDir::new();
    let file = dir.put("a", "1");
    let name = format!("very-long-process-name-{}", std::process::id());
    let program = dir.join(&name);
    fs::copy("/bin/sleep", &program).unwrap();
    let mut app = App(Command::new(&program).arg("60").spawn().unwrap());
    let sidecar = watching(&["--watch", &file, "--signal", "TERM", "--process", &name]);
    fs::write(&file, "2").unwrap();
    wait_reloads(&sidecar, 1);
    assert!(eventually(PATIENCE, || app.0.try_wait().unwrap().is_some()));
}

#[test]
fn a_target_process_that_died_is_named_and_told_when_it_is_back() {
    let dir = TempDir::new();
    let (file, note) = (dir.put("a", "1"), dir.put("note", ""));
    let mark = format!("back-{}", dir.file_name().unwrap().to_str().unwrap());
    let sidecar = watching(&["--watch", &file, "--signal", "HUP", "--command-line", &mark]);
    fs::write(&file, "2").unwrap();
    sidecar.wait_log(|line| line.message().contains(&format!("no process matches /{mark}/")));
    let _app = App::that_notes_hup(&note, &mark);
    wait_reloads(&sidecar, 1);
    wait_content(&note, "told\n");
}

#[test]
fn a_stale_pidfile_is_explained() {
    let dir = TempDir::new();
    let (file, pidfile) = (dir.put("a", "1"), dir.put("pid", "4194000"));
    let sidecar = watching(&["--watch", &file, "--signal", "HUP", "--pidfile", &pidfile]);
    fs::write(&file, "2").unwrap();
    sidecar.wait_log(|line| line.message().contains("no process has pid 4194000"));
    fs::write(&pidfile, "not a number").unwrap();
    sidecar.wait_log(|line| line.message().contains("expected a pid"));
}

#[test]
fn a_line_goes_to_sockets_and_its_answer_is_checked() {
    let dir = TempDir::new();
    let (file, path) = (dir.put("a", "1"), dir.join("socket"));
    let listener = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = tcp.local_addr().unwrap().to_string();
    let answers = thread::spawn(move || {
        let mut heard = Vec::new();
        for answer in ["no\n", "Success=1\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            heard.push(line);
        }
        heard
    });
    let plain = thread::spawn(move || {
        let mut line = String::new();
        BufReader::new(tcp.accept().unwrap().0).read_line(&mut line).unwrap();
        line
    });
    let yaml = format!(
        "watch: {file}\nsettle: 20ms\nretry: {{first: 50ms}}\ntell:\n  - socket: {{to: 'unix:{}', send: reload, expect: Success=1}}\n  - socket: {{to: '{addr}', send: hello}}\n",
        path.display()
    );
    let sidecar = watching_by(&dir, &yaml);
    fs::write(&file, "2").unwrap();
    wait_reloads(&sidecar, 1);
    assert_eq!(answers.join().unwrap(), ["reload\n", "reload\n"]);
    assert_eq!(plain.join().unwrap(), "hello\n");
    sidecar.wait_log(|line| line.message().contains("expected an answer with \"Success=1\", found \"no\""));
}

#[test]
fn exits_with_the_code_asked_for() {
    let dir = TempDir::new();
    let (hook, sidecar, file) = hooked(&dir, &["--exit-code", "42"]);
    assert!(never(|| !sidecar.is_running()), "not before something changes");
    fs::write(&file, "2").unwrap();
    assert_eq!(sidecar.wait_exit(), 42);
    assert_eq!(hook.requests().len(), 1);
}

#[test]
fn touches_a_file() {
    let dir = TempDir::new();
    let (file, touched) = (dir.put("a", "1"), dir.put("touched", "kept"));
    let old = SystemTime::UNIX_EPOCH;
    fs::File::options().write(true).open(&touched).unwrap().set_modified(old).unwrap();
    let _sidecar = watching(&["--watch", &file, "--touch", &touched]);
    fs::write(&file, "2").unwrap();
    assert!(eventually(PATIENCE, || fs::metadata(&touched).unwrap().modified().unwrap() > old));
    wait_content(&touched, "kept");
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children_and_named() {
    let dir = TempDir::new();
    let (file, note) = (dir.put("a", "1"), dir.put("pid", ""));
    let yaml = format!(
        "watch: {file}\nsettle: 20ms\nretry: {{first: 1h, most: 1h}}\ntell:\n  - exec: {{command: [sh, -c, 'sleep 1000 & echo $! > {note}; wait'], timeout: 300ms}}\n"
    );
    let sidecar = watching_by(&dir, &yaml);
    fs::write(&file, "2").unwrap();
    sidecar.wait_log(|line| line.level() == "ERROR" && line.message().contains("300ms"));
    let pid = fs::read_to_string(&note).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    let gone = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    assert!(eventually(PATIENCE, gone), "the command's child still runs");
}

#[test]
fn sigterm_in_the_middle_of_telling_finishes_it() {
    let dir = TempDir::new();
    let (hook, sidecar, file) = hooked(&dir, &[]);
    hook.answer([Reply::After(Duration::from_millis(700), Box::new(Reply::ok()))]);
    fs::write(&file, "2").unwrap();
    hook.wait_requests(1);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    assert!(sidecar.logs().iter().any(|line| line.message() == "reloaded"), "{}", sidecar.stderr());
}

#[test]
fn sigterm_with_a_dead_target_says_what_was_left() {
    let dir = TempDir::new();
    let (hook, sidecar, file) = hooked(&dir, &["--shutdown-timeout", "1s"]);
    hook.answer([Reply::Hang]);
    fs::write(&file, "2").unwrap();
    hook.wait_requests(1);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit_within(Duration::from_secs(8)), 75);
    assert!(sidecar.stderr().contains("telling the app about a change"), "{}", sidecar.stderr());
}

#[test]
fn reloads_its_own_config_by_sighup() {
    let (dir, old, new) = (TempDir::new(), HookServer::start(), HookServer::start());
    let file = dir.put("a", "1");
    let yaml = |hook: &HookServer| format!("watch: {file}\nsettle: 20ms\ntell:\n  - http: {}\n", hook.url("/"));
    let sidecar = watching_by(&dir, &yaml(&old));
    fs::write(&file, "2").unwrap();
    old.wait_requests(1);
    wait_reloads(&sidecar, 1);
    let settings = dir.put("settings/config-reloader.yaml", "watch: [\n");
    sidecar.signal(Signal::HUP);
    sidecar.wait_log(|line| line.level() == "ERROR" && line.raw.contains("config-reloader.yaml"));
    fs::write(&file, "3").unwrap();
    old.wait_requests(2);
    wait_reloads(&sidecar, 2);
    fs::write(settings, yaml(&new)).unwrap();
    sidecar.signal(Signal::HUP);
    pause();
    assert!(eventually(PATIENCE, || {
        // The settings come into force at some moment; what changes from then on is told to the new one.
        let now = format!("{:?}", std::time::Instant::now());
        fs::write(&file, now).unwrap();
        pause();
        !new.requests().is_empty()
    }));
    let before = old.requests().len();
    fs::write(&file, "last").unwrap();
    pause();
    assert!(never(|| old.requests().len() > before));
}

#[test]
fn every_mistake_of_a_file_is_said_at_once() {
    let dir = TempDir::new();
    let file = dir.put(
        "settings.yaml",
        "wacth: /a\nwatch: /b\nsettle: soon\ntell:\n  - http: ftp://x\n  - signal: {name: NOPE, process: x}\n",
    );
    let output = start(&["--config", &file, "--check-config"]).run();
    assert_eq!(output.code, 78, "{output:?}");
    for words in ["settings.yaml:1", "wacth", "settings.yaml:3", "soon", "ftp", "NOPE"] {
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
}
