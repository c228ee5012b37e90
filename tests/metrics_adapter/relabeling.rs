//! Prometheus' rules for labels, by listener and on all that is exposed.

use std::{io::Write, net::TcpStream, os::unix::net::UnixDatagram};

use test_kit::{Sidecar, TempDir};

use crate::{adapter, send, wait_metric};

fn start(dir: &TempDir, yaml: &str) -> Sidecar {
    let sidecar = adapter().args(["--config", &dir.put("config.yaml", yaml)]).spawn();
    sidecar.wait_ready();
    sidecar
}

#[test]
fn each_listener_has_rules_of_its_own() {
    let dir = TempDir::new();
    let socket = dir.join("statsd.sock");
    let yaml = format!(
        "listen:
- at: udp://127.0.0.1:0
  relabel:
  - {{target_label: team, replacement: udp}}
  - {{action: drop, source_labels: [__name__], regex: 'debug_.*'}}
- at: tcp://127.0.0.1:0
  relabel: [{{target_label: team, replacement: tcp}}]
- unixgram://{}
",
        socket.display()
    );
    let sidecar = start(&dir, &yaml);
    let mut stream = TcpStream::connect(("127.0.0.1", sidecar.port_of("statsd tcp"))).unwrap();
    // The same bytes each time: what a line means depends on where it came in, also when it is known.
    for _ in 0..3 {
        send(&sidecar, &["hits:1|c\ndebug.x:1|c"]);
        stream.write_all(b"hits:1|c\ndebug.x:1|c\n").unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"hits:1|c\ndebug.x:1|c", &socket).unwrap();
    }
    for (sample, value) in [
        (r#"hits{team="udp"}"#, 3.0),
        (r#"hits{team="tcp"}"#, 3.0),
        ("hits", 3.0),
        (r#"debug_x{team="tcp"}"#, 3.0),
        ("debug_x", 3.0),
        (r#"metrics_adapter_refused_total{reason="relabelled"}"#, 3.0),
    ] {
        wait_metric(&sidecar, sample, value);
    }
    assert_eq!(sidecar.metric(r#"debug_x{team="udp"}"#), None);
}

#[test]
fn the_output_has_rules_for_lines_and_for_what_it_says_of_itself() {
    let dir = TempDir::new();
    let sidecar = start(
        &dir,
        "listen:
- at: udp://127.0.0.1:0
  relabel: [{target_label: from, replacement: udp}]
relabel:
- {target_label: pod, replacement: web-0}
- {source_labels: [from], regex: u(.*), target_label: from, replacement: 'X$1'}
- {source_labels: [__name__], regex: metrics_adapter_(.*), target_label: __name__, replacement: statsd_$1}
- {action: drop, source_labels: [__name__], regex: process_.*}
- {action: labeldrop, regex: id}
",
    );
    send(&sidecar, &["hits:1|c|#id:1\nhits:1|c|#id:2"]);
    // What became the same by a rule is added up.
    wait_metric(&sidecar, r#"hits{from="Xdp",pod="web-0"}"#, 2.0);
    assert_eq!(sidecar.metric(r#"statsd_lines_total{pod="web-0"}"#), Some(2.0));
    let (_, text) = sidecar.admin_get("/metrics");
    assert!(!text.contains("process_") && !text.contains("metrics_adapter_"), "{text}");
    exposition::read_text(&text).unwrap();
}

#[test]
fn names_that_rules_would_give_twice_are_given_once() {
    let dir = TempDir::new();
    let sidecar = start(
        &dir,
        "listen: ['udp://127.0.0.1:0']
relabel:
- {source_labels: [__name__], regex: metrics_adapter_(series|names|keys), target_label: __name__, replacement: hits}
- {source_labels: [__name__], regex: metrics_adapter_.*_total, target_label: __name__, replacement: one_total}
- {action: labeldrop, regex: 'reason|type|transport|listener|limit'}
",
    );
    send(&sidecar, &["hits:1|c"]);
    wait_metric(&sidecar, "hits", 1.0);
    let (_, text) = sidecar.admin_get("/metrics");
    exposition::read_text(&text).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("one_total ")).count(), 1, "{text}");
}

#[test]
fn changed_rules_of_listeners_count_without_a_restart() {
    let dir = TempDir::new();
    let yaml = |team: &str| {
        format!("listen:\n- at: udp://127.0.0.1:0\n  relabel: [{{target_label: team, replacement: {team}}}]\n")
    };
    let sidecar = start(&dir, &yaml("a"));
    send(&sidecar, &["hits:1|c"]);
    wait_metric(&sidecar, r#"hits{team="a"}"#, 1.0);
    dir.put("config.yaml", yaml("b"));
    sidecar.wait_message("lines are read by the new rules");
    send(&sidecar, &["hits:1|c"]);
    wait_metric(&sidecar, r#"hits{team="b"}"#, 1.0);
    assert!(!sidecar.stderr().contains("takes effect at the next start"), "{}", sidecar.stderr());
}
