//! Prometheus, with `config-reloader` in the place of prometheus-config-reloader, under its name.

use std::os::unix::fs::symlink;

use test_kit::{ConfigMap, Kubelet, PATIENCE, Sidecar, Start, TempDir, eventually, free_port, http};

use crate::{BINARY, local, pod::Pod, program, wait_reloads};

/// As the operator's, but quicker.
const QUICK: [&str; 4] =
    ["--listen-address=127.0.0.1:0", "--log-format=json", "--delay-interval=50ms", "--retry-interval=200ms"];

/// A config that can be told from others by this label and by `$(POD_NAME)`.
fn config(version: &str) -> String {
    format!("global:\n  external_labels: {{replica: $(POD_NAME), version: {version}}}\n")
}

/// Prometheus in a pod of its own, its config made by the operator's init container.
struct Prometheus {
    volume: ConfigMap,
    server: Sidecar,
    port: u16,
    pod: Pod,
    dir: TempDir,
}

impl Prometheus {
    #[track_caller]
    fn start(text: &str) -> Self {
        let (dir, port, pod) = (TempDir::new(), free_port(), Pod::new());
        // As in the image, where the peer's name is a link.
        symlink(BINARY, dir.join("prometheus-config-reloader")).unwrap();
        let mut volume = ConfigMap::new(dir.join("config"), Kubelet::New);
        volume.update(&[("prometheus.yaml", text)]);
        let init = reloader(&pod, &dir).arg("--watch-interval=0").run();
        assert_eq!(init.code, 0, "{}", init.stderr);
        let flag = |name: &str, place: &str| format!("--{name}={}", dir.join(place).display());
        let flags = [flag("config.file", "out/prometheus.yaml"), flag("storage.tsdb.path", "data")];
        let listen = ["--web.enable-lifecycle".to_owned(), format!("--web.listen-address=127.0.0.1:{port}")];
        let server = pod.start(&program("prometheus")).args(flags).args(listen).spawn();
        let prometheus = Self { volume, server, port, pod, dir };
        let ready = || http::get(local(port), "/-/ready").is_ok_and(|answer| answer.status == 200);
        assert!(eventually(PATIENCE, ready), "{}", prometheus.server.stderr());
        prometheus
    }

