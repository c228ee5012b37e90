//! Envoy: filter chains with names of their own, and protections of its connection manager.

use std::process::Command;

use test_kit::Authority;

use crate::Bench;

fn chain(names: &str, hosts: &str) -> String {
    format!(
        "    - {names}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context: {{tls_certificates: [{{certificate_chain: {{filename: DIR/tls.crt}}, private_key: {{filename: DIR/tls.key}}}}]}}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
{hosts}"
    )
}

fn host(name: &str, domain: &str) -> String {
    format!(
        "            - {{name: {name}, domains: ['{domain}'], routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: {name}}}}}}}]}}\n"
    )
}

#[test]
fn a_host_of_another_filter_chain_is_not_reached() {
    let (bench, authority) = (Bench::new(), Authority::new("test CA"));
    let pair = authority.server(&["a.test", "b.test", "x.b.test"]);
    bench.put("ca.crt", &authority.pem());
    bench.put("tls.crt", &pair.certificate);
    bench.put("tls.key", &pair.key);
    let chains = [
        chain(
            "filter_chain_match: {server_names: [a.test]}",
            &(host("in-a", "a.test") + &host("secret", "secret.test")),
        ),
        chain("filter_chain_match: {server_names: ['*.b.test', b.test]}", &host("in-b", "*")),
    ]
    .concat();
    let config = format!(
        "static_resources:\n  listeners:\n  - name: main\n    address: {{socket_address: {{address: 127.0.0.1, port_value: OURPORT}}}}\n    \
         listener_filters: [{{name: envoy.filters.listener.tls_inspector, typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}}}]\n    filter_chains:\n{chains}"
    );
    let _running = bench.running("envoy", &config);
    let ask = |name: &str, host: &str| {
        let (port, ca) = (bench.at.port(), bench.dir.join("ca.crt"));
        let mut command = Command::new("curl");
        command.args([
            "-s",
            "--max-time",
            "20",
            "-w",
            " %{http_code}",
            "--noproxy",
            "*",
            "-H",
            &format!("Host: {host}"),
        ]);
        command.args(["--resolve", &format!("{name}:{port}:127.0.0.1"), "--cacert"]).arg(ca);
        let output = command.arg(format!("https://{name}:{port}/")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ask("a.test", "a.test"), "in-a 200");
    assert_eq!(ask("a.test", "secret.test"), "secret 200");
    assert_eq!(ask("b.test", "b.test"), "in-b 200");
    assert_eq!(ask("b.test", "secret.test"), "in-b 200", "`*` is all hosts of this chain, and of no other");
    assert_eq!(ask("x.b.test", "a.test"), "in-b 200");
    assert!(ask("a.test", "b.test").ends_with(" 404"), "{}", ask("a.test", "b.test"));
}

#[test]
fn what_only_insiders_may_say_nobody_says_and_heads_have_a_limit() {
    let bench = Bench::new();
    let _running = bench.running(
        "envoy",
        "static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: OURPORT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          common_http_protocol_options: {max_headers_count: 5, headers_with_underscores_action: REJECT_REQUEST}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            internal_only_headers: [x-internal, x-admin]
            virtual_hosts:
            - name: all
              domains: ['*']
              routes:
              - {match: {prefix: /, headers: [{name: x-admin, present_match: true}]}, direct_response: {status: 500}}
              - {match: {prefix: /}, route: {cluster: app}}
  clusters:
  - name: app
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: APPPORT}}}}]}]
",
    );
    assert_eq!(bench.get_with("/", &[("X-Internal", "1"), ("x-Admin", "1")]).status, 200);
    let asked = bench.asked();
    assert_eq!((asked.header("x-internal"), asked.header("x-admin")), (None, None));
    assert_eq!(bench.get_with("/", &[("a_b", "1")]).status, 400);
    let many: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|name| (name, "1")).to_vec();
    assert_eq!(bench.get_with("/", &many).status, 431);
}
