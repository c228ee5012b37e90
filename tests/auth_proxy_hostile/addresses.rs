//! Where a login may end: every address is judged by where a browser would go.

use url::Url;

use crate::{
    case::{Case, Outcome, case, unless},
    rig::{Browser, Rig, World, encoded},
};

const CLASS: &str = "open redirects";

/// Where a browser would be after this answer, if that is not where it may be.
fn leaves(world: &World, location: &str) -> Option<String> {
    let here = Url::parse(&format!("http://{}/", world.addr)).unwrap();
    let url = here.join(location).ok()?;
    let host = url.host_str().unwrap_or_default();
    let is_here = url.host_str() == here.host_str() && url.port() == here.port();
    let is_friend = host.ends_with(".friend.example") && url.port().is_none();
    let is_one = host == "one.example" && url.port() == Some(8443);
    let is_web = matches!(url.scheme(), "http" | "https");
    (!is_web || !(is_here || is_friend || is_one)).then(|| format!("sent to {url}"))
}

/// After a login and after signing out, for each of these.
fn led_astray(rig: &mut Rig, targets: &[&str]) -> Outcome {
    let world = rig.world();
    let mut browser = world.browser();
    let found = targets.iter().find_map(|target| {
        let ended = [
            browser.sign_in(target),
            browser.get(&format!("/oauth2/sign_out?rd={}", encoded(target))).header("location").map(str::to_owned),
        ];
        ended
            .iter()
            .flatten()
            .find_map(|location| leaves(&world, location))
            .map(|where_to| format!("{target:?}: {where_to}"))
    });
    unless(found)
}

