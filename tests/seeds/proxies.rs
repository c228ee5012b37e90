//! The documents about proxies, in and out, and who may come in.

use test_kit::http::{get, raw, request};

use crate::play;

#[test]
fn envoy_is_on_port_80_and_its_admin_on_9901() {
    let play = play("000-pattern-3-envoy", &["--grace", "8s", "--forward", "0:80", "--forward", "0:9901"]);
    play.wait("app-with-proxy: 2/2 Running");
    let (front, admin) = (play.forwarded(80), play.forwarded(9901));
    let came =
        test_kit::eventually(crate::kit::PATIENCE, || get(front, "/").is_ok_and(|answer| answer.body == "Hello\n"));
    assert!(came, "{}", play.log("app-with-proxy", "envoy"));
    assert_eq!(get(admin, "/ready").unwrap().status, 200);
    assert!(get(admin, "/stats").unwrap().body.contains("http.ingress_http"));
}

#[test]
fn the_gateway_has_three_replicas_on_8080_each() {
    let play = play("002-api-gateway", &["--grace", "8s", "--forward", "api-gateway-deployment-3/0:8080"]);
    for number in 1..=3 {
        play.wait(&format!("api-gateway-deployment-{number}: 2/2 Running, 0 restarts"));
    }
    let addr = play.forwarded(8080);
    let came =
        test_kit::eventually(crate::kit::PATIENCE, || get(addr, "/").is_ok_and(|answer| answer.body == "Hello\n"));
    assert!(came, "{}", play.log("api-gateway-deployment-3", "api-gateway"));
}

#[test]
fn the_way_out_leads_to_those_on_the_list_only() {
    let play = play("004-pattern-2-egress", &["--grace", "8s", "--forward", "0:3128"]);
    play.wait("app-with-proxy: 2/2 Running");
    let addr = play.forwarded(3128);
    let ask = |host: &str| {
        let text = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        String::from_utf8_lossy(&raw(addr, text.as_bytes()).unwrap_or_default()).into_owned()
    };
    let refused = test_kit::eventually(crate::kit::PATIENCE, || ask("example.org").contains("not on the list"));
    assert!(refused, "{}", ask("example.org"));
    assert!(ask("example.org").starts_with("HTTP/1.1 403"));
    // It is on the list, and nobody is there in a pod without a way out.
    assert!(ask("api.example.com").starts_with("HTTP/1.1 503"), "{}", ask("api.example.com"));
    assert_eq!(play.exec("app-with-proxy", "app", &["sh", "-c", "echo $HTTP_PROXY"]).1, "http://localhost:3128\n");
}

#[test]
fn the_ambassador_asks_for_a_password_but_not_for_health() {
    let play = play("004-pattern-3-ambassador", &["--grace", "8s", "--forward", "0:80"]);
    play.wait("app-with-ambassador: 2/2 Running");
    let addr = play.forwarded(80);
    let came =
        test_kit::eventually(crate::kit::PATIENCE, || get(addr, "/health").is_ok_and(|answer| answer.status == 200));
    assert!(came, "{}", play.log("app-with-ambassador", "ambassador"));
    let stranger = get(addr, "/").unwrap();
    assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, Some("Basic realm=\"Restricted\"")));
    let known = request(addr, "GET", "/", &[("Authorization", "Basic ZGVtbzpkZW1v")], "").unwrap();
    assert_eq!((known.status, &*known.body), (200, "Hello\n"));
}

const CLIENT: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: client}\nspec:\n  terminationGracePeriodSeconds: 2\n  \
                      containers: [{name: client, image: \"pillion/reverse-proxy:0.1.0\", args: [pause]}]\n";

#[test]
fn oauth2_proxy_lets_nobody_in_who_has_not_been_at_google() {
    let dir = test_kit::TempDir::new();
    let client = dir.put("client.yaml", CLIENT);
    let play = play("000-pattern-5-oauth2-proxy", &["--grace", "8s", "--forward", "protected-app/0:4180", &client]);
    play.wait("protected-app-1: 2/2 Running, 0 restarts");
    play.wait("client: 1/1 Running");
    let addr = play.forwarded(4180);
    let up = test_kit::eventually(crate::kit::PATIENCE, || get(addr, "/ping").is_ok_and(|answer| answer.status == 200));
    assert!(up, "{}", play.log("protected-app-1", "oauth-proxy"));
    let page = get(addr, "/").unwrap();
    assert_eq!(page.status, 403);
    assert!(page.body.contains("Google") && !page.body.contains("Hello"), "{}", page.body);
    let start = get(addr, "/oauth2/start?rd=/").unwrap();
    let to = start.header("location").unwrap_or_default().to_owned();
    assert!(to.starts_with("https://accounts.google.com/o/oauth2/"), "{to} {start:?}");
    assert!(to.contains("client_id=1234567890-example.apps.googleusercontent.com"), "of the Secret: {to}");
    let log = play.log("protected-app-1", "oauth-proxy");
    assert!(!log.contains("cGlsbGlvbjogYW4gZXhhbXBsZSwgcmVwbGFjZSBtZSE="), "secrets stay out of the log: {log}");
    // "Service exposes only the OAuth proxy port"
    let (good, said) = play.exec("client", "client", &["reverse-proxy", "get", "http://protected-app/ping"]);
    assert!(good, "{said}");
    let (good, _) =
        play.exec("client", "client", &["reverse-proxy", "get", "--timeout=2s", "http://protected-app:8080/"]);
    assert!(!good, "the app's own port is not the Service's");
}
