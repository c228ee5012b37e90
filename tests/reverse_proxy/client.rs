//! Who the client is, and what the app is told of it.

use crate::Bench;

#[test]
fn what_strangers_claim_is_replaced() {
    let bench = Bench::new();
    let proxy = bench.routes("  - {to: APP}\n");
    let claims = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Request-Id", "forged")];
    proxy.get_with("/", &[&claims[..], &[("Forwarded", "for=6.6.6.6")]].concat());
    let asked = bench.asked();
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
    assert_eq!(asked.header("x-forwarded-host"), Some(proxy.at.to_string().as_str()));
    assert_eq!(asked.header("x-request-id").map(str::len), Some(36));
    assert_ne!(asked.header("x-request-id"), Some("forged"));
    assert_eq!(asked.header("forwarded"), None);
}

#[test]
fn what_trusted_proxies_say_is_believed() {
    let bench = Bench::new();
    let proxy = bench.serving(
        "listeners:
- listen: LISTEN
  trusted_proxies: [127.0.0.0/8]
  forwarded: [x_forwarded, standard]
  routes:
  - {path: /inside, allow: [9.9.9.0/24], to: APP, request_headers: {set: {X-Client: '${client_address}'}}}
  - {to: APP}\n",
    );
    let headers = [("X-Forwarded-For", "6.6.6.6, 9.9.9.1"), ("X-Forwarded-Proto", "https"), ("X-Request-Id", "known")];
    assert_eq!(proxy.get_with("/inside", &headers).status, 200);
    let asked = bench.asked();
    assert_eq!(asked.header("x-client"), Some("9.9.9.1"), "the last one that is not trusted");
    assert_eq!(asked.header("x-forwarded-for"), Some("6.6.6.6, 9.9.9.1, 127.0.0.1"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("https"));
    assert_eq!(asked.header("x-request-id"), Some("known"));
    let forwarded = asked.header("forwarded").unwrap();
    assert!(forwarded.starts_with("for=127.0.0.1;host=\"127.0.0.1:"), "{forwarded}");
    assert_eq!(proxy.get("/inside").status, 403, "127.0.0.1 itself is not allowed");
    assert_eq!(proxy.get_with("/inside", &[("X-Forwarded-For", "9.9.9.1, 6.6.6.6")]).status, 403);
}

#[test]
fn a_traceparent_is_kept_or_begun() {
    let bench = Bench::new();
    let proxy = bench.routes("  - {to: APP}\n");
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    proxy.get_with("/", &[("traceparent", parent), ("tracestate", "a=1")]);
    assert_eq!(bench.asked().header("traceparent"), Some(parent));
    assert_eq!(bench.asked().header("tracestate"), Some("a=1"));
    proxy.get_with("/", &[("traceparent", "nonsense"), ("tracestate", "a=1")]);
    assert_eq!(bench.asked().header("traceparent").map(str::len), Some(55));
    assert_eq!(bench.asked().header("tracestate"), None);
}

#[test]
fn a_certificate_that_was_never_shown_cannot_be_claimed() {
    let bench = Bench::new();
    let proxy = bench.routes("  - {to: APP}\n");
    proxy.get_with("/", &[("X-Forwarded-Client-Cert", "Hash=00;Subject=\"CN=admin\"")]);
    assert_eq!(bench.asked().header("x-forwarded-client-cert"), None);
}
