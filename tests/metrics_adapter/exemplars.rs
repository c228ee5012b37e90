//! Tags that are no labels.

use test_kit::{TempDir, http};

use crate::{configured, send, wait_metric};

#[test]
fn the_last_trace_stands_beside_its_counter_and_its_bucket() {
    let dir = TempDir::new();
    let mapping = dir.put("mapping.yaml", "defaults: {observer_type: histogram}\n");
    let sidecar = configured(&dir, &format!("exemplars: [trace_id]\nmapping: {mapping}\n"));
    for n in 1..=9 {
        let line =
            format!("hits_total:1|c|#app:x,trace_id:t{n}\ntook:{n}00|ms|#trace_id:t{n}\nslow:99|h|#trace_id:t{n}");
        send(&sidecar, &[&line]);
    }
    wait_metric(&sidecar, r#"hits_total{app="x"}"#, 9.0);
    wait_metric(&sidecar, "slow_count", 9.0);
    let accept = [("Accept", "application/openmetrics-text;version=1.0.0")];
    let text = http::request(sidecar.admin(), "GET", "/metrics", &accept, "").unwrap().body;
    for line in [
        "hits_total{app=\"x\"} 9.0 # {trace_id=\"t9\"} 1.0",
        "took_bucket{le=\"0.1\"} 1 # {trace_id=\"t1\"} 0.1",
        "took_bucket{le=\"0.25\"} 2 # {trace_id=\"t2\"} 0.2",
        "took_bucket{le=\"1.0\"} 9 # {trace_id=\"t9\"} 0.9",
        "slow_bucket{le=\"+Inf\"} 9 # {trace_id=\"t9\"} 99.0",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}: {text}");
    }
    assert!(exposition::read_openmetrics(&text).is_ok());
    assert_eq!(sidecar.metric("metrics_adapter_series"), Some(3.0));
}
