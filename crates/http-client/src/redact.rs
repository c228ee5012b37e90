//! What must not be seen: credentials in URLs, headers and in what a server echoes.

const HIDDEN: &str = "***";

/// Whether a header or a query parameter of this name usually carries a secret. Too many rather than too few.
pub(crate) fn sounds_secret(name: &str) -> bool {
    const PARTS: [&str; 9] = ["auth", "cookie", "token", "secret", "passw", "key", "credential", "sig", "session"];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

/// A URL to show: `http://***@host/path?token=***`.
pub(crate) fn url(text: &str) -> String {
    match crate::url::parse(text) {
        // "user:password@host" parses, too: as the scheme "user" without a host.
        Ok(mut url) if url.has_host() => {
            if !url.username().is_empty() || url.password().is_some() {
                // Neither fails for a URL that had them.
                let _ = url.set_username(HIDDEN);
                let _ = url.set_password(None);
            }
            query(url.as_str())
        }
        // Not a URL (or a relative one): whatever stands before an @ may be a password.
        _ => match (text.find("://"), text.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => format!("{}{HIDDEN}{}", &text[..scheme + 3], query(&text[at..])),
            (None, Some(at)) => format!("{HIDDEN}{}", query(&text[at..])),
            _ => query(text),
        },
    }
}

fn query(text: &str) -> String {
    let Some((path, rest)) = text.split_once('?') else {
        return text.to_owned();
    };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if sounds_secret(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    };
    format!("{path}?{}", rest.split('&').map(hide).collect::<Vec<_>>().join("&"))
}

/// The secrets of one attempt. Servers echo requests in their error pages: what we quote is scrubbed of them.
#[derive(Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.0.push(secret.to_owned());
            // The longest first: a secret that contains another one is hidden whole.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    pub(crate) fn scrub(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

/// What a server says, on one line, bounded and without control characters. The reason is often not on the first line.
pub(crate) fn on_one_line(bytes: &[u8]) -> String {
    const LONGEST: usize = 600;
    let text = String::from_utf8_lossy(bytes);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if line.chars().nth(LONGEST).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_userinfo_and_secret_parameters() {
        for (text, shown) in [
            ("http://127.0.0.1:9090/-/reload", "http://127.0.0.1:9090/-/reload"),
            ("https://user:hunter2@a.example/x?a=1&token=t#f", "https://***@a.example/x?a=1&token=***"),
            ("http://user@a.example/", "http://***@a.example/"),
            ("http://:pw@[::1]:80/", "http://***@[::1]/"),
            ("http://user:hunter2@not a host/", "http://***@not a host/"),
            ("user:hunter2@host/x", "***@host/x"),
            ("/login?state=abc&api_key=1", "/login?state=abc&api_key=***"),
        ] {
            let url = url(text);
            assert_eq!(url, shown);
        }
    }

    #[test]
    fn quotes_one_short_line() {
        assert_eq!(on_one_line(b"\r\n  no such\x1b[31m thing \n\tmore"), "no such[31m thing more");
        assert_eq!(on_one_line(&[b'x'; 5000]).len(), 603);
        assert_eq!(on_one_line(b""), "");
    }

    #[test]
    fn scrubs_the_longest_first() {
        let mut secrets = Secrets::default();
        secrets.add("abc");
        secrets.add("abcdef");
        secrets.add("");
        assert_eq!(secrets.scrub("abcdef abc x"), "*** *** x");
    }
}