    fn update(&mut self, text: &str) {
        self.volume.update(&[("prometheus.yaml", text)]);
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What its API answers.
    fn api(&self, path: &str) -> String {
        let answer = http::get(local(self.port), &format!("/api/v1/{path}"));
        answer.map_or_else(|error| error.to_string(), |answer| answer.body)
    }

    /// Waits until its API answers this, and something with it.
    #[track_caller]
    fn wait_api(&self, path: &str, words: &[&str]) {
        let there = || words.iter().all(|words| self.api(path).contains(words));
        assert!(eventually(PATIENCE, there), "{words:?}: {}\n{}", self.api(path), self.server.stderr());
    }

    fn wait_version(&self, version: &str) {
        let label = format!("version: {version}\\n");
        self.wait_api("status/config", &["replica: prometheus-k8s-7", &label]);
    }

    /// One of its own metrics.
    #[track_caller]
    fn metric(&self, name: &str) -> String {
        let text = http::get(local(self.port), "/metrics").unwrap().body;
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {name} in:\n{text}")).to_owned()
    }

    fn by_http(&self) -> Sidecar {
        let url = format!("--reload-url={}", self.url("/-/reload"));
        reloader(&self.pod, &self.dir).args(QUICK).arg(url).spawn()
    }

    fn by_signal(&self) -> Sidecar {
        let info = format!("--runtimeinfo-url={}", self.url("/api/v1/status/runtimeinfo"));
        // Prometheus says when it last loaded to the second: a second load in the same one is only seen by telling again.
        let signal = ["--reload-method=signal", "--process-executable-name=prometheus", "--reload-timeout=3s"];
        reloader(&self.pod, &self.dir).args(QUICK).args(signal).arg(info).spawn()
    }
}

/// The sidecar under the peer's name, with what every call of it has.
fn reloader(pod: &Pod, dir: &TempDir) -> Start {
    let link = dir.join("prometheus-config-reloader");
    let from = format!("--config-file={}", dir.join("config/prometheus.yaml").display());
    let to = format!("--config-envsubst-file={}", dir.join("out/prometheus.yaml").display());
    pod.start(link.to_str().unwrap()).env("POD_NAME", "prometheus-k8s-7").args([from, to])
}

/// Waits until a sample of the peer's metrics has this value.
#[track_caller]
fn wait_metric(sidecar: &Sidecar, sample: &str, value: f64) {
    let read = || sidecar.metric(&format!("reloader_{sample}"));
    assert!(eventually(PATIENCE, || read() == Some(value)), "{sample}: {:?}\n{}", read(), sidecar.stderr());
}

#[test]
fn variables_reach_prometheus_and_a_reload_by_http_is_taken() {
    let mut prometheus = Prometheus::start(&config("one"));
    prometheus.wait_version("one");
    let sidecar = prometheus.by_http();
    wait_metric(&sidecar, "reloads_total", 1.0);
    for (round, version) in ["two", "three", "four"].into_iter().enumerate() {
        prometheus.update(&config(version));
        prometheus.wait_version(version);
        wait_metric(&sidecar, "reloads_total", (round + 2) as f64);
        wait_metric(&sidecar, "last_reload_successful", 1.0);
    }
    wait_metric(&sidecar, "reloads_failed_total", 0.0);
}

#[test]
fn a_config_that_prometheus_refuses_is_answered_in_its_words_and_repaired() {
    let mut prometheus = Prometheus::start(&config("one"));
    let sidecar = prometheus.by_http();
    wait_metric(&sidecar, "last_reload_successful", 1.0);
    prometheus.update(&(config("two") + "scrape_confgis: []\n"));
    let line = sidecar.wait_log(|line| line.message().starts_with("not told"));
    assert_eq!(line.level(), "ERROR");
    for words in ["answered 500", "failed to reload config", "field scrape_confgis not found in type config.plain"] {
        assert!(line.message().contains(words), "{words}: {}", line.raw);
    }
    wait_metric(&sidecar, "last_reload_successful", 0.0);
    assert!(sidecar.metric("reloader_reloads_failed_total").is_some_and(|failed| failed >= 1.0));
    assert_eq!(prometheus.metric("prometheus_config_last_reload_successful"), "0");
    prometheus.wait_version("one");
    prometheus.update(&config("three"));
    prometheus.wait_version("three");
    wait_metric(&sidecar, "last_reload_successful", 1.0);
    assert_eq!(prometheus.metric("prometheus_config_last_reload_successful"), "1");
}

#[test]
fn rules_swapped_in_a_watched_directory_are_loaded() {
    let rules =
        |name: &str| format!("groups:\n  - name: example\n    rules:\n      - {{record: '{name}', expr: vector(1)}}\n");
    let mut prometheus = Prometheus::start("rule_files: [../rules/*.yaml]\n");
    let directory = prometheus.dir.join("rules");
    let mut volume = ConfigMap::new(&directory, Kubelet::New);
    volume.update(&[("rules.yaml", &rules("test:one"))]);
    let url = format!("--reload-url={}", prometheus.url("/-/reload"));
    let watched = format!("--watched-dir={}", directory.display());
    let sidecar = reloader(&prometheus.pod, &prometheus.dir).args(QUICK).args([url, watched]).spawn();
    // Told at the start, as the peer does.
    prometheus.wait_api("rules", &["test:one"]);
    wait_metric(&sidecar, "reloads_total", 1.0);
    volume.update(&[("rules.yaml", &rules("test:two"))]);
    prometheus.wait_api("rules", &["test:two"]);
    volume.update(&[("rules.yaml", &rules("test:two")), ("more.yaml", &rules("test:three"))]);
    prometheus.wait_api("rules", &["test:two", "test:three"]);
    // Both at once: rules that no config asks for any more.
    prometheus.update(&config("none"));
    prometheus.wait_version("none");
    assert!(eventually(PATIENCE, || !prometheus.api("rules").contains("test:")), "{}", prometheus.api("rules"));
    wait_metric(&sidecar, "last_reload_successful", 1.0);
}

#[test]
fn a_signal_by_name_is_taken_and_runtimeinfo_believed() {
    let mut prometheus = Prometheus::start(&config("one"));
    let sidecar = prometheus.by_signal();
    wait_reloads(&sidecar, 1);
    prometheus.update(&config("two"));
    prometheus.wait_version("two");
    wait_reloads(&sidecar, 2);
    wait_metric(&sidecar, "last_reload_successful", 1.0);
    prometheus.update(&(config("three") + "scrape_confgis: []\n"));
    let line = sidecar.wait_log(|line| line.field("stage") == "verify" && line.message().contains("runtimeinfo"));
    assert!(line.message().contains("the app was told and is not well"), "{}", line.raw);
    wait_metric(&sidecar, "last_reload_successful", 0.0);
    prometheus.wait_api("status/runtimeinfo", &["\"reloadConfigSuccess\":false"]);
    prometheus.wait_version("two");
    prometheus.update(&config("four"));
    prometheus.wait_version("four");
    wait_reloads(&sidecar, 3);
    wait_metric(&sidecar, "last_reload_successful", 1.0);
    prometheus.wait_api("status/runtimeinfo", &["\"reloadConfigSuccess\":true"]);
}
