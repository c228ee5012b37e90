//! What is wrong with a configuration is said with its place, all of it at once.

use test_kit::Sidecar;

use crate::{BINARY, Bench};

#[test]
fn every_problem_of_a_file_is_reported_at_once() {
    let bench = Bench::new();
    let file = bench.put(
        "bad.yaml",
        "clusters:
- {name: app, endpoints: [127.0.0.1:8080], balence: random}
listeners:
- listen: LISTEN
  routes:
  - {prefix: api, to: ap}
  - {to: app, redirect: /x}
  - {path: /x, respond: {status: 42}}
  - {to: app, request_headers: {set: {'a b': x, y: '${nobody}'}}}
  - {to: app, retries: {times: 2, on: [lunch]}}\n",
    );
    let output = Sidecar::start(BINARY).args(["--check-config", "--config", &file]).run();
    assert_eq!(output.code, 78);
    for expected in [
        "bad.yaml:2: clusters[0].balence: unknown key, did you mean balance?",
        "bad.yaml:6: listeners[0].routes[0]: prefix: expected a path that begins with /",
        "bad.yaml:6: listeners[0].routes[0].to[0]: to \"ap\": no such cluster, did you mean app?",
        "bad.yaml:7: listeners[0].routes[1]: expected one of to, redirect and respond",
        "bad.yaml:8: listeners[0].routes[2].respond.status: \"42\": expected a status from 200 to 599",
        "\"a b\": expected the name of a header",
        "set.y \"${nobody}\": unknown variable nobody",
        "on \"lunch\": expected connect_failure, reset, timeout, unsafe_methods or a status",
    ] {
        assert!(output.stderr.contains(expected), "{expected}\nfound:\n{}", output.stderr);
    }
}

#[test]
fn a_port_that_is_taken_names_the_likely_cause() {
    let bench = Bench::new();
    let taken = bench.app.addr().to_string();
    let start = Sidecar::start(BINARY).own_admin().args(["--admin-addr", "127.0.0.1:0", "--listen", &taken]);
    let sidecar = start.spawn();
    assert_eq!(sidecar.wait_exit(), 78);
    let line = sidecar.wait_log(|line| line.message().starts_with("cannot listen on"));
    assert!(line.message().contains("maybe by the app itself"), "{}", line.message());
}

#[test]
fn a_certificate_that_cannot_be_read_is_named() {
    let bench = Bench::new();
    bench.put("tls.key", "");
    let file = bench.put(
        "c.yaml",
        "listeners: [{listen: LISTEN, tls: {cert_file: DIR/tls.crt, key_file: DIR/tls.key}, routes: [{to: APP}]}]\n",
    );
    let output = Sidecar::start(BINARY).args(["--check-config", "--config", &file]).run();
    assert_eq!(output.code, 78);
    assert!(output.stderr.contains("tls.crt: no such file or directory"), "{}", output.stderr);
}
