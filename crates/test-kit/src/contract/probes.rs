//! Promises about `healthcheck` and `wait`, and about who is asked on which port.

use std::{fs, net::TcpListener, os::unix::net::UnixListener, time::Duration};

use super::Subject;
use crate::{HookServer, Reply, Signal, best_of_3, free_port, http};

pub fn healthcheck_asks_the_running_sidecar(subject: Subject) {
    let case = subject.case();
    let sidecar = case.ready(&["--drain-delay", "20s"]);
    let addr = sidecar.admin().to_string();
    let ask = |args: &[&str]| case.bare().args(["healthcheck", "--admin-addr", &addr]).args(args).run();
    assert_eq!(ask(&[]).code, 0);
    assert_eq!(ask(&["--live"]).code, 0);
    let by_variable = case.bare().arg("healthcheck").env("SIDECAR_ADMIN_ADDR", &addr).run();
    assert_eq!(by_variable.code, 0, "{}", by_variable.stderr);

    sidecar.signal(Signal::TERM);
    sidecar.wait_message("stopping");
    let stopping = ask(&[]);
    assert_eq!(stopping.code, 1);
    assert!(stopping.stderr.contains("503") && stopping.stderr.contains("stopping"), "{}", stopping.stderr);
    assert_eq!(ask(&["--live"]).code, 0, "a drain is no reason to be killed");

    drop(sidecar);
    let gone = ask(&[]);
    assert_eq!(gone.code, 1, "docker knows 0 and 1");
    assert!(gone.stderr.contains(&addr), "{}", gone.stderr);
}

pub fn wait_comes_back_when_all_are_there(subject: Subject) {
    let case = subject.case();
    let (port, hook) = (free_port(), HookServer::answering([Reply::Status(503, "warming up".into()), Reply::ok()]));
    let (file, socket) = (case.dir.join("file"), case.dir.join("socket"));
    let waiting = case
        .bare()
        .own_admin()
        .args(["wait", "--interval", "50ms", &format!("tcp://127.0.0.1:{port}"), &hook.url("/health")])
        .args([format!("file:{}", file.display()), format!("unix:{}", socket.display())])
        .args(["--", "echo", "all there"])
        .spawn();
    waiting.wait_log(|line| line.raw.contains("warming up"));
    let _tcp = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let _unix = UnixListener::bind(socket).unwrap();
    assert!(waiting.is_running(), "the file is still missing");
    fs::write(file, "").unwrap();
    assert_eq!(waiting.wait_exit(), 0, "{}", waiting.stderr());
    assert_eq!(waiting.stdout(), "all there\n", "it becomes the command");
}

pub fn wait_gives_up_with_69_and_the_last_error(subject: Subject) {
    let case = subject.case();
    // Slow enough that the last try is always cut short if it only gets the time that is left.
    let slow = Reply::After(Duration::from_millis(100), Box::new(Reply::Status(503, "warming up".into())));
    let hook = HookServer::answering([Reply::Status(418, String::new()), slow]);
    let gone = format!("tcp://127.0.0.1:{}", free_port());
    let given_up = case
        .bare()
        .args(["wait", "--timeout", "1s", "--interval", "20ms", &gone, &hook.url("/"), "file:/nowhere/at/all"])
        .run();
    assert_eq!((given_up.code, given_up.stdout.as_str()), (69, ""));
    let last: Vec<&str> = given_up.stderr.lines().filter(|line| line.contains("gave up")).collect();
    for parts in [[gone.as_str(), "refused"], [&hook.url("/"), "503: warming up"], ["/nowhere/at/all", "No such file"]]
    {
        let named = |line: &&str| parts.iter().all(|part| line.contains(part));
        assert_eq!(last.iter().filter(|line| named(line)).count(), 1, "{parts:?} in\n{}", given_up.stderr);
    }

    // Somebody who accepts and says nothing must not make the timeout longer.
    let silent = HookServer::answering([Reply::Hang]);
    let took = best_of_3(|| {
        let hung = case.bare().args(["wait", "--timeout", "300ms", &silent.url("/")]).run();
        assert_eq!(hung.code, 69, "{}", hung.stderr);
    });
    assert!(took < Duration::from_secs(2), "{took:?}");

    // A mistake is said once.
    let wrong = case.bare().args(["wait", "mysql:3306", "tcp:/nowhere"]).run();
    assert_eq!(wrong.code, 64);
    assert_eq!(wrong.stderr.matches("\"mysql:3306\": expected tcp://host:port").count(), 1, "{}", wrong.stderr);
    assert_eq!(wrong.stderr.lines().count(), 2, "{}", wrong.stderr);
}

/// `wait ... -- COMMAND` starts somebody's app: what is good for a sidecar must not be handed on.
pub fn what_wait_starts_is_as_if_started_directly(subject: Subject) {
    let there = "file:/proc/self/status";
    let started = subject.case().bare().args(["wait", there, "--", "cat", "/proc/self/status"]).run();
    assert_eq!(started.code, 0, "{}", started.stderr);
    let ours = fs::read_to_string("/proc/self/status").unwrap();
    let line = |text: &str, name: &str| text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    for name in ["THP_enabled:", "SigBlk:", "CapEff:"] {
        assert_eq!(line(&started.stdout, name), line(&ours, name), "{name}");
    }
    // Signals above 31 are glibc's own business: posix_spawn may leave one of them ignored.
    let ignored = |text: &str| u64::from_str_radix(line(text, "SigIgn:").unwrap().trim(), 16).unwrap() & 0x7fff_ffff;
    let sigpipe = 1 << 12; // ignored by every Rust program, and to be given back
    assert_eq!(ignored(&started.stdout), ignored(&ours) & !sigpipe);
}

/// Several sidecars in one pod all try it: the first one has it, and the others are none the worse.
pub fn probe_port_9090_is_best_effort(subject: Subject) {
    let case = subject.case();
    let help = case.bare().arg("--help").run().stdout;
    assert!(help.contains("[default: :9090"), "{help}");

    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let without = case.ready(&["--probe-addr", &taken.to_string()]);
    let said = without.wait_message("probes are answered on the admin port only");
    assert_eq!((said.level().as_str(), said.field("addr")), ("INFO", taken.to_string()));
    drop(without);

    let first = case.ready(&["--probe-addr", "127.0.0.1:0"]);
    let port = first.port_of("probes");
    for path in ["/livez", "/healthz", "/health", "/readyz", "/ready", "/metrics"] {
        let answer = http::get(([127, 0, 0, 1], port).into(), path).unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    drop(first);

    // By nobody's wish, on a machine where others may hold it: ready either way.
    let holder = TcpListener::bind("0.0.0.0:9090");
    let sidecar = case.ready(&["--probe-addr", ":9090"]);
    if holder.is_ok() {
        sidecar.wait_message("probes are answered on the admin port only");
    }
}
