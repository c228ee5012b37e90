//! No line, and no sequence of lines, ends the process or makes `/metrics` unreadable.

use proptest::prelude::*;
use test_kit::{Sidecar, TempDir, http};

use crate::{adapter, send, udp, wait_metric};

/// What ends the peer, or makes its `/metrics` an error for ever.
const KILLERS: [&str; 14] = [
    "killer1:1|h|#quantile:5",
    "killer2]a=1[:1|c",
    "killer3:1|c|#__name__:bar",
    "killer4:1|ms|@0.0000001",
    "killer5:NaN|c",
    "killer5:+Inf|c",
    "killer5:1|c|@NaN",
    "killer6:1|ms|@2",
    "killer6:1|ms|@-1",
    "killer7:1|g\nkiller7_total:1|c\nkiller7:1|c",
    "killer8:1|ms\nkiller8_sum:1|ms",
    "process_cpu_seconds_total:1|c",
    "metrics_adapter_lines_total:1|g",
    "killer9:1e308|c\nkiller9:1e308|c",
];

fn readable(sidecar: &Sidecar) {
    for accept in ["text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"] {
        let answer = http::request(sidecar.admin(), "GET", "/metrics", &[("Accept", accept)], "").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let read = match accept.starts_with("text") {
            true => exposition::read_text(&answer.body),
            false => exposition::read_openmetrics(&answer.body),
        };
        assert!(read.is_ok(), "{accept}: {:?}\n{}", read.err().map(|error| error.to_string()), answer.body);
    }
}

#[test]
fn what_kills_the_peer_is_refused_and_counted() {
    let sidecar = udp();
    send(&sidecar, &KILLERS);
    send(&sidecar, &["alive:1|c"]);
    wait_metric(&sidecar, "alive", 1.0);
    readable(&sidecar);
    assert_eq!(sidecar.metric(r#"metrics_adapter_refused_total{reason="reserved_label"}"#), Some(2.0));
    assert_eq!(sidecar.metric(r#"metrics_adapter_refused_total{reason="reserved_name"}"#), Some(2.0));
    assert_eq!(sidecar.metric(r#"metrics_adapter_refused_total{reason="conflict"}"#), Some(2.0));
    assert_eq!(sidecar.metric(r#"metrics_adapter_refused_total{reason="overflow"}"#), Some(1.0));
    assert_eq!(sidecar.metric(r#"metrics_adapter_sample_errors_total{reason="not_finite"}"#), Some(2.0));
    assert_eq!(sidecar.metric("killer4_count"), Some(10_000_000.0));
    assert_eq!(sidecar.metric("killer5"), Some(1.0));
    assert!(sidecar.rss_kib() < 64 * 1024, "{} KiB", sidecar.rss_kib());
}

#[test]
fn labels_of_histograms_are_theirs() {
    let dir = TempDir::new();
    let mapping = dir.put("mapping.yaml", "defaults: {observer_type: histogram}\n");
    let sidecar = adapter().args(["--listen", "udp://127.0.0.1:0", "--mapping", &mapping]).spawn();
    sidecar.wait_ready();
    send(&sidecar, &["killer:1|h|#le:5", "fine:1|h|#quantile:5"]);
    wait_metric(&sidecar, r#"fine_count{quantile="5"}"#, 1.0);
    readable(&sidecar);
    assert_eq!(sidecar.metric(r#"metrics_adapter_refused_total{reason="reserved_label"}"#), Some(1.0));
}

#[test]
fn a_mapping_that_would_kill_the_peer_is_refused_at_the_start() {
    let dir = TempDir::new();
    for (mapping, place) in [
        (
            "mappings:\n- match: a\n  name: a\n  observer_type: histogram\n  histogram_options: {buckets: [3, 1]}\n",
            ":5:",
        ),
        ("mappings:\n- match: a.*\n  name: a\n  labels: {__x: $1}\n", ":4:"),
    ] {
        let file = dir.put("mapping.yaml", mapping);
        let output = adapter().args(["--mapping", &file, "--check-config"]).run();
        assert_eq!(output.code, 78, "{mapping}: {}", output.stderr);
        assert!(output.stderr.contains(place), "{}", output.stderr);
    }
}

/// Lines of a few names that get in each other's way, and some that are nonsense.
fn line() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "a",
        "a_total",
        "a_sum",
        "a_count",
        "a_bucket",
        "a_created",
        "a_info",
        "a.b",
        "1",
        "ä",
        "a,b=c",
        "a#b=c",
        "a[b=c]d",
        "a;b=c",
        "",
        "__a",
        "le",
        "process_threads",
        "process_cpu_seconds",
        "metrics_adapter",
        "quantile",
    ]);
    let value = prop::sample::select(vec!["1", "-1", "+2", "0.5", "NaN", "1e308", "x", "1:2:3", "", "1e-320", "0x1p3"]);
    let kind = prop::sample::select(vec!["c", "g", "ms", "h", "d", "s", "x", ""]);
    let rest = prop::sample::select(vec![
        "",
        "|@0.1",
        "|@0",
        "|@9",
        "|#b:c",
        "|#le:1",
        "|#quantile:1",
        "|#__name__:x",
        "|#a:\"\\q",
        "|c:x",
        "|T12",
        "|#,,:",
        "|e:x|card:low",
        "|#b:ü",
        "|#job:1,instance:2",
        "|",
    ]);
    let regular =
        (name, value, kind, rest).prop_map(|(name, value, kind, rest)| format!("{name}:{value}|{kind}{rest}"));
    prop_oneof![9 => regular, 1 => "[ -~\u{a0}-\u{ff}]{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_lines_makes_metrics_unreadable(lines in prop::collection::vec(line(), 1..120)) {
        let sidecar = udp();
        for lines in lines.chunks(40) {
            send(&sidecar, &[&lines.join("\n")]);
        }
        send(&sidecar, &["alive:1|c"]);
        wait_metric(&sidecar, "alive", 1.0);
        readable(&sidecar);
    }
}
