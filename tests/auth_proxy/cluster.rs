//! Tokens of a cluster, and of several issuers; networks, and proxies in front.

use std::{net::SocketAddr, path::Path};

use serde_json::json;
use test_kit::{Authority, Cluster, HookServer, OpenId, PATIENCE, Sidecar, TempDir, eventually, http};

struct Bench {
    dir: TempDir,
    app: HookServer,
    cluster: Cluster,
    proxy: Sidecar,
}

fn addr(proxy: &Sidecar) -> SocketAddr {
    ([127, 0, 0, 1], proxy.port_of("proxy")).into()
}

fn serve(dir: &Path, text: &str, app: &HookServer) -> Sidecar {
    let file = dir.join("config.yaml");
    std::fs::write(&file, format!("listen: 127.0.0.1:0\nupstreams: [{{to: '{}'}}]\n{text}", app.url(""))).unwrap();
    Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).arg("--config").arg(file).spawn()
}

impl Bench {
    fn new(more: &str) -> Self {
        let (dir, app, authority) = (TempDir::new(), HookServer::start(), Authority::new("cluster CA"));
        let cluster = Cluster::start(&authority, "own-1");
        let (ca, own) = (dir.put("ca.crt", authority.pem()), dir.put("token", "own-1\n"));
        let place = format!("server: '{}', ca_file: '{ca}', token_file: '{own}'", cluster.url());
        let proxy = serve(&dir, &format!("kubernetes: {{{place}, cache: 200ms, {more}}}\n"), &app);
        Self { dir, app, cluster, proxy }
    }

    fn ask(&self, path: &str, token: &str) -> u16 {
        let header = format!("Bearer {token}");
        http::request(addr(&self.proxy), "GET", path, &[("Authorization", &header)], "").unwrap().status
    }
}

#[test]
fn a_token_of_the_cluster_lets_in_the_accounts_that_are_listed() {
    let bench = Bench::new("audiences: [app], accounts: [shop/cart, monitoring/*]");
    let account = |namespace: &str, name: &str| format!("system:serviceaccount:{namespace}:{name}");
    bench.cluster.know("a.b.cart", &account("shop", "cart"), &["system:serviceaccounts"], &["app", "other"]);
    bench.cluster.know("a.b.prometheus", &account("monitoring", "prometheus"), &[], &["app"]);
    bench.cluster.know("a.b.admin", &account("shop", "admin"), &[], &["app"]);
    bench.cluster.know("a.b.elsewhere", &account("shop", "cart"), &[], &["elsewhere"]);
    assert_eq!(bench.ask("/x", "a.b.cart"), 200);
    let seen = bench.app.requests().pop().unwrap();
    assert_eq!(seen.header("x-forwarded-user"), Some("system:serviceaccount:shop:cart"));
    assert_eq!(
        (seen.header("x-forwarded-groups"), seen.header("authorization")),
        (Some("system:serviceaccounts"), None)
    );
    assert_eq!(bench.ask("/x", "a.b.prometheus"), 200);
    assert_eq!(bench.ask("/x", "a.b.admin"), 403);
    assert_eq!(bench.ask("/x", "a.b.elsewhere"), 401, "meant for another");
    assert_eq!(bench.ask("/x", "a.b.unknown"), 401);
    let before = bench.cluster.asked().len();
    assert_eq!(bench.ask("/x", "made up"), 401);
    assert_eq!(bench.cluster.asked().len(), before, "what is no token is not asked about");
    assert_eq!(bench.cluster.asked()[0]["spec"]["audiences"], json!(["app"]));
    // Our own token is replaced every hour.
    bench.dir.put("token", "own-2\n");
    bench.cluster.rotate("own-2");
    bench.cluster.know("a.b.new", &account("monitoring", "new"), &[], &["app"]);
    assert_eq!(bench.ask("/x", "a.b.new"), 200);
    assert_eq!(bench.cluster.refused(), [""; 0]);
    // An answer holds for a moment, and not for ever.
    bench.cluster.forget("a.b.cart");
    assert!(eventually(PATIENCE, || bench.ask("/x", "a.b.cart") == 401));
    bench.cluster.set_down(true);
    assert_eq!(bench.ask("/x", "a.b.another"), 503);
    bench.proxy.wait_message("the API server of the cluster does not answer");
    let log = bench.proxy.stderr();
    assert!(!log.contains("a.b.") && !log.contains("own-"), "{log}");
}

