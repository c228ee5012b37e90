//! Heads and bodies that one reader takes for another thing than the next.

use test_kit::http;

use crate::{
    case::{Case, Outcome, case, holds, unless},
    rig::{Rig, World},
};

const CLASS: &str = "messages";
const INNER: &str = "GET /secret HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

/// Whether the app sees the request that is hidden in the body of one for an open path.
fn smuggled(rig: &mut Rig, heads: &[&str]) -> Outcome {
    let world = rig.world();
    let found = heads.iter().find(|head| {
        let length = INNER.len();
        let head = head.replace("LENGTH", &length.to_string());
        let (seen, _) = world.shown(
            format!("POST /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n{INNER}").as_bytes(),
        );
        seen.iter().any(|request| request.path == "/secret")
    });
    unless(found.map(|head| format!("{head:?} hides a request")))
}

/// Whether something odd is answered with 200 by the app.
fn refused(world: &World, requests: &[String]) -> Option<String> {
    requests.iter().find_map(|request| {
        let (seen, _) = world.shown(request.as_bytes());
        (!seen.is_empty()).then(|| format!("passed on: {request:.60?}"))
    })
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(CLASS, "a length and chunks", "CWE-444", |rig| {
            smuggled(
                rig,
                &[
                    "Content-Length: 0\r\nTransfer-Encoding: identity",
                    "Transfer-Encoding: chunked\r\nContent-Length: LENGTH",
                    "Content-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n\r\n0",
                ],
            )
        }),
        case(CLASS, "chunks that are spelled oddly", "CWE-444", |rig| {
            smuggled(
                rig,
                &[
                    "Transfer-Encoding: xchunked",
                    "Transfer-Encoding : chunked\r\nContent-Length: LENGTH",
                    "Transfer-Encoding:\x0bchunked\r\nContent-Length: LENGTH",
                    "Transfer-Encoding: chunked, identity\r\nContent-Length: LENGTH",
                    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: LENGTH",
                    "Transfer_Encoding: chunked\r\nContent-Length: 0",
                    "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: LENGTH",
                ],
            )
        }),
        case(CLASS, "two lengths", "CWE-444", |rig| {
            smuggled(
                rig,
                &[
                    "Content-Length: 0\r\nContent-Length: LENGTH",
                    "Content-Length: LENGTH\r\nContent-Length: 0",
                    "Content-Length: LENGTH, 0",
                    "Content-Length: +LENGTH",
                    "Content-Length: 0x0",
                    "Content-Length: -1",
                    "Content-Length: 0\r\nContent_Length: LENGTH",
                ],
            )
        }),
        case(CLASS, "chunks that end oddly", "CWE-444", |rig| {
            let world = rig.world();
            let bodies = [
                "0\n\n",
                "0;x=\n\r\n\r\n",
                "1\r\nx0\r\n\r\n",
                "10000000000000000\r\n",
                "0\r\nX: y\n\r\n\r\n",
                "-1\r\n",
                "0x0\r\n\r\n",
            ];
            let found = bodies.iter().find(|body| {
                let head = "POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
                let (seen, _) = world.shown(
                    format!("{head}{body}{}", INNER.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).as_bytes(),
                );
                seen.iter().any(|request| request.path == "/secret")
            });
            unless(found.map(|body| format!("{body:?} hides a request")))
        }),
        case(CLASS, "a name with a space, a null, a line end", "", |rig| {
            let world = rig.world();
            let odd = [
                "X-Forwarded-User : forged",
                "X-Forwarded-User\0: forged",
                "X-Forwarded-User\r: forged",
                "X\rX-Forwarded-User: forged",
                "X: a\0b",
                "X: a\rX-Forwarded-User: forged",
                ": x",
                "X-Forwarded-User",
            ];
            let requests =
                odd.map(|line| format!("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{line}\r\n\r\n"));
            let before = world.app.requests().len();
            for request in &requests {
                world.shown(request.as_bytes());
            }
            let seen = world.app.requests().split_off(before);
            let wrong = seen.iter().flat_map(|request| &request.headers).find(|(name, value)| {
                value.contains("forged") || name.contains(char::is_control) || value.contains('\0')
            });
            unless(wrong.map(|(name, value)| format!("the app got {name:?}: {value:?}")))
        }),
        case(CLASS, "two hosts, or none", "", |rig| {
            let world = rig.world();
            let requests = ["Host: a\r\nHost: b", "X: y", "Host: a b", "Host: a/secret?"]
                .map(|host| format!("GET /health HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n"));
            unless(refused(&world, &requests))
        }),
        case(CLASS, "a request line of another making", "", |rig| {
            let world = rig.world();
            let lines = [
                "GET /health /secret HTTP/1.1",
                "GET\t/health\tHTTP/1.1",
                "GET /health HTTP/1.1 x",
                "GET /health HTTP/9.9",
                "GET  /health HTTP/1.1",
                "GE\0T /health HTTP/1.1",
            ];
            let requests = lines.map(|line| format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n"));
            unless(refused(&world, &requests))
        }),
        case(CLASS, "a head of four megabytes", "", |rig| {
            let world = rig.world();
            let before = world.memory();
            let head = format!(
                "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n",
                format!("X: {}\r\n", "y".repeat(4000)).repeat(1000)
            );
            let (seen, _) = world.shown(head.as_bytes());
            let grown = world.memory().saturating_sub(before);
            holds(seen.is_empty() && grown < 16 * 1024, format!("{} passed on, {grown} KiB more", seen.len()))
        }),
        case(CLASS, "a body without end for a path of ours", "CVE-2026-26998", |rig| {
            let world = rig.world();
            let before = world.memory();
            let body = "x".repeat(48 << 20);
            for path in ["/oauth2/sign_in", "/oauth2/callback", "/oauth2/start"] {
                let head = format!(
                    "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\nrd=",
                    body.len() + 3
                );
                // It may be cut off, which is as it should be.
                let _ = http::raw(world.addr, format!("{head}{body}").as_bytes());
            }
            let grown = world.memory().saturating_sub(before);
            // What the guides give to the whole container.
            holds(grown < 64 * 1024, format!("{grown} KiB more after three bodies of 48 MiB"))
        }),
        case(CLASS, "ten thousand cookies", "", |rig| {
            let world = rig.world();
            let cookies: String = (0..10_000).map(|number| format!("_oauth2_proxy_csrf_{number}=x; ")).collect();
            let answer = world.browser().ask("GET", "/secret", &[("Cookie", &cookies), ("Accept", "text/html")]);
            let still = world.browser().get("/ping").status;
            holds(answer.status != 200 && still == 200, format!("{}, and then {still}", answer.status))
        }),
        case(CLASS, "a connection that was tunnelled through", "CVE-2026-71324", |rig| {
            let world = rig.world();
            let bytes = "CONNECT app:80 HTTP/1.1\r\nHost: app:80\r\n\r\nGET /secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let (seen, _) = world.shown(bytes.as_bytes());
            holds(!seen.iter().any(|request| request.path == "/secret"), "the app got what was behind it")
        }),
        case(CLASS, "one connection for two people", "", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            browser.sign_in("/").unwrap();
            let cookie: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let first = format!("GET /secret?1 HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", cookie.join("; "));
            let (seen, answer) = world.shown(
                format!(
                    "{first}GET /secret?2 HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
                )
                .as_bytes(),
            );
            let second = seen.iter().any(|request| request.path.ends_with("?2"));
            holds(!second && answer.contains(" 200 "), "the second request has the session of the first")
        }),
    ]
}
