//! prometheus-config-reloader's place.

use std::{
    fs,
    io::Write,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::ExitStatusExt,
    },
    process::Command,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use test_kit::{ConfigMap, HookServer, Kubelet, PATIENCE, Reply, Sidecar, Signal, Start, TempDir, eventually};

use crate::{called, never, watching};

const QUICK: [&str; 4] =
    ["--listen-address=127.0.0.1:0", "--log-format=json", "--delay-interval=50ms", "--retry-interval=200ms"];

fn start(args: &[&str]) -> Start {
    called("prometheus-config-reloader").args(QUICK).args(args)
}

/// Waits until a sample of the peer's metrics has this value.
#[track_caller]
fn wait_metric(sidecar: &Sidecar, sample: &str, value: f64) {
    let read = || sidecar.metric(&format!("reloader_{sample}"));
    let reached = eventually(Duration::from_secs(20), || read() == Some(value));
    assert!(reached, "{sample}: {:?}\n{}\n{}", read(), sidecar.admin_get("/metrics").1, sidecar.stderr());
}

/// Waits until a file holds this.
#[track_caller]
fn wait_content(path: &str, wanted: &str) {
    let read = || fs::read_to_string(path).unwrap_or_default();
    assert!(eventually(PATIENCE, || read() == wanted), "{path}: expected {wanted:?}, found {:?}", read());
}

/// Renders `from` once, and returns what came out.
#[track_caller]
fn rendered(dir: &TempDir, from: &str, variables: &[(&str, &str)]) -> String {
    let to = dir.join("rendered").to_str().unwrap().to_owned();
    let mut once = start(&["--config-file", from, "--config-envsubst-file", &to, "--watch-interval=0"]);
    for (name, value) in variables {
        once = once.env(name, value);
    }
    let output = once.run();
    assert_eq!(output.code, 0, "{}", output.stderr);
    fs::read_to_string(to).unwrap()
}

#[test]
fn the_second_and_later_config_map_swaps_are_noticed_at_once() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let mut volume = ConfigMap::new(dir.join("volume"), Kubelet::New);
    volume.update(&[("app.yml", "0")]);
    let to = dir.join("out.yml").to_str().unwrap().to_owned();
    let (from, url) = (volume.path("app.yml"), hook.url("/"));
    let sidecar = start(&["--config-file", &from, "--config-envsubst-file", &to, "--reload-url", &url]).spawn();
    wait_metric(&sidecar, "last_reload_successful", 1.0);
    // The poll is 3 minutes away: only events can be this early.
    for version in 1..=4 {
        volume.update(&[("app.yml", &version.to_string())]);
        hook.wait_requests(version + 1);
        wait_content(&to, &version.to_string());
        wait_metric(&sidecar, "reloads_total", (version + 1) as f64);
    }
}

#[test]
fn renames_over_the_file_are_noticed_each_time() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let (file, url) = (dir.put("app.yml", "0"), hook.url("/"));
    let sidecar = start(&["--config-file", &file, "--reload-url", &url]).spawn();
    wait_metric(&sidecar, "last_reload_successful", 1.0);
    for version in 1..=3 {
        fs::rename(dir.put("other", version.to_string()), &file).unwrap();
        wait_metric(&sidecar, "reloads_total", f64::from(version + 1));
    }
}

#[test]
fn told_at_the_start_with_a_config_file() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let (file, url) = (dir.put("app.yml", "0"), hook.url("/-/reload"));
    let _sidecar = start(&["--config-file", &file, "--reload-url", &url]).spawn();
    let request = hook.wait_requests(1).remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/-/reload"));
}

#[test]
fn not_told_at_the_start_with_directories_alone_and_equal_bytes_tell_nobody() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let mut volume = ConfigMap::new(dir.join("volume"), Kubelet::New);
    volume.update(&[("rules.yml", "0")]);
    let (path, url) = (dir.join("volume"), hook.url("/"));
    // The peer tells at the first interval though nothing changed, and when equal bytes are mounted again.
    let args = ["--watched-dir", path.to_str().unwrap(), "--reload-url", &url, "--watch-interval=200ms"];
    let _sidecar = watching(start(&args));
    volume.update(&[("rules.yml", "0")]);
    assert!(never(|| !hook.requests().is_empty()));
    volume.update(&[("rules.yml", "1")]);
    hook.wait_requests(1);
}

