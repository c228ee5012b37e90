//! Who belongs: by address, domain, user and group; for everything, and for single routes.

use std::collections::HashSet;

use regex::Regex;

use crate::{certificate, session::Who};

#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `*`, `domain`, `.domain` and `*.domain` for those below it.
    pub domains: Vec<String>,
    /// In lower case.
    pub emails: HashSet<String>,
    /// Let in whatever their groups are.
    pub users: HashSet<String>,
    /// One of these, if there are any.
    pub groups: Vec<String>,
    pub routes: Vec<Require>,
    /// Of clients: without one a certificate opens no door.
    pub certificates: Vec<certificate::Rule>,
}

/// What one route asks for beside what everything does.
#[derive(Clone, Debug)]
pub struct Require {
    pub path: Regex,
    /// Empty: any.
    pub methods: Vec<String>,
    pub groups: Vec<String>,
    pub emails: Vec<String>,
    /// Only those for whom one of these vouches; empty: any.
    pub providers: Vec<String>,
    pub certificates: Vec<String>,
}

/// What becomes of somebody who is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Belongs,
    /// By address, or by group: the word for the log.
    Foreign(&'static str),
}

impl Rules {
    /// At the login and at every request: rules change while sessions live.
    pub fn judge(&self, who: &Who) -> Verdict {
        if who.by_password || who.belongs {
            return Verdict::Belongs;
        }
        if !self.takes_email(&who.email) {
            return Verdict::Foreign("email");
        }
        let named = who.preferred_username.as_ref().is_some_and(|name| self.users.contains(name));
        let member = self.groups.is_empty() || self.groups.iter().any(|group| who.groups.contains(group));
        if named || member { Verdict::Belongs } else { Verdict::Foreign("group") }
    }

    fn takes_email(&self, email: &str) -> bool {
        if self.domains.iter().any(|domain| domain == "*") {
            return true;
        }
        let email = email.to_lowercase();
        // With two of them, one reader takes the first for the domain and another the last.
        let Some((name, domain)) = email.split_once('@').filter(|(_, domain)| !domain.contains('@')) else {
            return false;
        };
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        if name.is_empty() || domain.is_empty() || email.contains(is_odd) {
            return false;
        }
        self.emails.contains(&email) || self.domains.iter().any(|allowed| in_domain(domain, &allowed.to_lowercase()))
    }

    /// The rule that is not met, by its path. `path` is canonical: where it is not, no route may be asked for that a rule
    /// protects.
    pub fn refuses_route(&self, who: &Who, method: &str, path: Option<&str>) -> Option<String> {
        if self.routes.is_empty() {
            return None;
        }
        let Some(path) = path else { return Some("a path that can be read in two ways".into()) };
        // `/admin;x` is `/admin` to some apps.
        let bare: Vec<_> = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
        let bare = bare.join("/");
        let fits = |rule: &&Require| {
            let path_fits = rule.path.is_match(path) || rule.path.is_match(&bare);
            path_fits && (rule.methods.is_empty() || rule.methods.iter().any(|known| known == method))
        };
        let vouched = |rule: &Require| {
            let names = |provider: &String| rule.providers.contains(provider);
            rule.providers.is_empty() || who.provider.as_ref().is_some_and(names)
        };
        let is_met = |rule: &&Require| {
            vouched(rule)
                && (rule.groups.iter().any(|group| who.groups.contains(group))
                    || rule.emails.iter().any(|email| email.eq_ignore_ascii_case(&who.email))
                    || rule
                        .certificates
                        .iter()
                        .any(|wanted| who.names.iter().any(|name| certificate::fits(wanted, name))))
        };
        let unmet = self.routes.iter().filter(fits).find(|rule| !is_met(rule));
        unmet.map(|rule| rule.path.to_string())
    }
}

fn in_domain(domain: &str, allowed: &str) -> bool {
    let allowed = allowed.strip_prefix('@').unwrap_or(allowed);
    let below = allowed.strip_prefix('*').unwrap_or(allowed);
    if below.starts_with('.') { domain.ends_with(below) && domain.len() > below.len() } else { domain == allowed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(email: &str, groups: &[&str]) -> Who {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Who { email: email.into(), groups, ..Who::default() }
    }

    #[test]
    fn addresses_are_of_one_domain_and_no_trick_makes_them_of_another() {
        let domains = ["mycompany.com", ".sub.org", "*.star.org"].map(str::to_owned).to_vec();
        let rules = Rules { domains, emails: ["one@else.org".to_owned()].into(), ..Rules::default() };
        for email in ["a@mycompany.com", "A@MyCompany.COM", "x@a.sub.org", "x@a.star.org", "One@else.org"] {
            assert_eq!(rules.judge(&who(email, &[])), Verdict::Belongs, "{email}");
        }
        for email in [
            "",
            "mycompany.com",
            "@mycompany.com",
            "a@evil.com@mycompany.com",
            "a@mycompany.com@evil.com",
            "a@mycompany.com.evil.com",
            "a@evilmycompany.com",
            "a@sub.org",
            "a@evilsub.org",
            "a@star.org",
            "two@else.org",
            "a@mycompany.com ",
            "a@mycompany.com\0",
            "a b@mycompany.com",
            "a@.sub.org",
        ] {
            assert_eq!(rules.judge(&who(email, &[])), Verdict::Foreign("email"), "{email:?}");
        }
        let nobody = Rules::default();
        assert_eq!(nobody.judge(&who("a@b.c", &[])), Verdict::Foreign("email"), "without a rule nobody belongs");
    }

    #[test]
    fn groups_are_asked_for_everywhere_and_more_for_single_routes() {
        let admin = Require {
            path: Regex::new("^/admin(/|$)").unwrap(),
            methods: Vec::new(),
            groups: vec!["admins".into()],
            emails: vec!["boss@x.y".into()],
            providers: Vec::new(),
            certificates: vec!["spiffe://x/admin/*".into()],
        };
        let rules =
            Rules { domains: vec!["*".into()], groups: vec!["staff".into()], routes: vec![admin], ..Rules::default() };
        assert_eq!(rules.judge(&who("a@x.y", &["staf"])), Verdict::Foreign("group"));
        let staff = who("a@x.y", &["staff"]);
        assert_eq!(rules.judge(&staff), Verdict::Belongs);
        assert_eq!(rules.refuses_route(&staff, "GET", Some("/")), None);
        assert_eq!(rules.refuses_route(&staff, "GET", Some("/admin/x")).as_deref(), Some("^/admin(/|$)"));
        assert!(rules.refuses_route(&staff, "GET", None).is_some(), "a path that others may read otherwise");
        assert_eq!(rules.refuses_route(&who("boss@x.y", &[]), "GET", Some("/admin")), None);
        assert_eq!(rules.refuses_route(&who("b@x.y", &["admins"]), "GET", Some("/admin")), None);
        let machine = Who { names: vec!["spiffe://x/admin/a".into()], ..Who::default() };
        assert_eq!(rules.refuses_route(&machine, "GET", Some("/admin")), None);
    }
}
