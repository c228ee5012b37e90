//! The documents about logs.

use test_kit::forward::ForwardServer;

use crate::{kit::answer, play};

/// Shipped lines are on standard output, and what the sidecar has to say is JSON on standard error.
fn shipped(log: &str) -> String {
    log.lines().filter(|line| !line.starts_with("{\"timestamp\"")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn scenario_1_streams_the_log_through_tail() {
    let play = play("001-scenario-1-tail", &["--grace", "2s"]);
    play.wait("logging-sidecar-demo: 2/2 Running, 0 restarts");
    let pod = "logging-sidecar-demo";
    let said = play.wait_log(pod, "logging-sidecar", "INFO Application is running");
    let (good, written) = play.exec(pod, "main-application", &["cat", "/var/log/app.log"]);
    assert!(good && written.starts_with(&shipped(&said)), "{written}\n{said}");
    // A second one, 5 s later: `tail -F` goes on.
    let two = test_kit::eventually(crate::kit::PATIENCE, || {
        shipped(&play.log(pod, "logging-sidecar")).matches("INFO Application is running\n").count() >= 2
    });
    assert!(two, "{}", play.log(pod, "logging-sidecar"));
}

fn native(name: &str, pod: &str, sidecar: &str) {
    let mut play = play(name, &["--forward", "0:8080"]);
    play.wait(&format!("{pod}: 2/2 Running"));
    let addr = play.forwarded(8080);
    assert_eq!(answer(addr, "/?first").body, "Hello\n");
    play.wait_log(pod, sidecar, "\"uri\":\"/?first\"");
    assert_eq!(play.stop(), 0);
    // The diagram of the document, step by step.
    play.happened_in_order(&[
        &format!("{pod}/{sidecar}: Started"),
        &format!("{pod}/app: Started"),
        &format!("{pod}/app: Killing: SIGTERM"),
        &format!("{pod}/app: Completed"),
        &format!("{pod}/{sidecar}: Killing: SIGTERM"),
        &format!("{pod}/{sidecar}: Completed (exit 0)"),
    ]);
    let said = play.log(pod, sidecar);
    assert!(said.contains("\"message\":\"stopping\""), "the app's goodbye is shipped too: {said}");
}

#[test]
fn the_native_log_collector_starts_before_the_app_and_stops_after_it() {
    native("000-native-sidecar", "app-with-native-sidecar", "log-collector");
}

#[test]
fn the_native_log_agent_does_the_same() {
    native("004-native-sidecar", "native-sidecar", "log-agent");
}

#[test]
fn fluentd_forwards_to_the_log_aggregator() {
    let server = ForwardServer::start();
    let outside = format!("log-aggregator:24224={}", server.addr());
    let mut play = play("004-pattern-1-fluentd", &["--outside", &outside, "--forward", "0:8080"]);
    play.wait("app-with-logging: 2/2 Running");
    let addr = play.forwarded(8080);
    // What is there before the sidecar has found it is not read, as with Fluentd: ask until one is.
    let came = test_kit::eventually(crate::kit::PATIENCE, || {
        answer(addr, "/?me");
        server.texts("message").iter().any(|text| text == "greeted")
    });
    assert!(came, "{:?}\n{}", server.received(), play.log("app-with-logging", "log-shipper"));
    assert!(server.received().iter().all(|record| record.tag == "app"));
    assert_eq!(play.stop(), 0);
}