#[test]
fn a_change_while_reloads_fail_is_rendered_at_once() {
    let dir = TempDir::new();
    let hook = HookServer::answering([Reply::Status(500, String::new())]);
    let (from, to) = (dir.put("app.yml", "0"), dir.join("out.yml").to_str().unwrap().to_owned());
    let url = hook.url("/");
    let sidecar = start(&["--config-file", &from, "--config-envsubst-file", &to, "--reload-url", &url]).spawn();
    hook.wait_requests(2);
    dir.put("app.yml", "1");
    wait_content(&to, "1");
    hook.answer([Reply::ok()]);
    wait_metric(&sidecar, "last_reload_successful", 1.0);
}

#[test]
fn the_peers_metrics_say_what_failed_and_what_worked() {
    let dir = TempDir::new();
    let hook =
        HookServer::answering([Reply::Status(500, String::new()), Reply::Status(204, String::new()), Reply::ok()]);
    let (file, url) = (dir.put("app.yml", "0"), hook.url("/"));
    let sidecar = start(&["--config-file", &file, "--reload-url", &url]).spawn();
    hook.wait_requests(3);
    for (sample, value) in [
        ("last_reload_successful", 1.0),
        ("reloads_total", 3.0),
        ("reloads_failed_total", 2.0),
        ("info{method=\"http\"}", 1.0),
        ("config_apply_operations_failed_total", 0.0),
        ("config_environment_variable_expansion_errors", 0.0),
        ("watch_errors_total", 0.0),
    ] {
        wait_metric(&sidecar, sample, value);
    }
    assert!(sidecar.metric("reloader_last_reload_success_timestamp_seconds").is_some_and(|time| time > 1.7e9));
    assert!(sidecar.metric("reloader_watches").is_some_and(|watches| watches >= 1.0));
    hook.answer([Reply::Status(500, String::new())]);
    dir.put("app.yml", "1");
    wait_metric(&sidecar, "last_reload_successful", 0.0);
    assert!(sidecar.metric("reloader_watch_events_total").is_some_and(|events| events >= 1.0));
}

#[test]
fn looks_after_the_first_are_counted_as_apply_operations() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    for output in [&[][..], &["--config-envsubst-file", dir.join("out.yml").to_str().unwrap()]] {
        let (file, url) = (dir.put("in/app.yml", "0"), hook.url("/"));
        let sidecar = start(&["--config-file", &file, "--reload-url", &url]).args(output).spawn();
        wait_metric(&sidecar, "last_reload_successful", 1.0);
        // The peer was run beside it: one reload, and no apply operation.
        wait_metric(&sidecar, "reloads_total", 1.0);
        wait_metric(&sidecar, "config_apply_operations_total", 0.0);
        dir.put("in/app.yml", "1");
        wait_metric(&sidecar, "reloads_total", 2.0);
        assert!(sidecar.metric("reloader_config_apply_operations_total").is_some_and(|applies| applies >= 1.0));
    }
}

#[test]
fn versions_are_printed_long_and_short() {
    let version = env!("CARGO_PKG_VERSION");
    for (flag, printed) in
        [("--version", format!("prometheus-config-reloader {version}\n")), ("--short-version", format!("{version}\n"))]
    {
        let output = called("prometheus-config-reloader").arg(flag).run();
        assert_eq!((output.code, output.stdout, output.stderr), (0, printed, String::new()), "{flag}");
    }
}

#[test]
fn a_hanging_webhook_is_given_up_after_reload_timeout() {
    let dir = TempDir::new();
    let hook = HookServer::answering([Reply::Hang, Reply::ok()]);
    let (file, url) = (dir.put("app.yml", "0"), hook.url("/"));
    let sidecar = start(&["--config-file", &file, "--reload-url", &url, "--reload-timeout=300ms"]).spawn();
    let requests = hook.wait_requests(2);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(300));
    wait_metric(&sidecar, "last_reload_successful", 1.0);
}

