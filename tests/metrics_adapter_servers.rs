//! The real `metrics-adapter`, scraped by a real Prometheus and checked by its promtool. Behind the feature
//! `real-servers`; `.ci/install-servers` installs what is needed.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

use std::{
    io::Write,
    net::{SocketAddr, UdpSocket},
    process::{Command, Stdio},
};

use serde_json::Value;
use test_kit::{Authority, PATIENCE, Sidecar, Start, TempDir, eventually, free_port, http};

/// "secret", at the lowest cost there is.
const HASH: &str = "$2a$04$RJVpoZ/HTdQ5f2Mte/wNNeplN8Ym6ekoxuztBlCIDJTbyMp9iIj/i";

const MAPPING: &str = "\
mappings:
- match: request.*
  name: request_seconds
  help: How long requests took.
  labels: {path: $1}
  observer_type: histogram
  histogram_options: {buckets: [0.1, 1, 10]}
- {match: hits.*, name: hits_total, help: Hits., labels: {cache: $1}}
- {match: queue, name: queue_length, help: How many wait.}
- {match: load.*, name: load_ratio, help: How busy., labels: {unit: $1}}
";

/// Enough that every kind of metric is there.
const PACKETS: [&str; 4] = ["hits.a:3|c\nhits.b:1|c", "request.x:30|ms\nrequest.x:700|ms", "queue:7|g", "load.a:0.5|d"];

fn adapter() -> Start {
    Sidecar::start(env!("CARGO_BIN_EXE_metrics-adapter"))
}

#[track_caller]
fn fed(start: Start) -> Sidecar {
    let sidecar = start.spawn();
    sidecar.wait_message("ready");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = sidecar.port_of("statsd udp");
    for packet in PACKETS {
        socket.send_to(packet.as_bytes(), ("127.0.0.1", port)).unwrap();
    }
    sidecar
}

/// Ours, with more flags.
fn own(mapping: &str, more: &[&str]) -> Sidecar {
    fed(adapter().args(["--listen", "udp://127.0.0.1:0", "--mapping", mapping]).args(more))
}

/// As statsd_exporter, whose readers get text.
fn peer(mapping: &str) -> Sidecar {
    let flags = ["--web.listen-address=127.0.0.1:0", "--statsd.listen-udp=127.0.0.1:0", "--statsd.listen-tcp="];
    let mapping = format!("--statsd.mapping-config={mapping}");
    fed(adapter().argv0("statsd_exporter").own_admin().args(flags).args([mapping]))
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

struct Prometheus {
    server: Sidecar,
    port: u16,
    _dir: TempDir,
}

impl Prometheus {
    #[track_caller]
    fn start(jobs: &str, more: &[&str]) -> Self {
        let (dir, port) = (TempDir::new(), free_port());
        let config = format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}");
        let config = dir.put("prometheus.yaml", config);
        let server = Sidecar::start("/usr/bin/prometheus")
            .own_admin()
            .args([format!("--config.file={config}"), format!("--storage.tsdb.path={}", dir.join("data").display())])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(more)
            .spawn();
        Self { server, port, _dir: dir }
    }

    /// Waits until a query of numbers answers this.
    #[track_caller]
    fn wait(&self, query: &str, expected: f64) {
        let mut last = String::new();
        let path = format!("/api/v1/query?query={}", encoded(query));
        let answered = eventually(PATIENCE, || {
            last = http::get(local(self.port), &path).map_or_else(|error| error.to_string(), |answer| answer.body);
            let answer: Value = serde_json::from_str(&last).unwrap_or_default();
            answer["data"]["result"][0]["value"][1].as_str().and_then(|value| value.parse().ok()) == Some(expected)
        });
        let targets =
            http::get(local(self.port), "/api/v1/targets").map_or_else(|e| e.to_string(), |answer| answer.body);
        assert!(answered, "{query}: expected {expected}: {last}\n{targets}\n{}", self.server.stderr());
    }
}

