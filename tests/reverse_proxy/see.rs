//! What an operator sees: access logs and metrics.

use test_kit::{Reply, eventually};

use crate::{Bench, PATIENCE};

#[test]
fn an_access_log_is_json_on_standard_output_and_no_value_breaks_it() {
    let bench = Bench::new();
    let proxy = bench.serving("listeners: [{listen: LISTEN, access_log: json, routes: [{name: main, to: APP}]}]\n");
    proxy.get_with("/a?b=\"c\"", &[("User-Agent", "quo\"te\\")]);
    assert!(eventually(PATIENCE, || proxy.sidecar.stdout().ends_with('\n')));
    let line = proxy.sidecar.stdout();
    for part in [
        "\"client\":\"127.0.0.1\"",
        "\"method\":\"GET\"",
        "\"path\":\"/a?b=\\\"c\\\"\"",
        "\"status\":200",
        "\"bytes_sent\":18",
        "\"route\":\"main\"",
        "\"user_agent\":\"quo\\\"te\\\\\"",
        "\"flags\":null",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn an_access_log_may_be_in_words_of_its_own_and_in_a_file() {
    let bench = Bench::new();
    let proxy = bench.serving(
        "listeners:
- listen: LISTEN
  access_log: {to: DIR/access.log, text: '${method} ${path} ${status} \"${header:x-a}\" ${response_header:x-b}'}
  routes: [{to: APP}]\n",
    );
    bench.app.answer([Reply::Header(200, "X-B", "from the app".into())]);
    proxy.get_with("/one/../two", &[("X-A", "a\"b")]);
    proxy.get("/%00");
    let read = || std::fs::read_to_string(bench.dir.join("access.log")).unwrap_or_default();
    assert!(eventually(PATIENCE, || read().lines().count() == 2), "{}", read());
    assert_eq!(read(), "GET /two 200 \"a\\x22b\" from the app\nGET - 400 \"-\" -\n");
}

#[test]
fn requests_are_counted_by_route_and_cluster_and_failures_by_their_reason() {
    let bench = Bench::new();
    let dead = test_kit::free_port();
    let proxy = bench.serving(&format!(
        "clusters:
- {{name: dead, endpoints: ['127.0.0.1:{dead}'], connect_wait: 0s}}
- {{name: app, endpoints: [APP]}}
listeners:
- {{listen: LISTEN, routes: [{{name: gone, prefix: /gone, to: dead, retries: 0}}, {{name: main, to: app}}]}}\n"
    ));
    proxy.get("/");
    proxy.get("/");
    assert_eq!(proxy.get("/gone").status, 502);
    let metric = |sample: &str| proxy.sidecar.metric(sample);
    let counted = || metric("reverse_proxy_failures_total{flag=\"UF\"}").is_some();
    assert!(eventually(PATIENCE, counted));
    assert_eq!(metric("reverse_proxy_requests_total{class=\"2xx\",route=\"main\"}"), Some(2.0));
    assert_eq!(metric("reverse_proxy_requests_total{class=\"5xx\",route=\"gone\"}"), Some(1.0));
    assert_eq!(metric("reverse_proxy_upstream_requests_total{class=\"2xx\",cluster=\"app\"}"), Some(2.0));
    assert_eq!(metric("reverse_proxy_request_duration_seconds_count{route=\"main\"}"), Some(2.0));
    let line = proxy.sidecar.wait_log(|line| line.message() == "request failed");
    assert_eq!((line.field("flag").as_str(), line.field("cluster").as_str()), ("UF", "dead"));
}
