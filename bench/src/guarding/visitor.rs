//! Somebody who signs in, and what is shown at the door afterwards.

use std::net::SocketAddr;

use test_kit::http;

/// The cookies of a session, as a browser sends them.
pub(super) fn session(port: u16) -> Result<String, String> {
    let door = SocketAddr::from(([127, 0, 0, 1], port));
    let ask = |addr: SocketAddr, path: &str, cookies: &str| {
        let headers: &[(&str, &str)] = if cookies.is_empty() { &[] } else { &[("Cookie", cookies)] };
        http::request(addr, "GET", path, headers, "").map_err(|error| format!("{path}: {error}"))
    };
    let location = |answer: &http::Response| answer.header("location").unwrap_or_default().to_owned();
    let start = ask(door, "/oauth2/start", "")?;
    let to = location(&start);
    let (provider, path) = to.trim_start_matches("http://").split_once('/').ok_or("no way to the provider")?;
    let provider = provider.parse().map_err(|error| format!("{provider}: {error}"))?;
    let back = location(&ask(provider, &format!("/{path}"), "")?);
    let callback = back.find("/oauth2/callback").ok_or("the provider does not send us back")?;
    let done = ask(door, &back[callback..], &cookies(&start))?;
    let session = cookies(&done);
    let allowed = ask(door, "/oauth2/auth", &session)?;
    if allowed.status == 202 { Ok(session) } else { Err(format!("{} with a session", allowed.status)) }
}

fn cookies(answer: &http::Response) -> String {
    let lines = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    let pairs = lines
        .filter_map(|(_, line)| line.split(';').next())
        .filter(|pair| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty()));
    pairs.collect::<Vec<_>>().join("; ")
}
