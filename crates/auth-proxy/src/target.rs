//! Where a login ends: here, or where the operator allows. Judged as a browser would judge it.

use url::Url;

/// Nobody has this host.
const HERE: &str = "https://here.invalid/";
const LONGEST: usize = 4096;

/// The target if it is safe to be sent there, as a browser would understand it. `hosts` are those beside our own:
/// `host`, `host:port`, `.domain`, with `:*` for any port.
pub fn safe(target: &str, hosts: &[String]) -> Option<String> {
    // Browsers take some of these out before they read the address, and read `\` as `/`.
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if target.is_empty() || target.len() > LONGEST || target.contains(is_odd) {
        return None;
    }
    if target.starts_with('/') {
        let resolved = Url::parse(HERE).ok()?.join(target).ok()?;
        let here = resolved.as_str().strip_prefix(HERE.trim_end_matches('/'))?;
        // `/.//host` is `//host` once the dot is gone: another host for whoever reads it next.
        return (here.starts_with('/') && !here.starts_with("//")).then(|| here.to_owned());
    }
    let url = Url::parse(target).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && matches!(url.scheme(), "http" | "https");
    let host = url.host_str().filter(|_| is_plain && target.contains("://"))?;
    hosts.iter().any(|allowed| fits(allowed, host, &url)).then(|| url.as_str().to_owned())
}

fn fits(allowed: &str, host: &str, url: &Url) -> bool {
    let (name, port) = match allowed.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (allowed, None),
    };
    let port_fits = match port {
        None => url.port().is_none(),
        Some("*") => true,
        Some(port) => url.port_or_known_default().is_some_and(|known| port.parse() == Ok(known)),
    };
    let name = name.strip_prefix('*').unwrap_or(name).to_ascii_lowercase();
    // With its dot, so that no other name ends like it.
    let name_fits = if name.starts_with('.') { host.ends_with(&name) && host.len() > name.len() } else { host == name };
    port_fits && name_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<String> {
        ["app.example", ".example.org", "ports.example:8443", "any.example:*"].map(str::to_owned).to_vec()
    }

    #[test]
    fn what_is_here_or_allowed_is_taken_as_it_is() {
        for target in [
            "/",
            "/a/b?c=d#e",
            "/deep/link?x=1&y=a%2Fb",
            "/a?next=//evil.example",
            "/a?u=https://evil.example/",
            "https://app.example/x",
            "http://a.example.org/",
            "https://ports.example:8443/",
            "https://any.example:1/",
        ] {
            assert_eq!(safe(target, &hosts()).as_deref(), Some(target));
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for target in [
            "",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\u{9}//evil.example",
            " //evil.example",
            "/ /evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "http://evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://app.example@evil.example/",
            "https://app.example:pw@app.example/",
            "https://app.example.evil.example/",
            "https://evilexample.org/",
            "https://example.org/",
            "https://.example.org/",
            "https://app.example:444/",
            "https://ports.example/",
            "https://app.example\\@evil/",
            "evil.example",
            "./x",
            "../x",
            "?x",
            "#x",
            "/.//evil.example",
            "/..//evil.example",
            "/%2e//evil.example",
            "/a/..//evil.example",
            "/\u{2028}/evil.example",
            "/\u{a0}/x",
            "ftp://app.example/",
            "https://app.example%2eevil/",
        ] {
            assert_eq!(safe(target, &hosts()), None, "{target:?}");
        }
    }
}