fn asked_by(browser: &mut Browser, world: &World, path: &str, headers: &[(&str, &str)]) -> Outcome {
    let start = browser.ask("GET", path, headers);
    let callback = start.header("location").and_then(crate::rig::at_provider);
    let ended = callback.and_then(|callback| browser.get(&callback).header("location").map(str::to_owned));
    unless(ended.and_then(|location| leaves(world, &location)))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(CLASS, "an address without a scheme", "GHSA-5m6c-jp6f-2vcv", |rig| {
            led_astray(
                rig,
                &["//evil.example", "///evil.example", "////evil.example/x", "//evil.example\\@friend.example"],
            )
        }),
        case(CLASS, "backslashes, which browsers read as slashes", "GHSA-qqxw-m5fj-f7gv", |rig| {
            led_astray(
                rig,
                &["/\\evil.example", "\\\\evil.example", "/\\/evil.example", "\\/evil.example", "/\\\\evil.example"],
            )
        }),
        case(CLASS, "white space that browsers take out", "GHSA-j7px-6hwj-hpjg", |rig| {
            led_astray(
                rig,
                &[
                    "/\t/evil.example",
                    "/\n/evil.example",
                    "/\r/evil.example",
                    "\t//evil.example",
                    " //evil.example",
                    "/\t\\evil.example",
                    "\u{1}//evil.example",
                ],
            )
        }),
        case(CLASS, "dots that vanish", "GHSA-5m6c-jp6f-2vcv", |rig| {
            led_astray(
                rig,
                &[
                    "/.//evil.example",
                    "/..//evil.example",
                    "/%2e//evil.example",
                    "/a/..//evil.example",
                    "/a/../\\evil.example",
                ],
            )
        }),
        case(CLASS, "a listed host as a user's name", "", |rig| {
            led_astray(
                rig,
                &[
                    "https://a.friend.example@evil.example/",
                    "https://a.friend.example:x@evil.example/",
                    "https://evil.example:80@evil.example/.friend.example",
                ],
            )
        }),
        case(CLASS, "a host that ends like a listed one", "CVE-2021-21291", |rig| {
            led_astray(
                rig,
                &[
                    "https://evilfriend.example/",
                    "https://a.friend.example.evil.example/",
                    "https://evil.example/.friend.example",
                    "https://evil.example?.friend.example",
                    "https://evil.example#.friend.example",
                ],
            )
        }),
        case(CLASS, "a listed host with another port", "", |rig| {
            led_astray(
                rig,
                &[
                    "https://one.example/",
                    "https://one.example:8444/",
                    "https://one.example:8443@evil.example/",
                    "https://a.friend.example:8443/",
                ],
            )
        }),
        case(CLASS, "a scheme that runs", "", |rig| {
            led_astray(
                rig,
                &[
                    "javascript:alert(1)",
                    "JavaScript:alert(1)//.friend.example",
                    "data:text/html,x",
                    "javascript://a.friend.example/%0aalert(1)",
                    "vbscript:x",
                    "file:///etc/passwd",
                ],
            )
        }),
        case(CLASS, "a scheme with too few slashes, or too many", "", |rig| {
            led_astray(
                rig,
                &[
                    "https:evil.example",
                    "https:/evil.example",
                    "https:\\\\evil.example",
                    "https:///evil.example",
                    "http:\\evil.example",
                    "https:////evil.example",
                ],
            )
        }),
        case(CLASS, "a backslash that ends the host", "", |rig| {
            led_astray(
                rig,
                &[
                    "https://evil.example\\.friend.example/",
                    "https://evil.example\\@a.friend.example/",
                    "https://evil.example%5c.friend.example/",
                ],
            )
        }),
        case(CLASS, "a host that is written oddly", "", |rig| {
            led_astray(
                rig,
                &[
                    "https://evil%2eexample/",
                    "https://evil.example%2f.friend.example/",
                    "https://evil.example%00.friend.example/",
                    "https://evil\u{3002}example/",
                    "https://[::ffff:198.51.100.1]/",
                    "https://evil.example\u{ff0f}.friend.example/",
                ],
            )
        }),
        case(CLASS, "the address named twice", "", |rig| {
            let world = rig.world();
            let both = ["/oauth2/start?rd=/ok&rd=//evil.example", "/oauth2/start?rd=//evil.example&rd=/ok"];
            let worst = both.into_iter().map(|path| asked_by(&mut world.browser(), &world, path, &[]));
            worst.reduce(|a, b| if a == Outcome::Holds { b } else { a }).unwrap()
        }),
        case(CLASS, "an address in a header", "", |rig| {
            let world = rig.world();
            let headers = [
                ("X-Auth-Request-Redirect", "https://evil.example/"),
                ("X-Forwarded-Uri", "//evil.example"),
                ("X-Forwarded-Host", "evil.example"),
                ("X-Forwarded-Proto", "https"),
            ];
            asked_by(&mut world.browser(), &world, "/oauth2/start", &headers)
        }),
        case(CLASS, "the provider is told to answer to another host", "", |rig| {
            let world = rig.world();
            let start = world.browser().ask("GET", "/oauth2/start", &[("X-Forwarded-Host", "evil.example")]);
            let location = start.header("location").unwrap_or_default();
            unless(location.contains("evil.example").then(|| location.to_owned()))
        }),
        case(CLASS, "an address smuggled into the state", "", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            let callback = browser.begin("/").unwrap();
            let state = crate::rig::parameter(&callback, "state").unwrap();
            let nonce = state.split(':').next().unwrap();
            let changed = callback.replace(state, &format!("{nonce}%3A%2F%2Fevil.example"));
            let ended = browser.get(&changed).header("location").map(str::to_owned);
            unless(ended.and_then(|location| leaves(&world, &location)))
        }),
        case(CLASS, "line ends in the address", "", |rig| {
            let world = rig.world();
            let mut browser = world.browser();
            let found = ["/x\r\nSet-Cookie: a=b", "/x%0d%0aSet-Cookie:a=b", "/x\nLocation: //evil.example"]
                .into_iter()
                .find_map(|target| {
                    browser.sign_in(target);
                    let is_split = browser.set.iter().any(|line| line.starts_with("a="));
                    is_split.then(|| format!("{target:?} became a header"))
                });
            unless(found)
        }),
        case(CLASS, "markup in the address", "", |rig| {
            let world = rig.world();
            let marks = encoded("/\"><script>alert(1)</script>");
            let paths = [format!("/oauth2/sign_in?rd={marks}"), "/%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned()];
            let shown = paths.iter().find(|path| world.browser().get(path).body.contains("<script>alert(1)"));
            unless(shown.map(|path| format!("{path} is run by the page")))
        }),
    ]
}
