//! Too much of everything, and what the operator sees of it.

use test_kit::{TempDir, eventually};

use crate::{PATIENCE, adapter, configured, send, udp, wait_metric};

#[test]
fn series_beyond_the_limits_are_counted_and_the_others_go_on() {
    let dir = TempDir::new();
    let sidecar = configured(&dir, "limits: {series: 20, series_per_name: 5, label_values: 4}\n");
    let many: Vec<String> = (0..10).map(|n| format!("users:1|c|#id:{n}")).collect();
    let packets: Vec<&str> = many.iter().map(String::as_str).collect();
    send(&sidecar, &packets);
    wait_metric(&sidecar, r#"users{id="__other__"}"#, 6.0);
    let replaced = r#"metrics_adapter_replaced_label_values_total{metric_name="users",label="id"}"#;
    assert_eq!(sidecar.metric(replaced), Some(6.0));
    let names: Vec<String> = (0..30).map(|n| format!("name{n}:1|c")).collect();
    let packets: Vec<&str> = names.iter().map(String::as_str).collect();
    send(&sidecar, &packets);
    wait_metric(&sidecar, r#"metrics_adapter_overflow_total{limit="series_limit"}"#, 15.0);
    send(&sidecar, &["name0:1|c"]);
    wait_metric(&sidecar, "name0", 2.0);
    assert_eq!(sidecar.metric("metrics_adapter_series"), Some(20.0));
    let (_, drops) = sidecar.admin_get("/drops");
    assert!(drops.contains("series_limit: there are as many series as there may be"), "{drops}");
}

#[test]
fn a_flood_of_names_stays_inside_64_mebibytes() {
    let sidecar = udp();
    // In packets of a size that loopback takes, and no faster than they are read.
    for thousand in 0..300 {
        let lines: Vec<String> = (0..1000).map(|n| format!("flood.{thousand}.{n}:1|c|#request:{n}")).collect();
        for lines in lines.chunks(100) {
            send(&sidecar, &[&lines.join("\n")]);
        }
        if thousand % 20 == 19 {
            wait_metric(&sidecar, "metrics_adapter_lines_total", f64::from((thousand + 1) * 1000));
        }
    }
    assert!(sidecar.rss_kib() < 64 * 1024, "{} KiB", sidecar.rss_kib());
    assert!(sidecar.metric(r#"metrics_adapter_overflow_total{limit="memory_limit"}"#) > Some(100_000.0));
}

#[test]
fn series_that_come_and_go_leave_no_memory_behind() {
    let dir = TempDir::new();
    let mapping = dir.put("mapping.yaml", "defaults: {ttl: 1s}\n");
    let sidecar = adapter().args(["--listen", "udp://127.0.0.1:0", "--mapping", &mapping]).spawn();
    sidecar.wait_ready();
    let wave = |wave: usize| {
        for hundred in 0..50 {
            let lines: Vec<String> =
                (0..100).map(|n| format!("wave.{wave}.{hundred}:{n}|ms|#pod:{wave}-{n}")).collect();
            send(&sidecar, &[&lines.join("\n")]);
        }
        wait_metric(&sidecar, "metrics_adapter_lines_total", ((wave + 1) * 5000) as f64);
    };
    (0..3).for_each(wave);
    let after_three = sidecar.rss_kib();
    for n in 3..12 {
        // Those of the wave before are over.
        assert!(eventually(PATIENCE, || sidecar.metric("metrics_adapter_series") == Some(0.0)));
        wave(n);
    }
    assert!(sidecar.rss_kib() < after_three + 4096, "{after_three} KiB, then {} KiB", sidecar.rss_kib());
    assert!(eventually(PATIENCE, || sidecar.metric("metrics_adapter_names") == Some(0.0)));
    assert_eq!(sidecar.metric("metrics_adapter_keys"), Some(0.0));
}

#[test]
fn the_operator_sees_which_names_have_most_series() {
    let sidecar = udp();
    send(&sidecar, &["few:1|c|#a:1", "many:1|c|#a:1\nmany:1|c|#a:2\nmany:1|c|#a:3", "bad"]);
    wait_metric(&sidecar, "metrics_adapter_series", 4.0);
    let (_, series) = sidecar.admin_get("/series");
    let many = series.lines().position(|line| line.ends_with("many (counter)")).unwrap();
    let few = series.lines().position(|line| line.ends_with("few (counter)")).unwrap();
    assert!(many < few, "{series}");
    assert!(sidecar.admin_get("/series?name=many").1.contains(r#"many{a="2"}"#));
    assert!(sidecar.admin_get("/drops").1.contains("malformed_line"));
}