#[test]
fn the_cluster_says_who_may_do_what() {
    let bench = Bench::new("access: {path: true}");
    bench.cluster.know("a.b.c", "jane", &["devs"], &[]);
    bench.cluster.allow("jane", json!({"path": "/metrics", "verb": "get"}));
    assert_eq!(bench.ask("/metrics?x=1", "a.b.c"), 200);
    assert_eq!(bench.ask("/admin", "a.b.c"), 403);
    assert_eq!(bench.ask("/metrics%2f..", "a.b.c"), 403, "a path that can be read in two ways");
    let header = ("Authorization", "Bearer a.b.c");
    assert_eq!(http::request(addr(&bench.proxy), "POST", "/metrics", &[header], "").unwrap().status, 403);
    let last = bench.cluster.asked().pop().unwrap();
    assert_eq!((&last["spec"]["user"], &last["spec"]["groups"]), (&json!("jane"), &json!(["devs"])));
    assert_eq!(bench.cluster.refused(), [""; 0]);
    let bench = Bench::new("access: {verb: get, resource: services, subresource: proxy, namespace: shop, name: app}");
    bench.cluster.know("a.b.c", "jane", &[], &[]);
    bench.cluster.know("a.b.d", "joe", &[], &[]);
    let resource =
        json!({"verb": "get", "resource": "services", "subresource": "proxy", "namespace": "shop", "name": "app"});
    bench.cluster.allow("jane", resource);
    assert_eq!((bench.ask("/x", "a.b.c"), bench.ask("/x", "a.b.d")), (200, 403));
}

#[test]
fn tokens_of_several_issuers_are_each_for_their_audience() {
    let (dir, app, one, two) = (TempDir::new(), HookServer::start(), OpenId::start(), OpenId::start());
    let issuers = format!(
        "bearer:\n  issuers:\n  - {{issuer: '{}', audience: app}}\n  - {{issuer: '{}', audience: ours}}\n",
        one.issuer(),
        two.issuer()
    );
    let proxy = serve(&dir, &format!("{issuers}allow: {{domains: [mycompany.com]}}\n"), &app);
    let ask = |token: &str| {
        let header = format!("Bearer {token}");
        http::request(addr(&proxy), "GET", "/", &[("Authorization", &header)], "").unwrap().status
    };
    assert_eq!(ask(&one.token(&json!({}))), 200);
    assert_eq!(ask(&two.token(&json!({"aud": "ours"}))), 200);
    for token in [
        two.token(&json!({})),
        one.token(&json!({"aud": "ours"})),
        one.token(&json!({"iss": two.issuer(), "aud": "ours"})),
        one.token(&json!({"email": "a@evil.example"})),
        OpenId::start().token(&json!({})),
    ] {
        assert_eq!(ask(&token), 403);
    }
}

#[test]
fn the_peers_extra_issuers_are_believed_beside_the_provider() {
    let other = OpenId::start();
    let world = crate::browser::World::new(&[
        "--skip-jwt-bearer-tokens",
        &format!("--extra-jwt-issuers={}=ours", other.issuer()),
    ]);
    let mut browser = world.browser();
    let mut ask = |token: &str| browser.ask("GET", "/", &[("Authorization", &format!("Bearer {token}"))]).status;
    assert_eq!(ask(&other.token(&json!({"aud": "ours"}))), 200);
    assert_eq!(ask(&world.provider.token(&json!({}))), 200);
    assert_eq!(ask(&other.token(&json!({}))), 403, "a page: it falls back to signing in");
}

#[test]
fn a_network_is_let_in_by_the_address_that_can_be_believed() {
    let (dir, app) = (TempDir::new(), HookServer::start());
    let rules = "allow: {certificates: ['*']}\nbypass: {networks: [10.1.0.0/16]}\n";
    let behind = serve(&dir, &format!("{rules}behind: {{proxies: [127.0.0.0/8]}}\n"), &app);
    let ask = |proxy: &Sidecar, headers: &[(&str, &str)]| http::request(addr(proxy), "GET", "/x", headers, "").unwrap();
    assert_eq!(ask(&behind, &[("X-Forwarded-For", "10.1.2.3")]).status, 200);
    let seen = app.requests().pop().unwrap();
    assert_eq!(
        (seen.header("x-real-ip"), seen.header("x-forwarded-for")),
        (Some("10.1.2.3"), Some("10.1.2.3, 127.0.0.1"))
    );
    assert_eq!(ask(&behind, &[("X-Forwarded-For", "::ffff:10.1.2.3")]).status, 200, "the same address");
    for said in ["10.2.0.1", "10.1.2.3, 9.9.9.9", "10.1.2.3,nonsense", "", "10.1.2"] {
        assert_eq!(ask(&behind, &[("X-Forwarded-For", said)]).status, 401, "{said}");
    }
    assert_eq!(ask(&behind, &[("X-Real-IP", "10.1.2.3")]).status, 401, "another header than the one that counts");
    let dir = TempDir::new();
    let alone = serve(&dir, rules, &app);
    let before = app.requests().len();
    for name in ["X-Forwarded-For", "X-Real-IP", "Forwarded"] {
        assert_eq!(ask(&alone, &[(name, "10.1.2.3")]).status, 401, "{name}");
    }
    assert_eq!(app.requests().len(), before);
}
