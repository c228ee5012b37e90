//! The forward protocol as a server understands it that is not ours: that of the OpenTelemetry collector.

use std::net::TcpStream;

use serde_json::{Value, json};
use test_kit::{PATIENCE, Sidecar, TempDir, eventually, free_port};

use crate::{built, numbered, ready, start};

struct Receiver {
    port: u16,
    server: Sidecar,
}

impl Receiver {
    #[track_caller]
    fn on(port: u16) -> Self {
        let server = Sidecar::start(built("forward-receiver")).arg(format!("127.0.0.1:{port}")).own_admin().spawn();
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(eventually(PATIENCE, listens), "{}", server.stderr());
        Self { port, server }
    }

    fn records(&self) -> Vec<Value> {
        self.server.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    #[track_caller]
    fn wait_records(&self, count: usize) -> Vec<Value> {
        let came = eventually(PATIENCE, || self.records().len() >= count);
        assert!(came, "{} of {count} records; {}", self.records().len(), self.server.stderr());
        self.records()
    }
}

fn output(receiver: &Receiver, more: &str) -> String {
    let port = receiver.port;
    format!(
        "- forward: {{servers: '127.0.0.1:{port}'{more}}}\n  retry: {{first: 20ms, most: 100ms}}\n  batch_bytes: 16KiB"
    )
}

#[test]
fn every_mode_is_understood_by_a_server_that_is_not_ours() {
    for mode in ["message", "forward", "packed_forward", "compressed_packed_forward"] {
        let (dir, receiver) = (TempDir::new(), Receiver::on(free_port()));
        let one = r#"{"t":"2026-01-02T03:04:05.678901234Z","log":"a\n\u00e9","n":{"b":[1,2.5,null]},"c":true}"#;
        dir.put("app.log", format!("{one}\nno json\n"));
        let _sidecar = ready(start(&dir, ", format: json, time: t", &output(&receiver, &format!(", mode: {mode}"))));
        let records = receiver.wait_records(2);
        let wanted = json!({
            "time": 1_767_323_045_678_901_234_u64, "body": "a\né",
            "attributes": {"fluent.tag": "app", "n": {"b": [1, 2.5, null]}, "c": true},
        });
        assert_eq!((&records[0], &records[1]["body"]), (&wanted, &json!("no json")), "{mode}");
    }
}

#[test]
fn a_real_server_gets_every_line_once_and_in_order() {
    let (dir, receiver) = (TempDir::new(), Receiver::on(free_port()));
    let wanted = numbered(50_000);
    dir.put("app.log", &wanted);
    let sidecar = ready(start(&dir, "", &output(&receiver, "")));
    let records = receiver.wait_records(50_000);
    assert!(records.iter().map(|record| record["body"].as_str().unwrap()).eq(wanted.lines()));
    assert_eq!(sidecar.metric("log_shipper_retries_total{output=\"forward\"}"), Some(0.0));
}
