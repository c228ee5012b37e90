//! Cookies of ours: how they are set, split, read, cleared, and kept from the app.

use http1::Headers;

/// Browsers keep 4096 bytes of name, value and attributes.
const LARGEST: usize = 3800;
/// More than this and servers refuse the request for the size of its head.
const MOST_PIECES: usize = 8;

#[derive(Clone, Debug)]
pub struct CookieRules {
    pub name: String,
    pub path: String,
    /// The longest that the host is in. None fits: the host alone.
    pub domains: Vec<String>,
    pub secure: bool,
    pub http_only: bool,
    pub same_site: SameSite,
    /// Of the cookie of a login under way.
    pub login_same_site: SameSite,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    #[default]
    Lax,
    Strict,
    None,
}

impl std::str::FromStr for SameSite {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" | "lax" => Self::Lax,
            "strict" => Self::Strict,
            "none" => Self::None,
            _ => return Err("expected lax, strict or none"),
        })
    }
}

/// The cookies that the client sent, in order.
pub fn sent(headers: &Headers) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all("cookie").filter_map(|line| std::str::from_utf8(line).ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        Some((name, value))
    })
}

impl CookieRules {
    /// One cookie, or several when it is too large for one; None: too large for those, too.
    pub fn set(&self, host: &str, value: &str, seconds: u64) -> Option<Vec<String>> {
        if value.len() <= LARGEST {
            return Some(vec![self.line(host, &self.name, value, seconds, self.same_site)]);
        }
        let pieces: Vec<&str> =
            (0..value.len()).step_by(LARGEST).map(|at| &value[at..value.len().min(at + LARGEST)]).collect();
        (pieces.len() <= MOST_PIECES).then(|| {
            let line = |(number, piece): (usize, &&str)| {
                self.line(host, &format!("{}_{number}", self.name), piece, seconds, self.same_site)
            };
            pieces.iter().enumerate().map(line).collect()
        })
    }

    /// What was set, put together.
    pub fn get(&self, headers: &Headers) -> Option<String> {
        let find = |wanted: &str| sent(headers).find(|(name, _)| *name == wanted).map(|(_, value)| value);
        if let Some(whole) = find(&self.name) {
            return Some(whole.to_owned());
        }
        let pieces: Vec<&str> = (0..MOST_PIECES).map_while(|number| find(&format!("{}_{number}", self.name))).collect();
        (!pieces.is_empty()).then(|| pieces.concat())
    }

    /// Lines that clear every cookie of the session that the client sent and that is not in `kept`.
    pub fn clear(&self, host: &str, headers: &Headers, kept: &[String]) -> Vec<String> {
        let is_kept =
            |name: &str| kept.iter().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
        let ours = sent(headers).map(|(name, _)| name).filter(|name| self.is_session(name) && !is_kept(name));
        ours.map(|name| self.line(host, name, "", 0, self.same_site)).collect()
    }

    fn is_session(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(&*self.name) else { return false };
        let piece = rest.strip_prefix('_').and_then(|number| number.parse::<usize>().ok());
        rest.is_empty() || piece.is_some_and(|piece| piece < MOST_PIECES)
    }

    pub fn login_name(&self, state: &str) -> String {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        let sum = ring::digest::digest(&ring::digest::SHA256, state.as_bytes());
        format!("{}_csrf_{}", self.name, BASE64_URL_SAFE_NO_PAD.encode(&sum.as_ref()[..9]))
    }

