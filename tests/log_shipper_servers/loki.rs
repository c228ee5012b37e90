//! The real Loki: what it has after what we pushed.

use std::fmt::Write;

use serde_json::Value;
use test_kit::{PATIENCE, Sidecar, TempDir, eventually, free_port, http};

use crate::{built, numbered, ready, start};

struct Loki {
    port: u16,
    _server: Sidecar,
    dir: TempDir,
}

impl Loki {
    /// With these limits, YAML.
    #[track_caller]
    fn start(limits: &str) -> Self {
        let (dir, port, grpc) = (TempDir::new(), free_port(), free_port());
        let at = dir.display();
        let config = dir.put(
            "loki.yaml",
            format!(
                "auth_enabled: false\n\
                 server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}, grpc_listen_address: 127.0.0.1, \
                 grpc_listen_port: {grpc}, log_level: error}}\n\
                 common:\n  instance_addr: 127.0.0.1\n  path_prefix: {at}/data\n  replication_factor: 1\n\
                 \x20 storage: {{filesystem: {{chunks_directory: {at}/chunks, rules_directory: {at}/rules}}}}\n\
                 \x20 ring: {{instance_addr: 127.0.0.1, kvstore: {{store: inmemory}}}}\n\
                 memberlist: {{bind_addr: [127.0.0.1]}}\n\
                 schema_config: {{configs: [{{from: 2020-10-24, store: tsdb, object_store: filesystem, schema: v13, \
                 index: {{prefix: index_, period: 24h}}}}]}}\n\
                 analytics: {{reporting_enabled: false}}\nlimits_config: {{{limits}}}\n"
            ),
        );
        let server = Sidecar::start(built("loki")).arg(format!("-config.file={config}")).own_admin().spawn();
        let loki = Self { port, _server: server, dir };
        assert!(eventually(PATIENCE * 2, || loki.get("/ready").starts_with("ready")), "{}", loki.get("/ready"));
        loki
    }

    fn get(&self, path: &str) -> String {
        http::get(([127, 0, 0, 1], self.port).into(), path).map_or_else(|error| error.to_string(), |answer| answer.body)
    }

    /// Times, lines and labels with metadata, in the order of time.
    fn entries(&self, selector: &str) -> Vec<(u64, String, Value)> {
        let mut query = String::new();
        for byte in selector.bytes() {
            write!(query, "%{byte:02x}").unwrap();
        }
        // Both ends so far away that all are between them.
        let path = format!("/loki/api/v1/query_range?query={query}&limit=5000&direction=forward&since=24h");
        let answer: Value = serde_json::from_str(&self.get(&path)).unwrap_or_default();
        let mut entries = Vec::new();
        for stream in answer["data"]["result"].as_array().into_iter().flatten() {
            for value in stream["values"].as_array().into_iter().flatten() {
                let text = |at: usize| value[at].as_str().unwrap().to_owned();
                entries.push((text(0).parse().unwrap(), text(1), stream["stream"].clone()));
            }
        }
        entries.sort_by_key(|(time, ..)| *time);
        entries
    }

    fn output(&self, more: &str) -> String {
        let port = self.port;
        format!(
            "- loki: {{url: 'http://127.0.0.1:{port}'{more}}}\n  retry: {{first: 50ms, most: 500ms}}\n  batch_bytes: 8KiB"
        )
    }

    #[track_caller]
    fn wait_lines(&self, selector: &str, wanted: &str) {
        let lines = || self.entries(selector).into_iter().map(|(_, line, _)| line + "\n").collect::<String>();
        let came = eventually(PATIENCE, || lines() == wanted);
        assert!(came, "{} lines of {}", lines().lines().count(), wanted.lines().count());
    }
}

#[test]
fn loki_has_every_line_once_and_in_order_whichever_way_it_came() {
    let loki = Loki::start("");
    for (form, more) in [("protobuf", ""), ("json", ""), ("json", ", compress: gzip")] {
        let dir = TempDir::new();
        // Many at one moment, and many that are the same.
        let wanted = numbered(2000) + &"same\n".repeat(2000);
        dir.put("app.log", &wanted);
        let id = format!("{form}{}", more.len());
        let more = format!(", format: {form}{more}, labels: {{id: '{id}'}}");
        let _sidecar = ready(start(&dir, "", &loki.output(&more)));
        loki.wait_lines(&format!("{{id=\"{id}\"}}"), &wanted);
    }
}

#[test]
fn loki_has_labels_and_metadata() {
    let (loki, dir) = (Loki::start(""), TempDir::new());
    dir.put("app.log", "level=\"a\\\"b\" trace=7 m=x\n");
    let more = ", labels: {job: '{tag}', level: '{level}'}, structured_metadata: {trace: '{trace}'}";
    let _sidecar = ready(start(&dir, ", format: logfmt", &loki.output(more)));
    loki.wait_lines("{job=\"app\"} | trace=\"7\"", "level=\"a\\\"b\" trace=7 m=x\n");
    assert_eq!(loki.entries("{job=\"app\"}")[0].2["level"], "a\"b");
}

#[test]
fn what_loki_has_no_room_for_now_arrives_later_also_where_another_stream_has_room() {
    let limits = "per_stream_rate_limit: 64KB, per_stream_rate_limit_burst: 96KB, shard_streams: {enabled: false}";
    let (loki, dir) = (Loki::start(limits), TempDir::new());
    let line =
        |name, number: usize| format!("s={name} n={number} {}\n", "x".repeat(if name == "big" { 90 } else { 1 }));
    let all: String = (0..2000).map(|number| line("big", number) + &line("small", number)).collect();
    dir.put("app.log", all);
    let sidecar = ready(start(&dir, ", format: logfmt", &loki.output(", labels: {s: '{s}'}")));
    for name in ["small", "big"] {
        let wanted: String = (0..2000).map(|number| line(name, number)).collect();
        loki.wait_lines(&format!("{{s=\"{name}\"}}"), &wanted);
    }
    let line = sidecar.wait_log(|line| line.message() == "not delivered");
    assert!(line.field("why").contains("Per stream rate limit exceeded"), "{}", line.raw);
    assert_eq!(sidecar.metric("log_shipper_records_total{output=\"loki\"}"), Some(4000.0));
}

#[test]
fn what_loki_will_never_take_is_counted_and_the_rest_arrives() {
    let (loki, dir) = (Loki::start(""), TempDir::new());
    let long = "z".repeat(300_000);
    let old = "t=2020-01-01T00:00:00Z m=old\n";
    dir.put("app.log", format!("m=1\n{old}{old}m={long}\nm=2\n"));
    let input = ", format: logfmt, time: {field: t, keep: true}";
    let sidecar = ready(start(&dir, input, &loki.output(", labels: {job: x}")));
    loki.wait_lines("{job=\"x\"}", "m=1\nm=2\n");
    let dropped = || {
        let of = |reason| format!("log_shipper_dropped_records_total{{output=\"loki\",reason=\"{reason}\"}}");
        ["too_old", "line_too_long"].iter().filter_map(|reason| sidecar.metric(&of(reason))).sum::<f64>()
    };
    assert!(eventually(PATIENCE, || dropped() == 3.0), "{}; {}", dropped(), sidecar.stderr());
    assert!(eventually(PATIENCE, || sidecar.metric("log_shipper_records_total{output=\"loki\"}") == Some(2.0)));
    assert!(loki.dir.join("data").exists());
}