#[test]
fn watch_interval_0_renders_once_and_exits_0_without_telling() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let (from, to) = (dir.put("app.yml", "a: $(A)"), dir.join("out.yml").to_str().unwrap().to_owned());
    let url = hook.url("/");
    let args = ["--config-file", &from, "--config-envsubst-file", &to, "--reload-url", &url, "--watch-interval=0"];
    let output = start(&args).env("A", "1").run();
    assert_eq!(output.code, 0, "{}", output.stderr);
    wait_content(&to, "a: 1");
    assert!(hook.requests().is_empty());
}

#[test]
fn variables_are_put_in_place_as_there() {
    let dir = TempDir::new();
    let from = dir.put("in", "$(A_SET) [$(EMPTY)] $$(A_SET) ${A_SET} $A_SET $(A-B) $( A_SET ) $() $($(A_SET)) $(1X)");
    let to = rendered(&dir, &from, &[("A_SET", "va"), ("EMPTY", "")]);
    assert_eq!(to, "va [] $va ${A_SET} $A_SET $(A-B) $( A_SET ) $() $(va) $(1X)");
}

#[test]
fn unset_variables_are_left_as_they_are_and_counted() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let from = dir.put("in", "$(NOT_SET_1) $(NOT_SET_2)\n");
    let (to, url) = (dir.join("out").to_str().unwrap().to_owned(), hook.url("/"));
    let sidecar = start(&["--config-file", &from, "--config-envsubst-file", &to, "--reload-url", &url]).spawn();
    wait_content(&to, "$(NOT_SET_1) $(NOT_SET_2)\n");
    wait_metric(&sidecar, "config_environment_variable_expansion_errors", 2.0);
    dir.put("in", "good");
    wait_metric(&sidecar, "config_environment_variable_expansion_errors", 0.0);
}

#[test]
fn the_ordinal_comes_from_the_end_of_the_pod_name() {
    for (pod, ordinal) in [("prometheus-k8s-12", "12"), ("noord-007", "007"), ("web", ""), ("", "")] {
        let dir = TempDir::new();
        let from = dir.put("in", "[$(STATEFULSET_ORDINAL_NUMBER)]");
        let to = rendered(&dir, &from, &[("POD_NAME", pod), ("STATEFULSET_ORDINAL_NUMBER", "5")]);
        assert_eq!(to, format!("[{ordinal}]"), "{pod}");
    }
}

#[test]
fn gz_is_unpacked_and_bad_gz_keeps_the_last_good() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(b"a: $(A)").unwrap();
    let gz = gz.finish().unwrap();
    let (from, to) = (dir.put("in.gz", &gz), dir.join("out").to_str().unwrap().to_owned());
    let url = hook.url("/");
    let args = ["--config-file", &from, "--config-envsubst-file", &to, "--reload-url", &url];
    let sidecar = start(&args).env("A", "1").spawn();
    wait_content(&to, "a: 1");
    wait_metric(&sidecar, "reloads_total", 1.0);
    dir.put("in.gz", &gz[..gz.len() / 2]);
    sidecar.wait_log(|line| line.level() == "ERROR");
    assert!(sidecar.metric("reloader_config_apply_operations_failed_total").is_some_and(|failed| failed >= 1.0));
    wait_content(&to, "a: 1");
    assert_eq!(hook.requests().len(), 1);
}

#[test]
fn an_output_has_the_permissions_of_its_source() {
    for mode in [0o600, 0o640, 0o644] {
        let dir = TempDir::new();
        let from = dir.put("in", "secret");
        fs::set_permissions(&from, fs::Permissions::from_mode(mode)).unwrap();
        rendered(&dir, &from, &[]);
        let found = fs::metadata(dir.join("rendered")).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{found:o}, expected {mode:o}");
    }
}