    /// Logins that are under way in this browser.
    pub fn logins<'a>(&self, headers: &'a Headers) -> Vec<(&'a str, &'a str)> {
        let (prefix, form) = (format!("{}_csrf_", self.name), self.form_name());
        sent(headers).filter(|(name, _)| name.starts_with(&prefix) && *name != form).collect()
    }

    /// Shorter than that of any login.
    pub fn form_name(&self) -> String {
        format!("{}_csrf_form", self.name)
    }

    pub fn set_form(&self, host: &str, value: &str, seconds: u64) -> String {
        self.line(host, &self.form_name(), value, seconds, SameSite::Lax)
    }

    pub fn set_login(&self, host: &str, name: &str, value: &str, seconds: u64) -> String {
        self.line(host, name, value, seconds, self.login_same_site)
    }

    fn line(&self, host: &str, name: &str, value: &str, seconds: u64, same_site: SameSite) -> String {
        let mut line = format!("{name}={value}; Path={}", self.path);
        if let Some(domain) = self.domain(host) {
            line.push_str(&format!("; Domain={domain}"));
        }
        line.push_str(&format!("; Max-Age={seconds}"));
        for (is_set, attribute) in [(self.http_only, "; HttpOnly"), (self.secure, "; Secure")] {
            if is_set {
                line.push_str(attribute);
            }
        }
        line.push_str(match same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        line
    }

    fn domain(&self, host: &str) -> Option<&str> {
        let host = http1_host(host);
        let fits =
            |domain: &&str| host == *domain || host.strip_suffix(*domain).is_some_and(|rest| rest.ends_with('.'));
        let domains = self.domains.iter().map(|domain| domain.trim_start_matches('.'));
        domains.filter(fits).max_by_key(|domain| domain.len())
    }

    /// What of ours is in the request is not for the app.
    pub fn strip(&self, headers: &mut Headers) {
        let login = format!("{}_csrf_", self.name);
        let is_ours = |name: &str| self.is_session(name) || name.starts_with(&login);
        if !sent(headers).any(|(name, _)| is_ours(name)) {
            return;
        }
        // Cookies that are not UTF-8 are nobody's that we know: they stay behind.
        let kept: Vec<String> =
            sent(headers).filter(|(name, _)| !is_ours(name)).map(|(name, value)| format!("{name}={value}")).collect();
        headers.remove("cookie");
        if !kept.is_empty() {
            headers.append("Cookie", kept.join("; "));
        }
    }
}

/// A host without its port.
fn http1_host(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> CookieRules {
        CookieRules {
            name: "_s".into(),
            path: "/".into(),
            domains: vec![".example.com".into(), "app.example.com".into()],
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            login_same_site: SameSite::Lax,
        }
    }

    fn headers(cookie: &str) -> Headers {
        [("Cookie", cookie)].into_iter().collect()
    }

    #[test]
    fn a_large_value_is_split_and_put_together() {
        let rules = rules();
        for length in [0, LARGEST, LARGEST + 1, LARGEST * MOST_PIECES] {
            let value: String = "abcdefgh".chars().cycle().take(length).collect();
            let lines = rules.set("x", &value, 60).unwrap();
            assert!(lines.iter().all(|line| line.len() < 4096), "{length}");
            let cookies: Vec<_> = lines.iter().map(|line| line.split("; ").next().unwrap()).collect();
            assert_eq!(rules.get(&headers(&cookies.join("; "))).unwrap(), value);
        }
        assert!(rules.set("x", &"a".repeat(LARGEST * MOST_PIECES + 1), 60).is_none());
        assert_eq!(rules.get(&headers("_s_1=b; other=_s")), None);
    }

    #[test]
    fn attributes_are_as_configured_and_the_domain_fits_the_host() {
        let rules = rules();
        let line = |host: &str| rules.set(host, "v", 60).unwrap().remove(0);
        assert_eq!(line("other.org"), "_s=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax");
        assert!(line("www.example.com:8080").contains("; Domain=example.com;"));
        assert!(line("a.app.example.com").contains("; Domain=app.example.com;"));
        assert!(!line("evilexample.com").contains("Domain"));
    }

    #[test]
    fn what_is_ours_is_cleared_and_kept_from_the_app_and_nothing_else_is() {
        let rules = rules();
        let mut sent = headers("a=1; _s_0=x; _s_1=y; _s_csrf_q=z; _s_9=9; _sx=2; b=_s");
        let kept = rules.set("h", "v", 9).unwrap();
        let cleared = rules.clear("h", &sent, &kept);
        assert_eq!(cleared.len(), 2);
        assert!(cleared[0].starts_with("_s_0=; Path=/; Max-Age=0"), "{cleared:?}");
        rules.strip(&mut sent);
        assert_eq!(sent.get_str("cookie"), Some("a=1; _s_9=9; _sx=2; b=_s"));
        let mut only_ours = headers("_s=1");
        rules.strip(&mut only_ours);
        assert!(!only_ours.contains("cookie"));
    }
}
