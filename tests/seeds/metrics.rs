//! The documents about metrics, and the one with everything.

use test_kit::{eventually, http::get};

use crate::{
    kit::{PATIENCE, answer},
    play,
};

#[test]
fn the_adapter_makes_prometheus_of_statsd() {
    let play = play("004-pattern-4-statsd", &["--grace", "8s", "--forward", "0:9102"]);
    play.wait("app-with-adapter: 2/2 Running");
    // "Main app sends StatsD metrics to localhost:9125; Prometheus scrapes localhost:9102"
    let send = "printf 'legacy.requests:3|c' > /dev/udp/127.0.0.1/9125";
    let addr = play.forwarded(9102);
    let came = eventually(PATIENCE, || {
        let text = get(addr, "/metrics").map(|answer| answer.body).unwrap_or_default();
        let there = text.lines().any(|line| line.starts_with("legacy_requests "));
        if !there {
            let (good, said) = play.exec("app-with-adapter", "legacy-app", &["bash", "-c", send]);
            assert!(good, "{said}");
        }
        there
    });
    assert!(came, "{}", play.log("app-with-adapter", "metrics-adapter"));
}

#[test]
fn the_complete_example_ships_logs_and_metrics_of_three_replicas() {
    let forward = ["--forward", "web-app-2/0:8080", "--forward", "web-app-2/0:9102"];
    let mut play = play("004-complete-example", &forward);
    for number in 1..=3 {
        play.wait(&format!("web-app-{number}: 3/3 Running, 0 restarts"));
    }
    let (app, metrics) = (play.forwarded(8080), play.forwarded(9102));
    assert_eq!(answer(app, "/?hello").body, "Hello\n");
    play.wait_log("web-app-2", "fluentbit", "/?hello");
    // Datagrams that come before the adapter listens are lost, as they are beside every plain sidecar.
    let came = eventually(PATIENCE, || {
        answer(app, "/?counted");
        answer(metrics, "/metrics").body.contains("app_requests_greeting ")
    });
    assert!(came, "{}", answer(metrics, "/metrics").body);
    assert!(!play.log("web-app-1", "fluentbit").contains("/?hello"), "each pod has its own volume");
    let (good, said) = play.exec("web-app-1", "fluentbit", &["/bin/log-shipper", "--version"]);
    assert!(good, "{said}");
    assert_eq!(play.stop(), 0);
}