#[test]
fn healthz_says_up() {
    let dir = TempDir::new();
    let sidecar = watching(start(&["--watched-dir", dir.to_str().unwrap()]));
    assert_eq!(sidecar.admin_get("/healthz"), (200, r#"{"status":"up"}"#.to_owned()));
}

#[test]
fn nothing_listens_without_listen_address() {
    let dir = TempDir::new();
    let args = ["--watched-dir", dir.to_str().unwrap(), "--log-format=json"];
    let sidecar = watching(called("prometheus-config-reloader").args(args));
    let links = fs::read_dir(format!("/proc/{}/fd", sidecar.pid())).unwrap().flatten();
    let targets: Vec<_> = links.filter_map(|link| fs::read_link(link.path()).ok()).collect();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        for line in table.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let ours = words
                .get(9)
                .is_some_and(|inode| targets.iter().any(|to| to.as_os_str() == &*format!("socket:[{inode}]")));
            assert!(!(ours && words[3] == "0A"), "{line}");
        }
    }
}

#[test]
fn signal_mode_finds_the_process_by_name_and_asks_runtimeinfo() {
    let dir = TempDir::new();
    let info = |time: &str| {
        let body = format!(r#"{{"status":"success","data":{{"reloadConfigSuccess":true,"lastConfigTime":"{time}"}}}}"#);
        Reply::Status(200, body)
    };
    let server = HookServer::answering([
        info("2026-01-01T00:00:00Z"),
        info("2026-01-01T00:00:00Z"),
        info("2026-01-01T00:00:01Z"),
    ]);
    let name = format!("app{}", std::process::id());
    symlink("/bin/sleep", dir.join(&name)).unwrap();
    let mut app = Command::new(dir.join(&name)).arg("60").spawn().unwrap();
    let (file, url) = (dir.put("app.yml", "1"), server.url("/api/v1/status/runtimeinfo"));
    let args = ["--reload-method=signal", "--process-executable-name", &name, "--runtimeinfo-url", &url];
    let sidecar = start(&["--config-file", &file]).args(args).spawn();
    let mut status = None;
    let ended = eventually(PATIENCE, || {
        status = app.try_wait().unwrap();
        status.is_some()
    });
    if !ended {
        app.kill().unwrap();
        app.wait().unwrap();
    }
    assert_eq!(status.and_then(|status| status.signal()), Some(Signal::HUP.as_raw()), "{}", sidecar.stderr());
    wait_metric(&sidecar, "last_reload_successful", 1.0);
    wait_metric(&sidecar, "info{method=\"signal\"}", 1.0);
    // Before, the same time again, and at last another.
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.method == "GET" && request.path == "/api/v1/status/runtimeinfo"));
}

#[test]
fn all_log_levels_and_formats_are_accepted() {
    let dir = TempDir::new();
    let from = dir.put("in", "x");
    for level in ["all", "debug", "info", "warn", "error", "none", "INFO"] {
        for format in ["logfmt", "json"] {
            let to = dir.join("out");
            let output = called("prometheus-config-reloader")
                .args(["--config-file", &from, "--config-envsubst-file", to.to_str().unwrap()])
                .args(["--watch-interval=0", "--log-level", level, "--log-format", format])
                .run();
            assert_eq!(output.code, 0, "{level} {format}: {}", output.stderr);
            assert!(level != "none" || output.stderr.is_empty(), "{format}: {}", output.stderr);
        }
    }
}

#[test]
fn mistakes_are_named() {
    for (args, words) in [
        (&["--bogus", "--zebra=1"][..], &["--bogus", "--zebra"][..]),
        (&["--reload-method=exec"], &["--reload-method", "http", "signal"]),
        (&["--watch-interval=soon"], &["--watch-interval"]),
        (&["--reload-url=http://[::1"], &["--reload-url"]),
        (&["--log-level=loud"], &["--log-level"]),
    ] {
        let output = start(&["--watched-dir=/tmp"]).args(args).run();
        assert_eq!(output.code, 64, "{args:?}: {}", output.stderr);
        assert!(words.iter().all(|word| output.stderr.contains(word)), "{args:?}: {}", output.stderr);
    }
}