fn encoded(query: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    query.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn job(name: &str, sidecar: &Sidecar, more: &str) -> String {
    format!("- job_name: {name}\n  static_configs: [{{targets: ['localhost:{}']}}]\n{more}", sidecar.admin().port())
}

/// What promtool says of these metrics.
#[track_caller]
fn complaints(sidecar: &Sidecar) -> String {
    let there = || sidecar.admin_get("/metrics").1.contains("load_ratio_count");
    assert!(eventually(PATIENCE, there), "{}", sidecar.stderr());
    let pipe = Stdio::piped;
    let promtool = Command::new("/usr/bin/promtool").args(["check", "metrics"]).stdin(pipe()).stderr(pipe()).spawn();
    let mut promtool = promtool.expect("promtool: run .ci/install-servers");
    let (_, metrics) = sidecar.admin_get("/metrics");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    String::from_utf8(promtool.wait_with_output().unwrap().stderr).unwrap()
}

#[test]
fn promtool_finds_nothing_to_say() {
    let dir = TempDir::new();
    let mapping = dir.put("mapping.yaml", MAPPING);
    assert_eq!(complaints(&own(&mapping, &[])), "");
    // A name of the peer's own, which dashboards know.
    let theirs = "statsd_exporter_metrics_total non-counter metrics should not have \"_total\" suffix\n";
    assert_eq!(complaints(&peer(&mapping)), theirs);
}

#[test]
fn prometheus_scrapes_text_openmetrics_and_through_the_guard() {
    let dir = TempDir::new();
    let mapping = dir.put("mapping.yaml", MAPPING);
    let authority = Authority::new("ours");
    let pair = authority.server(&["localhost"]);
    let roots = dir.put("ca.crt", authority.pem());
    dir.put("server.crt", pair.certificate);
    dir.put("server.key", pair.key);
    let web = dir.put(
        "web.yaml",
        format!(
            "tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{ada: {HASH}}}\n"
        ),
    );
    let (open, text, guarded) = (own(&mapping, &[]), peer(&mapping), own(&mapping, &["--web-config", &web]));
    let secured = format!(
        "  scheme: https\n  tls_config: {{ca_file: {roots}}}\n  basic_auth: {{username: ada, password: secret}}\n"
    );
    let jobs = [
        job("open", &open, ""),
        job("text", &text, ""),
        job("guarded", &guarded, &secured),
        job("refused", &guarded, ""),
    ];
    let prometheus = Prometheus::start(&jobs.concat(), &[]);
    for job in ["open", "text", "guarded"] {
        prometheus.wait(&format!("up{{job='{job}'}}"), 1.0);
        for (metric, value) in [
            ("hits_total{cache='a'", 3.0),
            ("queue_length{path=''", 7.0),
            ("request_seconds_bucket{le=~'1(.0)?'", 2.0),
            ("request_seconds_count{path='x'", 2.0),
            ("load_ratio{quantile='0.5'", 0.5),
        ] {
            prometheus.wait(&format!("{metric},job='{job}'}}"), value);
        }
    }
    prometheus.wait("up{job='refused'}", 0.0);
    // Only OpenMetrics says when counting began, and who had text until now still has it.
    prometheus.wait("count(hits_created) by (job)", 2.0);
    prometheus.wait("count(hits_created{job='text'}) or vector(0)", 0.0);
    prometheus.wait("count(hits_created{job='open'} > 1e9)", 2.0);
}

#[test]
fn prometheus_takes_native_histograms() {
    let dir = TempDir::new();
    let sidecar = own(&dir.put("mapping.yaml", MAPPING), &[]);
    let prometheus = Prometheus::start(&job("native", &sidecar, ""), &["--enable-feature=native-histograms"]);
    prometheus.wait("histogram_count(request_seconds)", 2.0);
    prometheus.wait("histogram_sum(request_seconds)", 0.73);
    prometheus.wait("hits_total{cache='a'}", 3.0);
}
