//! Under the name and with the flags of statsd_exporter.

use std::os::unix::net::UnixDatagram;

use test_kit::{Start, TempDir};

use crate::{adapter, send, wait_metric};

fn peer() -> Start {
    adapter().argv0("statsd_exporter").own_admin().args([
        "--web.listen-address=127.0.0.1:0",
        "--statsd.listen-udp=127.0.0.1:0",
        "--statsd.listen-tcp=",
    ])
}

#[test]
fn its_pages_answer_as_they_did() {
    let sidecar = peer().args(["--web.telemetry-path=/stats"]).spawn();
    sidecar.wait_message("ready");
    assert_eq!(sidecar.admin_get("/-/healthy"), (200, "Statsd Exporter is Healthy.\n".into()));
    assert_eq!(sidecar.admin_get("/-/ready").0, 200);
    let (status, page) = sidecar.admin_get("/");
    assert!(status == 200 && page.contains("StatsD Exporter") && page.contains("href=\"/stats\""), "{page}");
    send(&sidecar, &["a:1|c"]);
    wait_metric(&sidecar, "statsd_exporter_lines_total", 1.0);
    assert!(sidecar.admin_get("/stats").1.contains("\na 1\n"));
}

#[test]
fn every_flag_is_taken_and_those_without_effect_are_named() {
    let dir = TempDir::new();
    let socket = dir.join("s.sock");
    let sidecar = peer()
        .args([&format!("--statsd.listen-unixgram={}", socket.display())])
        .args(["--statsd.unixsocket-mode=700", "--statsd.read-buffer=65536", "--statsd.cache-size=10"])
        .args(["--statsd.cache-type=random", "--statsd.event-queue-size=5", "--statsd.event-flush-threshold=2"])
        .args(["--statsd.event-flush-interval=20ms", "--statsd.udp-packet-queue-size", "7"])
        .args(["--no-statsd.parse-signalfx-tags", "--statsd.parse-librato-tags", "--log.level=debug"])
        .args(["--log.format=json", "--statsd.relay.packet-length=100", "--no-web.enable-lifecycle"])
        .spawn();
    sidecar.wait_message("ready");
    for flag in ["--statsd.cache-size", "--statsd.udp-packet-queue-size"] {
        sidecar.wait_log(|line| line.field("flag") == flag);
    }
    UnixDatagram::unbound().unwrap().send_to(b"a[b=c]:1|c", &socket).unwrap();
    wait_metric(&sidecar, "statsd_exporter_unixgram_packets_total", 1.0);
    assert_eq!(sidecar.metric("a_b_c_"), Some(1.0));
}

#[test]
fn mistakes_are_said_all_at_once() {
    let output = peer().args(["--statsd.mapping", "--statsd.cache-type=fifo", "--statsd.listen-udp"]).run();
    assert_eq!(output.code, 64);
    for part in ["--statsd.mapping", "fifo"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
}

#[test]
fn flags_alone_are_enough_to_know_the_peer() {
    let sidecar = adapter()
        .own_admin()
        .args(["--statsd.listen-udp=127.0.0.1:0", "--statsd.listen-tcp=", "--web.listen-address=127.0.0.1:0"])
        .spawn();
    sidecar.wait_message("ready");
    send(&sidecar, &["a:1|c"]);
    wait_metric(&sidecar, "statsd_exporter_samples_total", 1.0);
}

#[test]
fn a_check_reads_the_mapping_and_ends() {
    let dir = TempDir::new();
    let good = dir.put("good.yaml", "mappings:\n- {match: a.*, name: a}\n");
    let bad = dir.put("bad.yaml", "mappings:\n- {match: a.*, nam: a}\n");
    let check = |file: &str| peer().args(["--check-config", &format!("--statsd.mapping-config={file}")]).run();
    assert_eq!(check(&good).code, 0);
    let output = check(&bad);
    assert_eq!(output.code, 78);
    assert!(output.stderr.contains("bad.yaml:2: "), "{}", output.stderr);
}

#[test]
fn the_example_with_every_key_is_good() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/metrics-adapter.yaml");
    let output = adapter().args(["--config", example, "--check-config"]).run();
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[test]
fn explain_says_how_a_line_is_read() {
    let dir = TempDir::new();
    let mapping = dir.put("m.yaml", "mappings:\n- match: app.*.hits\n  name: hits_total\n  labels: {who: $1}\n");
    let output = adapter().own_admin().args(["explain", "--mapping", &mapping, "app.me.hits:1|c|#x:y", "-bad"]).run();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains(r#"hits_total{who="me",x="y"}"#), "{}", output.stdout);
    assert!(output.stdout.contains("malformed_line"), "{}", output.stdout);
}

/// Paths through the drawing, from the start, as the parts on their way; and how each state is coloured.
fn paths(drawing: &str) -> Vec<String> {
    let mut ways = std::collections::BTreeMap::from([("0".to_owned(), String::new())]);
    let mut found = Vec::new();
    for line in drawing.lines() {
        if let Some((from, rest)) = line.split_once(" -> ") {
            let (to, label) = rest.split_once("  [label = ").unwrap();
            let way = format!("{}/{}", ways[from], label.trim_matches(|char| "\"];".contains(char)));
            found.push(way.clone());
            ways.insert(to.to_owned(), way);
        } else if let Some((state, colours)) = line.split_once(" [color=") {
            found.push(format!("{} {colours}", ways[state]));
        }
    }
    found.sort();
    found
}

#[test]
fn the_tree_of_globs_is_drawn_as_the_peer_draws_its_own() {
    let dir = TempDir::new();
    let mapping = dir.put(
        "m.yaml",
        "mappings:\n- {match: a.*.c, name: x}\n- {match: a.b, name: y, match_metric_type: gauge}\n- {match: a.*, name: z}\n",
    );
    let drawing = dir.join("fsm.dot").display().to_string();
    let flags = [format!("--statsd.mapping-config={mapping}"), format!("--debug.dump-fsm={drawing}")];
    assert_eq!(peer().args(flags).args(["--check-config"]).run().code, 0);
    let text = std::fs::read_to_string(&drawing).unwrap();
    let (begin, end) =
        ("digraph g {\nrankdir=LR\nnode [ label=\"\",style=filled,", "0 [color=\"#a94442\",fillcolor=\"#f2dede\"];\n}");
    assert!(text.starts_with(begin) && text.ends_with(end), "{text}");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/metrics-adapter/fsm.dot");
    assert_eq!(paths(&text), paths(&std::fs::read_to_string(fixture).unwrap()));
}
