//! What a client certificate proves, and which of them open a door.

use tls::ClientIdentity;

use crate::session::Who;

/// Certificates that belong, by one of the names that are in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whole, or with `/*` at its end for all below it; `*` for whatever the authority has signed.
    pub name: String,
    pub groups: Vec<String>,
}

impl Rule {
    pub fn fits(&self, names: &[String]) -> bool {
        names.iter().any(|name| fits(&self.name, name))
    }
}

pub fn fits(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some("") => true,
        Some(above) if above.ends_with('/') => {
            let below = name.strip_prefix(above).unwrap_or_default();
            !below.is_empty() && !below.split('/').any(|part| matches!(part, "" | "." | ".."))
        }
        _ => name == wanted,
    }
}

/// Every name that can be told from the others by how it looks: `CN=a,O=b`, `spiffe://...`, `a.example.com`, `a@b.c`. What
/// looks like a name of another kind is none: an authority may not check what it signs.
pub fn names(identity: &ClientIdentity) -> Vec<String> {
    let is_dns = |name: &&String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte))
    };
    let is_email = |name: &&String| name.contains('@') && !name.contains(['/', '=']);
    // An identity of a workload stands alone: a certificate with several has none.
    let is_uri = |uri: &&str| !uri.starts_with("spiffe:") && uri.contains("://");
    let uris = identity.uris.iter().map(String::as_str).filter(is_uri).chain(identity.spiffe());
    let subject = Some(&identity.subject).filter(|subject| subject.contains('='));
    let texts = identity.dns.iter().filter(is_dns).chain(identity.emails.iter().filter(is_email)).chain(subject);
    uris.map(str::to_owned).chain(texts.cloned()).collect()
}

/// Whom it is about, if one of the rules lets it in.
pub fn who(identity: &ClientIdentity, rules: &[Rule]) -> Option<Who> {
    let names = names(identity);
    let fitting: Vec<_> = rules.iter().filter(|rule| rule.fits(&names)).collect();
    if fitting.is_empty() {
        return None;
    }
    let user = identity.spiffe().or(identity.common_name.as_deref()).or(identity.dns.first().map(String::as_str));
    let email = match identity.emails.as_slice() {
        [only] if names.contains(only) => only.clone(),
        _ => String::new(),
    };
    Some(Who {
        user: user.unwrap_or(&identity.subject).to_owned(),
        email,
        groups: fitting.iter().flat_map(|rule| rule.groups.clone()).collect(),
        belongs: true,
        names,
        ..Who::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_the_whole_name_or_all_below_a_slash() {
        for (wanted, name) in [
            ("spiffe://a/ns/b", "spiffe://a/ns/b"),
            ("spiffe://a/ns/*", "spiffe://a/ns/b/sa/c"),
            ("*", "CN=x"),
            ("CN=api,O=Example", "CN=api,O=Example"),
        ] {
            assert!(fits(wanted, name), "{wanted} {name}");
        }
        for (wanted, name) in [
            ("spiffe://a/ns/b", "spiffe://a/ns/bc"),
            ("spiffe://a/ns/*", "spiffe://a/ns/"),
            ("spiffe://a/ns/*", "spiffe://a/ns/../admin"),
            ("spiffe://a/ns/*", "spiffe://a/nsx/b"),
            ("CN=api*", "CN=api2"),
            ("CN=api", "CN=api,O=Evil"),
        ] {
            assert!(!fits(wanted, name), "{wanted} {name}");
        }
    }

    #[test]
    fn a_name_of_one_kind_is_not_taken_for_one_of_another() {
        let identity = ClientIdentity {
            subject: "CN=x".into(),
            uris: vec!["spiffe://a/b".into(), "https://c/d".into()],
            dns: vec!["spiffe://a/admin".into(), "CN=admin".into(), "x.example".into()],
            emails: vec!["a/b@c".into(), "a@b.c".into()],
            ..ClientIdentity::default()
        };
        assert_eq!(names(&identity), ["https://c/d", "x.example", "a@b.c", "CN=x"]);
    }
}
