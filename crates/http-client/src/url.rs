//! URLs as people type them.

use reqwest::Url;

/// With hosts of plain ASCII: our build of the parser has no Unicode tables (idna_adapter in the root Cargo.toml), and in a
/// debug build it panics at some of those it would refuse.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    let host = host(text);
    if !host.is_ascii() || host.contains('%') {
        return Err(format!("host {host:?}: expected ASCII, an international one as xn--..."));
    }
    Url::parse(text).map_err(|error| format!("not a URL: {error}"))
}

/// Where the parser looks for it: after any number of slashes of both kinds, and without what it skips.
fn host(text: &str) -> String {
    let seen: String = text.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let rest = seen.split_once(':').map_or("", |(_, rest)| rest).trim_start_matches(['/', '\\']);
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn international_hosts_are_refused_however_they_are_typed() {
        for text in ["http://a\u{e9}B/", "http:\\\\u@\u{2028}B", "ht\ntp:\u{e9}B", "http://u:p@%C3%A9B:80/"] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains("xn--"), "{text:?}: {problem}");
        }
        for text in ["http://xn--nxasmq6b:80/\u{e9}?\u{e9}%20", "http://u:%40\u{e9}@A.example/"] {
            assert!(parse(text).is_ok(), "{text:?}");
        }
    }
}
