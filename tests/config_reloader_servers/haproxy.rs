//! HAProxy, told through its sockets: the master's to reload, the worker's to change what it does.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use test_kit::{ConfigMap, Kubelet, PATIENCE, Sidecar, TempDir, eventually, free_port};

use crate::{
    lines_with, page, pod::Pod, program, recipe, said, settings, wait_failure, wait_lines, wait_page, wait_reloads,
    watching,
};

const BEFORE: &str = "Configuration Reload Demo";
const AFTER: &str = "Updated Configuration Loaded";

/// The recipe's config on a port of the test's own, with an app behind it and a socket to ask.
fn config(dir: &TempDir, port: u16) -> String {
    let places = [("bind :8080", &*format!("bind 127.0.0.1:{port}"))];
    let stats = format!("global\n  stats socket {} level admin\n", dir.join("stats.sock").display());
    let app = "backend app\n  server first 127.0.0.1:9\n  server second 127.0.0.1:9\n";
    stats + &recipe("haproxy-socket", "haproxy.cfg", &places) + app
}

/// Started with the recipe's arguments.
#[track_caller]
fn start(pod: &Pod, dir: &TempDir, file: &str) -> Sidecar {
    let master = format!("{},mode,600", dir.join("master.sock").display());
    pod.start(&program("haproxy")).args(["-W", "-db", "-S", &master, "-f", file]).spawn()
}

/// Waits until it has reloaded so often, by its own words: all tries, and those that went wrong.
#[track_caller]
fn wait_loads(haproxy: &Sidecar, all: usize, wrong: usize) {
    wait_lines(haproxy, "Reloading HAProxy", all);
    assert_eq!(lines_with(haproxy, "Loading failure!"), wrong, "{}", haproxy.stderr());
}

