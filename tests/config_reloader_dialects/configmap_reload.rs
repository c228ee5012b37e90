//! configmap-reload's place.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    time::Duration,
};

use test_kit::{ConfigMap, HookServer, Kubelet, Reply, Sidecar, Start, TempDir, eventually};

use crate::{called, never, watching};

fn start(args: &[&str]) -> Start {
    called("configmap-reload").args(["-web.listen-address=127.0.0.1:0"]).args(args)
}

/// Watches `dir` and tells these.
#[track_caller]
fn telling(dir: &str, urls: &[&str]) -> Sidecar {
    let urls = urls.iter().flat_map(|url| ["-webhook-url", url]);
    watching(start(&["-volume-dir", dir]).args(urls))
}

/// A mounted ConfigMap with one key.
fn mounted(dir: &TempDir) -> (ConfigMap, String) {
    let path = dir.join("volume");
    let mut volume = ConfigMap::new(&path, Kubelet::New);
    volume.update(&[("app.conf", "0")]);
    (volume, path.to_str().unwrap().to_owned())
}

/// Waits until a sample of the peer's metrics has this value.
#[track_caller]
fn wait_metric(sidecar: &Sidecar, sample: &str, value: f64) {
    let read = || sidecar.metric(&format!("configmap_reload_{sample}"));
    let reached = eventually(Duration::from_secs(20), || read() == Some(value));
    assert!(reached, "{sample}: {:?}\n{}", read(), sidecar.admin_get("/metrics").1);
}

#[test]
fn flags_are_taken_in_all_spellings_of_go() {
    for (flag, joined) in [("-", false), ("-", true), ("--", false), ("--", true)] {
        let (dir, hook) = (TempDir::new(), HookServer::start());
        dir.put("a", "1");
        let url = hook.url("/");
        let words = [
            ("volume-dir", dir.to_str().unwrap()),
            ("webhook-url", &url),
            ("webhook-method", "PUT"),
            ("webhook-status-code", "200"),
            ("webhook-retries", "3"),
            ("web.listen-address", "127.0.0.1:0"),
            ("web.telemetry-path", "/telemetry"),
        ];
        let args = words.iter().flat_map(|(name, value)| match joined {
            true => vec![format!("{flag}{name}={value}")],
            false => vec![format!("{flag}{name}"), (*value).to_owned()],
        });
        let _sidecar = watching(called("configmap-reload").args(args.collect::<Vec<_>>()));
        dir.put("a", "2");
        assert_eq!(hook.wait_requests(1)[0].method, "PUT", "{flag} {joined}");
    }
}

#[test]
fn the_last_of_repeated_flags_wins_and_retries_may_be_endless() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    dir.put("a", "1");
    let args = ["-webhook-method=GET", "-webhook-method=PUT", "-webhook-retries=3", "-webhook-retries", "-10"];
    let named = ["-volume-dir", dir.to_str().unwrap(), "-webhook-url", &hook.url("/")];
    let _sidecar = watching(start(&named).args(args));
    dir.put("a", "2");
    assert_eq!(hook.wait_requests(1)[0].method, "PUT");
}

#[test]
fn missing_flags_are_named_all_at_once() {
    let output = start(&[]).run();
    assert_eq!(output.code, 64, "{}", output.stderr);
    assert!(output.stderr.contains("volume-dir") && output.stderr.contains("webhook-url"), "{}", output.stderr);
}

#[test]
fn unknown_flags_are_named_all_at_once() {
    let output = start(&["-volume-dirr=/tmp", "-zebra"]).run();
    assert_eq!(output.code, 64, "{}", output.stderr);
    assert!(output.stderr.contains("volume-dirr") && output.stderr.contains("zebra"), "{}", output.stderr);
}

#[test]
fn listens_on_9533_unless_told_otherwise() {
    // Whether it listens there or finds the port taken, it says which.
    let dir = TempDir::new();
    let sidecar =
        called("configmap-reload").args(["-volume-dir", dir.to_str().unwrap(), "-webhook-url=http://127.0.0.1:9/"]);
    let line = sidecar.spawn().wait_log(|line| line.raw.contains(":9533"));
    assert!(line.message() == "listening" || line.raw.contains("-web.listen-address"), "{}", line.raw);
}

#[test]
fn metrics_are_where_telemetry_path_says() {
    let dir = TempDir::new();
    let (_volume, path) = mounted(&dir);
    let args = ["-volume-dir", &path, "-webhook-url=http://127.0.0.1:9/", "-web.telemetry-path=/telemetry"];
    let sidecar = watching(start(&args));
    let (status, text) = sidecar.admin_get("/telemetry");
    assert_eq!(status, 200);
    assert!(text.contains("configmap_reload_watcher_errors_total 0"), "{text}");
}

#[test]
fn every_config_map_swap_is_told_and_nothing_at_the_start() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let (mut volume, path) = mounted(&dir);
    let sidecar = telling(&path, &[&hook.url("/-/reload")]);
    assert!(never(|| !hook.requests().is_empty()), "told at the start");
    for version in 1..=5 {
        volume.update(&[("app.conf", &version.to_string())]);
        hook.wait_requests(version);
        let sample = format!("success_reloads_total{{webhook=\"{}\"}}", hook.url("/-/reload"));
        wait_metric(&sidecar, &sample, version as f64);
    }
    let request = hook.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/-/reload"));
    assert_eq!(request.body, "");
}

