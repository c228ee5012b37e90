//! Envoy: its bootstrap, its flags, its admin interface.

use test_kit::{Sidecar, eventually};

use crate::Bench;

/// A bootstrap with these routes, and with more in its connection manager.
fn bootstrap(routes: &str, more: &str) -> String {
    let routes: String = routes.lines().map(|line| format!("                {}\n", line.trim_end())).collect();
    let more: String = more.lines().map(|line| format!("          {}\n", line.trim_end())).collect();
    format!(
        "static_resources:
  listeners:
  - name: main
    address: {{socket_address: {{address: 127.0.0.1, port_value: OURPORT}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
{more}          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ['*']
              routes:
{routes}  clusters:
  - name: app
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: app
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: APPPORT}}}}}}}}]}}]
"
    )
}

#[test]
fn routes_match_and_change_as_envoy_does() {
    let bench = Bench::new();
    let routes = "- match: {path: /exact}
  direct_response: {status: 201, body: {inline_string: exact}}
- match: {prefix: /cut/}
  route: {cluster: app, prefix_rewrite: /}
- match: {safe_regex: {regex: '/v[0-9]+/.*'}}
  route: {cluster: app, regex_rewrite: {pattern: {regex: '^/v([0-9]+)'}, substitution: '/version-\\1'}}
- match: {prefix: /h, headers: [{name: x-a, string_match: {exact: b}}]}
  route: {cluster: app, host_rewrite_literal: other.test}
  request_headers_to_add:
  - {header: {key: X-Client, value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}
  response_headers_to_add: [{header: {key: X-Code, value: '%RESPONSE_CODE%'}}]
- match: {prefix: /q, query_parameters: [{name: a, string_match: {prefix: x}}]}
  redirect: {https_redirect: true, path_redirect: /there, response_code: FOUND}
- match: {path_separated_prefix: /sep}
  route: {cluster: app}";
    let _running = bench.running("envoy", &bootstrap(routes, ""));
    assert_eq!(bench.get("/exact").status, 201);
    assert_eq!(bench.get("/cut/a?b").status, 200);
    assert_eq!(bench.asked().path, "/a?b");
    bench.get("/v12/x");
    assert_eq!(bench.asked().path, "/version-12/x");
    assert_eq!(bench.get("/h").status, 404);
    let answer = bench.get_with("/h", &[("X-A", "b"), ("X-Client", "forged")]);
    assert_eq!(answer.header("x-code"), Some("200"));
    let asked = bench.asked();
    assert_eq!((asked.header("host"), asked.header("x-client")), (Some("other.test"), Some("127.0.0.1")));
    assert_eq!(asked.header("x-request-id").map(str::len), Some(36));
    let moved = bench.get("/q?a=xy");
    assert_eq!((moved.status, moved.header("location")), (302, Some("https://127.0.0.1/there?a=xy")));
    assert_eq!(bench.get("/q?a=y").status, 404);
    assert_eq!((bench.get("/sep/x").status, bench.get("/separate").status), (200, 404));
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_place_all_at_once() {
    let bench = Bench::new();
    let routes = "- match: {prefix: /}
  route: {cluster: nowhere, timeoot: 3s, hash_policy: [{header: {header_name: x}}]}";
    let file = bench.put("envoy.yaml", &bootstrap(routes, "rds: {}\ncodec_type: HTTP3"));
    let output = bench.called("envoy").args(["--mode", "validate", "-c", &file]).run();
    assert_eq!(output.code, 1);
    for expected in [
        "route.timeoot: unknown field, or one that is not supported here, did you mean timeout?",
        "route.hash_policy: not supported here",
        "typed_config.rds: not supported here",
        "codec_type \"HTTP3\": expected AUTO or HTTP1",
        "route: unknown cluster 'nowhere'",
    ] {
        assert!(output.stderr.contains(expected), "{expected}\nfound:\n{}", output.stderr);
    }
    let place = output.stderr.lines().filter(|line| line.starts_with(&format!("envoy: {file}:"))).count();
    assert_eq!(place, output.stderr.lines().count(), "each with its line: {}", output.stderr);
}

#[test]
fn flags_of_envoy_are_understood() {
    let bench = Bench::new();
    let file = bench.put("envoy.yaml", &bootstrap("- {match: {prefix: /}, route: {cluster: app}}", ""));
    let output = bench.called("envoy").args(["--mode", "validate", "--config-path", &file]).run();
    assert_eq!((output.code, output.stdout), (0, format!("configuration '{file}' OK\n")));
    assert!(bench.called("envoy").args(["--version"]).run().stdout.starts_with("envoy  version: "));
    let words = ["-c", &file, "-l", "debug", "--concurrency", "2", "--base-id", "1", "--drain-time-s", "10"];
    let sidecar = bench.called("envoy").args(words).spawn();
    sidecar.wait_ready();
    assert_eq!(bench.get("/").status, 200);
    let output = bench.called("envoy").args(["--nonsense"]).run();
    assert_eq!(output.code, 64);
    assert!(output.stderr.contains("--nonsense: unknown flag"), "{}", output.stderr);
    let typed = "{admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}}";
    let merged = Sidecar::start(crate::BINARY).own_admin().argv0("envoy").env("SIDECAR_DRAIN_DELAY", "0s");
    let other = Bench::new();
    let file = other.put("envoy.yaml", &bootstrap("- {match: {prefix: /}, route: {cluster: app}}", ""));
    let sidecar = merged.args(["-c", &file, "--config-yaml", typed]).spawn();
    sidecar.wait_ready();
    assert_eq!(other.get("/").status, 200);
}

#[test]
fn the_admin_interface_answers_what_scripts_ask() {
    let bench = Bench::new();
    let sidecar = bench.running("envoy", &bootstrap("- {match: {prefix: /}, route: {cluster: app}}", ""));
    bench.get("/");
    assert_eq!(sidecar.admin_get("/ready").0, 200);
    assert!(sidecar.admin_get("/server_info").1.contains("\"state\": \"LIVE\""));
    assert!(sidecar.admin_get("/clusters").1.contains("app::127.0.0.1:"));
    assert!(sidecar.admin_get("/listeners").1.contains("main::127.0.0.1:"));
    assert!(sidecar.admin_get("/config_dump").1.contains("\"stat_prefix\": \"in\""));
    let counted = || sidecar.admin_get("/stats").1.contains("cluster.app.upstream_rq_2xx: 1");
    assert!(eventually(std::time::Duration::from_secs(30), counted), "{}", sidecar.admin_get("/stats").1);
    let prometheus = sidecar.admin_get("/stats/prometheus").1;
    let sample = "envoy_cluster_upstream_rq_xx{envoy_cluster_name=\"app\",envoy_response_code_class=\"2\"} 1";
    assert!(prometheus.contains(sample), "{prometheus}");
    assert_eq!(sidecar.admin_post("/logging?level=debug").0, 200);
    assert_eq!(sidecar.admin_post("/healthcheck/fail").0, 200);
    assert_eq!(sidecar.admin_get("/ready").0, 503);
    assert_eq!(sidecar.admin_post("/healthcheck/ok").0, 200);
    assert_eq!(sidecar.admin_get("/ready").0, 200);
    assert_eq!(sidecar.admin_post("/quitquitquit").0, 200);
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn its_access_log_has_the_usual_line() {
    let bench = Bench::new();
    let log = "access_log:
- name: stdout
  typed_config: {'@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}";
    let sidecar = bench.running("envoy", &bootstrap("- {match: {prefix: /}, route: {cluster: app}}", log));
    bench.get_with("/x?y", &[("User-Agent", "tester")]);
    assert!(eventually(std::time::Duration::from_secs(30), || sidecar.stdout().ends_with('\n')));
    let line = sidecar.stdout();
    assert!(line.contains("\"GET /x?y HTTP/1.1\" 200 - 0 18 "), "{line}");
    assert!(
        line.contains("\"-\" \"tester\" \"") && line.trim_end().ends_with(&format!("\"{}\"", bench.app.addr())),
        "{line}"
    );
}