/// What a worker answers.
fn ask(dir: &TempDir, line: &str) -> String {
    let ask = || {
        let mut stream = UnixStream::connect(dir.join("stats.sock"))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().unwrap_or_else(|error: std::io::Error| error.to_string())
}

/// Whether a server of the backend is in maintenance.
fn is_disabled(dir: &TempDir, server: &str) -> bool {
    let table = ask(dir, "show stat");
    let row = table.lines().find(|row| row.starts_with(&format!("app,{server},")));
    row.is_some_and(|row| row.split(',').any(|field| field == "MAINT"))
}

#[test]
fn the_recipe_reloads_through_the_master_socket() {
    let (dir, port) = (TempDir::new(), free_port());
    let (source, master) = (dir.join("etc"), dir.join("master.sock"));
    let text = config(&dir, port);
    let mut volume = ConfigMap::new(&source, Kubelet::New);
    volume.update(&[("haproxy.cfg", &text)]);
    let pod = Pod::new();
    let haproxy = start(&pod, &dir, &volume.path("haproxy.cfg"));
    wait_page(port, BEFORE);
    // 2.6 reloads and answers nothing, so `expect` is left out, as the docs say.
    let places = [
        ("/usr/local/etc/haproxy", source.to_str().unwrap()),
        ("/run/haproxy/master.sock", master.to_str().unwrap()),
        ("expect: Success=1", ""),
    ];
    let yaml = recipe("haproxy-socket", "config-reloader.yaml", &places);
    let verify = format!(
        "verify:\n  - http: {{url: 'http://127.0.0.1:{port}/', method: GET, contains: Updated Configuration}}\nverify_within: 20s\n"
    );
    let sidecar = watching(pod.config_reloader().args(settings(&dir, &(yaml + &verify))));
    volume.update(&[("haproxy.cfg", &text.replace(BEFORE, AFTER))]);
    wait_reloads(&sidecar, 1);
    wait_page(port, AFTER);
    wait_loads(&haproxy, 1, 0);
    assert_eq!(said(&sidecar, "told"), 1, "{}", sidecar.stderr());
    // A line is enough each time, though nobody waits for its answer.
    for round in 2..=10 {
        let text = text.replace(BEFORE, &format!("{AFTER} {round}"));
        volume.update(&[("haproxy.cfg", &text)]);
        wait_page(port, &format!("{AFTER} {round}"));
        wait_reloads(&sidecar, round);
    }
    wait_loads(&haproxy, 10, 0);
}

#[test]
fn a_config_that_haproxy_refuses_is_not_put_in_place_and_its_words_are_logged() {
    let (dir, port) = (TempDir::new(), free_port());
    let (text, to) = (config(&dir, port), dir.join("out/haproxy.cfg").to_str().unwrap().to_owned());
    let from = dir.put("haproxy.cfg", &text);
    let yaml = format!(
        "prepare:\n  - {{from: {from}, to: {to}}}\ncheck:\n  - exec: {} -c -f {{file}}\n\
         tell:\n  - socket: {{to: 'unix:{}', send: reload}}\n",
        program("haproxy"),
        dir.join("master.sock").display()
    );
    let pod = Pod::new();
    let sidecar = watching(pod.config_reloader().args(settings(&dir, &yaml)));
    let haproxy = start(&pod, &dir, &to);
    wait_page(port, BEFORE);
    dir.put("haproxy.cfg", text.replace("http-request", "http-reqest"));
    let problem = wait_failure(&sidecar, "check", "unknown keyword 'http-reqest'");
    assert!(problem.contains(&format!("{to}: ")), "{problem}");
    assert_eq!((fs::read_to_string(&to).unwrap(), page(port)), (text.clone(), (200, BEFORE.into())));
    dir.put("haproxy.cfg", text.replace(BEFORE, AFTER));
    wait_page(port, AFTER);
    wait_reloads(&sidecar, 1);
    wait_loads(&haproxy, 1, 0);
}

#[test]
fn a_config_that_haproxy_cannot_load_is_rolled_back() {
    let (dir, port) = (TempDir::new(), free_port());
    let (text, to) = (config(&dir, port), dir.join("out/haproxy.cfg").to_str().unwrap().to_owned());
    let from = dir.put("haproxy.cfg", &text);
    // Without a check. HAProxy goes on with its old workers then, and does not say so on the socket.
    let yaml = format!(
        "prepare:\n  - {{from: {from}, to: {to}}}\ntell:\n  - socket: {{to: 'unix:{}', send: reload}}\n\
         verify:\n  - new_workers: {{process: haproxy}}\nverify_within: 5s\n",
        dir.join("master.sock").display()
    );
    let pod = Pod::new();
    let sidecar = watching(pod.config_reloader().args(settings(&dir, &yaml)));
    let haproxy = start(&pod, &dir, &to);
    wait_page(port, BEFORE);
    dir.put("haproxy.cfg", text.replace("http-request", "http-reqest"));
    wait_failure(&sidecar, "verify", "workers of haproxy are still the old ones");
    sidecar.wait_message("went back to the last good files and told the app again");
    assert_eq!(fs::read_to_string(&to).unwrap(), text);
    wait_loads(&haproxy, 2, 1);
    wait_page(port, BEFORE);
    dir.put("haproxy.cfg", text.replace(BEFORE, AFTER));
    wait_reloads(&sidecar, 1);
    wait_page(port, AFTER);
    wait_loads(&haproxy, 3, 1);
}

#[test]
fn a_line_to_the_runtime_api_is_done_and_its_answer_is_checked() {
    let (dir, port) = (TempDir::new(), free_port());
    let (file, flag) = (dir.put("haproxy.cfg", config(&dir, port)), dir.put("maintenance", "off"));
    let pod = Pod::new();
    let _haproxy = start(&pod, &dir, &file);
    wait_page(port, BEFORE);
    assert!(!is_disabled(&dir, "first") && !is_disabled(&dir, "second"), "{}", ask(&dir, "show stat"));
    let to = format!("unix:{}", dir.join("stats.sock").display());
    let yaml = format!(
        "watch: {flag}\ntell:\n  - socket: {{to: '{to}', send: show info, expect: 'Name: HAProxy'}}\n\
         \x20 - socket: {{to: '{to}', send: disable server app/first}}\n\
         \x20 - socket: {{to: '{to}', send: 'disable server app/second; show stat', expect: 'app,second,'}}\n"
    );
    let sidecar = watching(pod.config_reloader().args(settings(&dir, &yaml)));
    dir.put("maintenance", "on");
    wait_reloads(&sidecar, 1);
    assert!(eventually(PATIENCE, || is_disabled(&dir, "first")), "{}", ask(&dir, "show stat"));
    assert!(is_disabled(&dir, "second"), "{}", ask(&dir, "show stat"));
    assert_eq!(said(&sidecar, "told"), 3, "{}", sidecar.stderr());
}

#[test]
fn haproxys_refusal_is_quoted_and_the_line_is_sent_again() {
    let (dir, port) = (TempDir::new(), free_port());
    let text = config(&dir, port);
    let (file, flag) = (dir.put("haproxy.cfg", text.replace("server second", "server other")), dir.put("flag", "off"));
    let pod = Pod::new();
    let haproxy = start(&pod, &dir, &file);
    wait_page(port, BEFORE);
    let send = "disable server app/second; show servers state app";
    let yaml = format!(
        "watch: {flag}\nretry: {{first: 200ms, most: 200ms}}\n\
         tell:\n  - socket: {{to: 'unix:{}', send: '{send}', expect: ' second '}}\n",
        dir.join("stats.sock").display()
    );
    let sidecar = watching(pod.config_reloader().args(settings(&dir, &yaml)));
    dir.put("flag", "on");
    let line = sidecar.wait_log(|line| line.message().starts_with("not told"));
    assert!(line.message().contains("No such server."), "{}", line.raw);
    assert!(line.message().contains("expected an answer with \" second \""), "{}", line.raw);
    // A server of this name comes by a reload, which somebody else asks for.
    dir.put("haproxy.cfg", text);
    UnixStream::connect(dir.join("master.sock")).unwrap().write_all(b"reload\n").unwrap();
    wait_reloads(&sidecar, 1);
    assert!(eventually(PATIENCE, || is_disabled(&dir, "second")), "{}\n{}", ask(&dir, "show stat"), haproxy.stderr());
}