#[test]
fn compose_in_place_edits_are_noticed() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let file = dir.put("app.conf", "1");
    let _sidecar = telling(dir.to_str().unwrap(), &[&hook.url("/")]);
    fs::write(&file, "2").unwrap();
    hook.wait_requests(1);
    let other = TempDir::new();
    let moved = other.put("other", "3");
    fs::rename(moved, &file).unwrap();
    hook.wait_requests(2);
}

#[test]
fn equal_bytes_mounted_again_tell_nobody() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let (mut volume, path) = mounted(&dir);
    let _sidecar = telling(&path, &[&hook.url("/")]);
    volume.update(&[("app.conf", "0")]);
    assert!(never(|| !hook.requests().is_empty()));
}

#[test]
fn a_new_key_is_visible_when_the_app_is_told() {
    for kubelet in [Kubelet::Old, Kubelet::New] {
        let dir = TempDir::new();
        let mut volume = ConfigMap::new(dir.join("volume"), kubelet);
        volume.update(&[("a", "1")]);
        let app = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", app.local_addr().unwrap());
        let _sidecar = telling(dir.join("volume").to_str().unwrap(), &[&url]);
        volume.update(&[("a", "1"), ("b", "new")]);
        let (mut caller, _) = app.accept().unwrap();
        let seen = fs::read_to_string(volume.path("b")).unwrap_or_default();
        let _ = caller.read(&mut [0; 4096]);
        caller.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(seen, "new", "{kubelet:?}");
    }
}

#[test]
fn a_failed_webhook_is_retried_until_it_works_and_both_are_counted() {
    let dir = TempDir::new();
    let hook = HookServer::answering([
        Reply::Status(500, String::new()),
        Reply::Status(503, String::new()),
        Reply::After(Duration::from_millis(20), Box::new(Reply::ok())),
    ]);
    let (mut volume, path) = mounted(&dir);
    let url = hook.url("/");
    let sidecar = telling(&path, &[&url]);
    volume.update(&[("app.conf", "1")]);
    hook.wait_requests(1);
    wait_metric(&sidecar, &format!("last_reload_error{{webhook=\"{url}\"}}"), 1.0);
    hook.wait_requests(3);
    wait_metric(&sidecar, &format!("last_reload_error{{webhook=\"{url}\"}}"), 0.0);
    for (sample, value) in [
        ("request_errors_total{reason=\"client_response\",webhook=\"URL\"}", 2.0),
        ("requests_total{status_code=\"200\",webhook=\"URL\"}", 1.0),
        ("requests_total{status_code=\"500\",webhook=\"URL\"}", 1.0),
        ("requests_total{status_code=\"503\",webhook=\"URL\"}", 1.0),
        ("success_reloads_total{webhook=\"URL\"}", 1.0),
        ("watcher_errors_total", 0.0),
    ] {
        wait_metric(&sidecar, &sample.replace("URL", &url), value);
    }
    let took = sidecar.metric(&format!("configmap_reload_last_request_duration_seconds{{webhook=\"{url}\"}}"));
    assert!(took.is_some_and(|seconds| (0.02..10.0).contains(&seconds)), "{took:?}");
    assert!(never(|| hook.requests().len() > 3), "told again though it worked");
}

#[test]
fn an_app_that_is_not_there_is_counted_as_such() {
    let dir = TempDir::new();
    let (mut volume, path) = mounted(&dir);
    let sidecar = telling(&path, &["http://user:hidden@127.0.0.1:9/"]);
    volume.update(&[("app.conf", "1")]);
    sidecar.wait_log(|line| line.message().starts_with("not told"));
    let (_, text) = sidecar.admin_get("/metrics");
    let wanted = "configmap_reload_request_errors_total{reason=\"client_request_do\"";
    assert!(text.contains(wanted), "{text}");
    assert!(!text.contains("hidden") && !sidecar.stderr().contains("hidden"), "{text}");
}

#[test]
fn a_hanging_webhook_is_given_up_and_tried_again() {
    let dir = TempDir::new();
    let hook = HookServer::answering([Reply::Hang, Reply::ok()]);
    let (mut volume, path) = mounted(&dir);
    let sidecar = telling(&path, &[&hook.url("/")]);
    volume.update(&[("app.conf", "1")]);
    hook.wait_requests(2);
    wait_metric(&sidecar, &format!("success_reloads_total{{webhook=\"{}\"}}", hook.url("/")), 1.0);
}

#[test]
fn when_the_first_of_two_webhooks_fails_both_are_told_in_order() {
    let dir = TempDir::new();
    let first = HookServer::answering([Reply::Status(500, String::new()), Reply::ok()]);
    let second = HookServer::start();
    let (mut volume, path) = mounted(&dir);
    let sidecar = telling(&path, &[&first.url("/1"), &second.url("/2")]);
    volume.update(&[("app.conf", "1")]);
    let (one, two) = (first.wait_requests(2), second.wait_requests(1));
    assert!(one[0].at <= two[0].at && two[0].at <= one[1].at, "first, second, and the first again");
    sidecar.wait_message("reloaded");
    assert_eq!(second.requests().len(), 1, "what worked is not told twice");
}

#[test]
fn a_directory_that_is_not_there_yet_is_waited_for() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let _sidecar = telling(dir.join("later").to_str().unwrap(), &[&hook.url("/")]);
    dir.put("later/app.conf", "1");
    hook.wait_requests(1);
}
