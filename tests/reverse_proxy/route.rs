//! Which route a request takes, and in which shape it is passed on.

use crate::Bench;

#[test]
fn the_first_route_that_fits_is_taken() {
    let bench = Bench::new();
    let proxy = bench.routes(
        "  - {path: /exact, respond: {status: 201, body: exact}}
  - {prefix: /api, methods: [POST], respond: {status: 202, body: posted}}
  - {prefix: /api, headers: {x-version: '2'}, respond: {status: 203, body: v2}}
  - {prefix: /api, query: {debug: '*'}, respond: {status: 205, body: debug}}
  - {prefix: /api, to: APP}
  - {regex: '^/users/([0-9]+)$', respond: {status: 200, body: 'user ${1}'}}\n",
    );
    assert_eq!(proxy.get("/exact").status, 201);
    assert_eq!(test_kit::http::post(proxy.at, "/api/x", "b").unwrap().status, 202);
    assert_eq!(proxy.get_with("/api", &[("X-Version", "2")]).status, 203);
    assert_eq!(proxy.get("/api?debug=1").status, 205);
    assert_eq!(proxy.get("/api/x").body, "hello from the app");
    assert_eq!(proxy.get("/apis").status, 404, "a prefix ends where a segment ends");
    assert_eq!(proxy.get("/users/42").body, "user 42");
    assert_eq!(proxy.get("/users/x").status, 404);
}

#[test]
fn no_spelling_of_a_path_gets_past_a_route() {
    let bench = Bench::new();
    let proxy = bench.routes(
        "  - {prefix: /admin, respond: {status: 403, body: no}}
  - {to: APP}\n",
    );
    for path in ["/admin", "//admin", "/%61dmin", "/x/../admin", "/x/%2e%2e/admin", "/x%2f..%2fadmin/y", "/./admin/"] {
        assert_eq!(proxy.get(path).status, 403, "{path}");
    }
    for path in ["/../admin", "/%00", "/%zz"] {
        assert_eq!(proxy.get(path).status, 400, "{path}");
    }
    assert!(bench.app.requests().is_empty());
    // What is passed on is what came, byte for byte.
    assert_eq!(proxy.get("/a%20b//c?q=%31").status, 200);
    assert_eq!(bench.asked().path, "/a%20b//c?q=%31");
}

#[test]
fn hosts_are_found_exact_before_wildcard_before_all() {
    let bench = Bench::new();
    let proxy = bench.serving(
        "listeners:
- listen: LISTEN
  hosts:
  - {names: [a.example.test], routes: [{respond: {status: 200, body: exact}}]}
  - {names: ['*.example.test'], routes: [{respond: {status: 200, body: wildcard}}]}
  - {names: ['*.b.example.test'], routes: [{respond: {status: 200, body: longer}}]}
  - {names: ['*'], routes: [{respond: {status: 200, body: all}}]}\n",
    );
    for (host, body) in [
        ("a.example.test", "exact"),
        ("A.Example.Test:8080", "exact"),
        ("x.example.test", "wildcard"),
        ("x.b.example.test", "longer"),
        ("example.test", "all"),
        ("a.example.test.", "exact"),
        ("x.example.test.:80", "wildcard"),
        ("[::1]:80", "all"),
    ] {
        assert_eq!(proxy.host(host, "/").body, body, "{host}");
    }
}

#[test]
fn paths_hosts_and_headers_are_changed_on_the_way() {
    let bench = Bench::new();
    let proxy = bench.routes(
        "  - prefix: /api
    to: APP
    rewrite: /
    host: internal.test
    request_headers: {set: {X-Host: '${authority}', X-Empty: '${header:none}'}, add: {X-More: b}, remove: [X-Secret]}
    response_headers: {set: {X-Route: '${route} ${status}'}, remove: [Content-Type]}
  - {prefix: /re, to: APP, rewrite: {regex: '^/re/(.*)$', with: '/new/${1}'}}
  - {path: /moved, redirect: {to: 'https://${host}/there?${query}', status: 308}}\n",
    );
    let answer = proxy.get_with("/api/a%20b?x=1", &[("X-Secret", "s"), ("X-More", "a"), ("X-Empty", "was")]);
    let asked = bench.asked();
    assert_eq!(asked.path, "/a%20b?x=1");
    assert_eq!(asked.header("host"), Some("internal.test"));
    assert_eq!(asked.header("x-host"), Some(proxy.at.to_string().as_str()));
    assert_eq!(asked.header("x-secret"), None);
    assert_eq!(asked.header("x-empty"), None, "an empty value is no header");
    let more: Vec<_> = asked.headers.iter().filter(|(name, _)| name == "x-more").map(|(_, v)| v.as_str()).collect();
    assert_eq!(more, ["a", "b"]);
    assert_eq!(answer.header("x-route"), Some("/api 200"));
    proxy.get("/re/one?two");
    assert_eq!(bench.asked().path, "/new/one?two");
    let moved = proxy.get("/moved?a=b");
    assert_eq!((moved.status, moved.header("location")), (308, Some("https://127.0.0.1/there?a=b")));
}

#[test]
fn requests_are_split_by_weight() {
    let bench = Bench::new();
    let other = test_kit::HookServer::answering([test_kit::Reply::Status(200, "other".into())]);
    let proxy = bench
        .routes(&format!("  - {{to: [{{cluster: APP, weight: 3}}, {{cluster: '{}', weight: 1}}]}}\n", other.addr()));
    let others = (0..200).filter(|_| proxy.get("/").body == "other").count();
    // 50 are expected; 200 tries stay within 5 standard deviations of it.
    assert!((20..=80).contains(&others), "{others} of 200");
}

#[test]
fn without_any_config_everything_goes_to_the_app() {
    let bench = Bench::new();
    let addr = bench.app.addr().to_string();
    let proxy = crate::Proxy::of(bench.start().args(["--listen", "127.0.0.1:0", "--upstream", &addr]));
    assert_eq!(proxy.get("/x?y").body, "hello from the app");
    let asked = bench.asked();
    assert_eq!(asked.path, "/x?y");
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
    let by_variable = crate::Proxy::of(bench.start().args(["--listen", "127.0.0.1:0"]).env("UPSTREAM", &addr));
    assert_eq!(by_variable.get("/").status, 200);
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let bench = Bench::new();
    let proxy = bench.routes("  - {to: APP, max_body: 10}\n");
    assert_eq!(test_kit::http::post(proxy.at, "/", "0123456789").unwrap().status, 200);
    assert_eq!(test_kit::http::post(proxy.at, "/", "0123456789x").unwrap().status, 413);
}
