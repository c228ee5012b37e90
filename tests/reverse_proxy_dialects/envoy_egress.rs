//! Envoy as a forward proxy: its dynamic_forward_proxy, its CONNECT.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use test_kit::PATIENCE;

use crate::Bench;

/// A forward proxy in the words of Envoy's documentation, with these virtual hosts.
fn bootstrap(hosts: &str) -> String {
    let hosts: String = hosts.lines().map(|line| format!("            {}\n", line.trim_end())).collect();
    format!(
        "static_resources:
  listeners:
  - name: out
    address: {{socket_address: {{protocol: TCP, address: 127.0.0.1, port_value: OURPORT}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: egress
          http2_protocol_options: {{allow_connect: true}}
          upgrade_configs: [{{upgrade_type: CONNECT}}]
          http_filters:
          - name: envoy.filters.http.dynamic_forward_proxy
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig
              dns_cache_config: {{name: cache, dns_lookup_family: V4_ONLY}}
          - name: envoy.filters.http.router
            typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
{hosts}  clusters:
  - name: dynamic_forward_proxy_cluster
    lb_policy: CLUSTER_PROVIDED
    cluster_type:
      name: envoy.clusters.dynamic_forward_proxy
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig
        dns_cache_config: {{name: cache, dns_lookup_family: V4_ONLY}}
"
    )
}

const ANYWHERE: &str = "- name: anywhere
  domains: ['*']
  routes:
  - match: {connect_matcher: {}}
    route: {cluster: dynamic_forward_proxy_cluster, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}
  - match: {prefix: /}
    route: {cluster: dynamic_forward_proxy_cluster}";

fn tell(bench: &Bench, text: &str) -> String {
    String::from_utf8_lossy(&test_kit::http::raw(bench.at, text.as_bytes()).unwrap()).into_owned()
}

#[test]
fn requests_and_tunnels_go_where_they_ask_to_go() {
    let bench = Bench::new();
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = echo.local_addr().unwrap();
    let _running = bench.running("envoy", &bootstrap(ANYWHERE));
    let there = bench.app.addr();
    for request in
        [format!("GET http://{there}/a?b HTTP/1.1\r\nHost: x\r\n"), format!("GET /a?b HTTP/1.1\r\nHost: {there}\r\n")]
    {
        let answer = tell(&bench, &format!("{request}Connection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello from the app"), "{answer}");
        assert_eq!(
            (bench.asked().path.as_str(), bench.asked().header("host")),
            ("/a?b", Some(there.to_string().as_str()))
        );
    }
    let server = std::thread::spawn(move || {
        let (mut socket, _) = echo.accept().unwrap();
        let mut heard = [0; 5];
        socket.read_exact(&mut heard).unwrap();
        socket.write_all(&heard).unwrap();
    });
    let mut socket = TcpStream::connect(bench.at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\nhello").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    server.join().unwrap();
    for place in ["169.254.169.254:80", "[fd00:ec2::254]:80", "[::ffff:169.254.169.254]:80", "2852039166:80"] {
        let answer = tell(&bench, &format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{place}: {answer}");
        let answer = tell(&bench, &format!("GET http://{place}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{place}: {answer}");
    }
}

#[test]
fn virtual_hosts_are_the_list_of_who_may_be_reached() {
    let bench = Bench::new();
    let hosts = "- name: named
  domains: ['APP']
  routes:
  - match: {connect_matcher: {}}
    route: {cluster: dynamic_forward_proxy_cluster, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}
- name: off
  domains: ['off.test:443']
  routes:
  - match: {connect_matcher: {}}
    route:
      cluster: dynamic_forward_proxy_cluster
      upgrade_configs: [{upgrade_type: CONNECT, enabled: false, connect_config: {}}]
- name: else
  domains: ['*']
  routes:
  - match: {connect_matcher: {}}
    direct_response: {status: 403, body: {inline_string: not on the list}}
  - match: {prefix: /}
    direct_response: {status: 403}";
    let _running = bench.running("envoy", &bootstrap(hosts));
    let there = bench.app.addr();
    let through = format!(
        "CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n\r\nGET /in HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    let answer = tell(&bench, &through);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello from the app"), "{answer}");
    assert_eq!(bench.asked().path, "/in");
    // The same host, and not a tunnel: no route of it fits.
    let answer = tell(&bench, &format!("GET http://{there}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    for place in ["127.0.0.1:9", "off.test:443", "a.test:443"] {
        let answer = tell(&bench, &format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{place}: {answer}");
    }
    assert_eq!(bench.get("/").status, 403);
}

#[test]
fn what_a_tunnel_cannot_be_is_refused_by_name() {
    let bench = Bench::new();
    let file = bench.put(
        "peer.conf",
        &bootstrap(
            "- name: all
  domains: ['*']
  routes:
  - match: {connect_matcher: {}}
    route: {cluster: dynamic_forward_proxy_cluster, upgrade_configs: [{upgrade_type: CONNECT}]}
  - match: {connect_matcher: {}, prefix: /}
    route: {cluster: dynamic_forward_proxy_cluster, upgrade_configs: [{upgrade_type: CONNECT-UDP}]}
  - match: {connect_matcher: {}}
    route:
      cluster: dynamic_forward_proxy_cluster
      upgrade_configs: [{upgrade_type: CONNECT, connect_config: {allow_post: true, proxy_protocol_config: {version: V1}}}]",
        ),
    );
    let output = bench.called("envoy").args(["--mode", "validate", "-c", &file]).run();
    assert_eq!(output.code, 1);
    for wanted in
        ["only with connect_config", "CONNECT has no path", "CONNECT-UDP", "allow_post", "proxy_protocol_config"]
    {
        assert!(output.stderr.contains(wanted), "{wanted}: {}", output.stderr);
    }
}
