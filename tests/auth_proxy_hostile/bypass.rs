//! Rules that let in without a login, and requests that look as if they were meant.

use crate::{
    case::{Case, Outcome, case, holds, unless},
    rig::{Rig, World},
};

const CLASS: &str = "rules without login";

/// Every path that an app might take this for.
fn readings(target: &str) -> Vec<String> {
    let cut = |text: &str| text.split(['?', '#', '\0']).next().unwrap_or_default().to_owned();
    let once = decoded(&cut(target));
    let twice = decoded(&once);
    let mut found = Vec::new();
    for form in [cut(target), once, twice] {
        for form in [form.clone(), cut(&form)] {
            for form in [form.clone(), form.replace('\\', "/")] {
                let bare: Vec<&str> = form.split('/').map(|segment| segment.split(';').next().unwrap()).collect();
                for form in [form.clone(), bare.join("/")] {
                    found.push(resolved(&form));
                }
            }
        }
    }
    found
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match digits.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn resolved(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// What needs a login, whoever reads it.
fn is_secret(target: &str) -> bool {
    readings(target).iter().any(|path| path == "/secret" || path.starts_with("/secret/") || path == "/shared/secret")
}

/// Whether the app saw what it must not see without a login.
fn got_through(world: &World, head: &str) -> Option<String> {
    let (seen, _) = world.shown(format!("{head}\r\nHost: {}\r\nConnection: close\r\n\r\n", world.addr).as_bytes());
    let wrong = seen.iter().find(|request| is_secret(&request.path));
    wrong.map(|request| format!("the app got {} {}", request.method, request.path))
}

fn tried(rig: &mut Rig, targets: &[&str]) -> Outcome {
    let world = rig.world();
    unless(targets.iter().find_map(|target| got_through(&world, &format!("GET {target} HTTP/1.1"))))
}

/// With these flags and headers, without a login.
fn claimed(rig: &mut Rig, flags: &[&str], headers: &[&str]) -> Outcome {
    let Some(world) = rig.shared(flags) else { return rig.without_flag() };
    unless(headers.iter().find_map(|header| got_through(&world, &format!("GET /secret HTTP/1.1\r\n{header}"))))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(CLASS, "a query that fits the rule", "CVE-2025-54576", |rig| {
            tried(
                rig,
                &[
                    "/shared/secret?x=/open",
                    "/secret?/public/",
                    "/shared/secret?/open",
                    "/shared/secret?a=/shared/x/open",
                ],
            )
        }),
        case(CLASS, "a fragment that fits the rule", "CVE-2026-41059", |rig| {
            tried(rig, &["/shared/secret#/open", "/shared/secret%23/open", "/secret#/public/"])
        }),
        case(CLASS, "a question mark in disguise", "CVE-2026-41059", |rig| {
            tried(rig, &["/shared/secret%3f/open", "/shared/secret%3F/x/open", "/shared/secret%253f/open"])
        }),
        case(CLASS, "a null in the path", "", |rig| {
            tried(rig, &["/shared/secret%00/open", "/shared/secret%00/x/open"])
        }),
        case(CLASS, "two dots", "CVE-2026-40912", |rig| {
            tried(
                rig,
                &["/public/../secret", "/public/a/../../secret", "/public/./../secret", "/shared/../secret/open"],
            )
        }),
        case(CLASS, "two dots, encoded", "CVE-2026-40912", |rig| {
            tried(
                rig,
                &["/public/%2e%2e/secret", "/public/.%2e/secret", "/public/%2E./secret", "/public/%2e%2e%2fsecret"],
            )
        }),
        case(CLASS, "a slash, encoded", "CVE-2026-33494", |rig| {
            tried(rig, &["/public/..%2fsecret", "/public%2f..%2fsecret", "/public/..%2Fsecret"])
        }),
        case(CLASS, "backslashes", "CVE-2026-48020", |rig| {
            tried(rig, &["/public/..\\secret", "/public/..%5csecret", "/public/%2e%2e%5csecret", "/public\\..\\secret"])
        }),
        case(CLASS, "encoded twice", "CVE-2026-65600", |rig| {
            tried(rig, &["/public/%252e%252e/secret", "/public/..%252fsecret", "/public/%252e%252e%252fsecret"])
        }),
        case(CLASS, "parameters of a segment", "", |rig| {
            tried(rig, &["/public/..;/secret", "/public/..;x=1/secret", "/public/%2e%2e;/secret"])
        }),
        case(CLASS, "two dots behind a path of the proxy's own", "", |rig| {
            tried(
                rig,
                &[
                    "/oauth2/../secret",
                    "/ping/../secret",
                    "/oauth2/%2e%2e/secret",
                    "/oauth2/sign_in/../../secret",
                    "/robots.txt/../secret",
                    "/oauth2/auth/..%2f..%2fsecret",
                ],
            )
        }),
        case(CLASS, "the whole address in the request", "", |rig| {
            tried(
                rig,
                &[
                    "http://127.0.0.1/secret",
                    "http://127.0.0.1/public/../secret",
                    "http://x/public/?/../secret",
                    "http:/secret",
                    "http://x@y/secret",
                ],
            )
        }),
        case(CLASS, "another method than the rule's", "", |rig| {
            let world = rig.world();
            let (seen, _) = world.shown(
                format!(
                    "POST /public/a HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                    world.addr
                )
                .as_bytes(),
            );
            holds(seen.is_empty(), "POST was let in by a rule for GET")
        }),
        case(CLASS, "a header that says the path is another", "CVE-2026-40575", |rig| {
            let headers = [
                "X-Forwarded-Uri: /public/a",
                "X-Original-URL: /public/a",
                "X-Original-URI: /public/a",
                "X-Rewrite-URL: /health",
                "X-Forwarded-Path: /health",
                "X-Forwarded-Method: OPTIONS",
            ];
            claimed(rig, &crate::rig::USUAL, &headers)
        }),
        case(CLASS, "the same where a proxy is in front", "CVE-2026-40575", |rig| {
            let flags = ["--reverse-proxy=true", "--skip-auth-route=^/public/"];
            claimed(rig, &flags, &["X-Forwarded-Uri: /public/a", "X-Forwarded-Uri: /public/../secret"])
        }),
        case(CLASS, "and for a proxy that asks", "GHSA-7x63", |rig| {
            let Some(world) = rig.shared(&["--reverse-proxy=true", "--skip-auth-route=^/public/"]) else {
                return Outcome::Absent("no such flag".into());
            };
            let asked = ["/secret?/public/", "/public/../secret", "/public/%2e%2e/secret"].into_iter().find(|uri| {
                let answer = world.browser().ask(
                    "GET",
                    "/oauth2/auth",
                    &[("X-Forwarded-Uri", uri), ("X-Forwarded-Method", "GET")],
                );
                answer.status < 300
            });
            unless(asked.map(|uri| format!("X-Forwarded-Uri: {uri} is let in")))
        }),
        case(CLASS, "the name of a health checker", "CVE-2026-34457", |rig| {
            claimed(rig, &["--ping-user-agent=prober/1.0"], &["User-Agent: prober/1.0"])
        }),
        case(CLASS, "an address from a trusted network, said by the client", "CVE-2026-35051", |rig| {
            let flags = ["--trusted-ip=10.0.0.0/8"];
            claimed(
                rig,
                &flags,
                &[
                    "X-Forwarded-For: 10.0.0.1",
                    "X-Real-IP: 10.0.0.1",
                    "Forwarded: for=10.0.0.1",
                    "X-Client-IP: 10.0.0.1",
                ],
            )
        }),
        case(CLASS, "the same behind a proxy that is not this client", "CVE-2026-39858", |rig| {
            let flags = ["--trusted-ip=10.0.0.0/8", "--reverse-proxy=true", "--trusted-proxy-ip=192.0.2.1"];
            claimed(
                rig,
                &flags,
                &[
                    "X-Forwarded-For: 10.0.0.1",
                    "X-Real-IP: 10.0.0.1",
                    "X-Real-IP: 10.0.0.1\r\nX-Forwarded-For: 192.0.2.1",
                ],
            )
        }),
        case(CLASS, "a preflight that is none", "", |rig| {
            let Some(world) = rig.shared(&["--skip-auth-preflight", "--api-route=^/api/"]) else {
                return rig.without_flag();
            };
            let heads = [
                "GET /secret HTTP/1.1\r\nAccess-Control-Request-Method: GET",
                "GET /secret HTTP/1.1\r\nX-HTTP-Method-Override: OPTIONS",
                "options /secret HTTP/1.1",
                "OPTIONSX /secret HTTP/1.1",
            ];
            unless(heads.iter().find_map(|head| got_through(&world, head)))
        }),
        case(CLASS, "a change of protocol", "", |rig| {
            let world = rig.world();
            let heads = [
                "GET /secret HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13",
                "GET /secret HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
                "CONNECT /secret HTTP/1.1",
            ];
            unless(heads.iter().find_map(|head| got_through(&world, head)))
        }),
        case(CLASS, "a tunnel of HTTP/2 through an open path", "", |rig| {
            let world = rig.world();
            let head = format!(
                "GET /health HTTP/1.1\r\nHost: {}\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
                world.addr
            );
            let mut short = head.into_bytes();
            short.extend_from_slice(
                format!("GET /bye HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.addr).as_bytes(),
            );
            let (seen, _) = world.shown(&short);
            let asked = seen.iter().find(|request| {
                request.path == "/health" && request.header("upgrade").is_some_and(|to| to.contains("h2c"))
            });
            holds(asked.is_none(), "the app is asked to change to h2c, behind which every path is open")
        }),
    ]
}
