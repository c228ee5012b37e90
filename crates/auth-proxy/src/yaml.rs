//! Our own config file: YAML in, [`Config`] out, every problem reported with its line.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use common::{Failure, config::Section};
use ipnet::IpNet;
use regex::Regex;
use values::{ListenAddr, Secret, Span};

use crate::{
    config::{Audit, Bypass, Config, Front, Pages, Passwords, Paths, Route, Sessions, SignOut, Tell},
    cookie::{CookieRules, SameSite},
    listen::Listener,
    rules::{Require, Rules},
    seal::Sealer,
};

mod access;
mod listen;
mod people;
mod tell;
mod upstream;

pub use upstream::Place;

/// Reads a whole file of ours.
pub fn read(path: &Path) -> Result<Config, Failure> {
    let config = common::config::read(path, |root| {
        root.ignore("sidecar"); // common reads this one
        config(root)
    })?;
    config.ok_or_else(|| Failure::config(format!("{}: the cookie secret cannot be used", path.display())))
}

/// The same for a text; `name` is what it is called.
pub(crate) fn parse(name: &str, text: &str) -> Result<Option<Config>, Failure> {
    common::config::parse(name, text, config)
}

fn config(root: &mut Section) -> Option<Config> {
    let providers: Vec<_> = root.sections("providers").iter_mut().map(people::provider).collect();
    let (listeners, force_https) = listen::listeners(root);
    let mut files: Vec<PathBuf> = listeners.iter().flat_map(Listener::files).collect();
    let passwords = root.section("passwords").map(|mut section| Passwords {
        file: section.required("file").unwrap_or_default(),
        groups: section.list("groups"),
        shown: section.parsed("shown").unwrap_or(true),
    });
    let rules = root.section("allow").map(|mut section| rules(&mut section)).unwrap_or_default();
    let (has_keys, bearer, kubernetes) = (root.has("keys"), access::bearer(root), access::kubernetes(root));
    let has_issuers = bearer.as_ref().is_some_and(|bearer| !bearer.issuers.is_empty());
    let by_programs = has_keys || has_issuers || kubernetes.is_some() || !rules.certificates.is_empty();
    if providers.is_empty() && passwords.is_none() && !by_programs {
        root.problem("nobody could sign in: expected providers, passwords, keys, bearer with issuers, kubernetes, or certificates under allow");
    }
    for (nth, provider) in providers.iter().enumerate() {
        if providers[..nth].iter().any(|other| other.name == provider.name) {
            root.problem(format!("providers: two are called \"{}\"", provider.name));
        }
    }
    let mut notes = Vec::new();
    let upstreams: Vec<_> =
        root.sections("upstreams").iter_mut().map(|section| upstream::upstream(section, &mut notes)).collect();
    if upstreams.is_empty() {
        root.problem("nothing to protect: expected upstreams");
    }
    let names_somebody = |rules: &Rules| !rules.domains.is_empty() || !rules.emails.is_empty();
    let all_do = |provider: &crate::config::Provider| provider.allow.as_ref().is_some_and(names_somebody);
    if !names_somebody(&rules) && (has_issuers || !providers.iter().all(all_do)) {
        root.problem("allow: expected domains or emails, domains: [\"*\"] for anybody whom a provider knows");
    }
    let bypass = root.section("bypass").map(|mut section| bypass(&mut section)).unwrap_or_default();
    let (cookie, secrets, sessions) =
        root.section("cookie").map_or_else(|| session(&mut Section::empty()), |mut section| session(&mut section));
    if secrets.is_empty() && !providers.is_empty() {
        root.problem("cookie: expected secret_files, each with 16 bytes or more in it");
    }
    let front = root.section("behind").map(|mut section| Front {
        proxies: networks(&mut section, "proxies"),
        client_header: section.parsed("client_header").unwrap_or_else(|| "X-Forwarded-For".into()),
    });
    let tell = root.section("tell").map(|mut section| tell::tell(&mut section, &mut files));
    let pages = root.section("pages").map(|mut section| people::pages(&mut section));
    let store = root.section("sessions").and_then(|mut section| people::store(&mut section));
    let sign_out = root.section("sign_out").map(|mut section| people::sign_out(&mut section));
    if store.is_some() && secrets.is_empty() {
        root.problem("sessions: expected secret_files in cookie, the same for all replicas");
    }
    Some(Config {
        listeners,
        force_https,
        providers,
        upstreams,
        cookie,
        sealer: Arc::new(Sealer::new(&secrets).or_else(throwaway)?),
        sessions,
        store,
        rules,
        bypass,
        bearer,
        passwords,
        tell: tell.unwrap_or(Tell { answer_user: true, ..Tell::default() }),
        front: front.unwrap_or_default(),
        paths: Paths::default(),
        pages: pages.unwrap_or_default(),
        redirect_url: root.parsed("redirect_url"),
        sign_out: sign_out.unwrap_or(SignOut { page: true, ..SignOut::default() }),
        redirect_hosts: root.list("redirect_hosts"),
        keys: access::keys(root, &mut files),
        kubernetes,
        policy: access::policy(root),
        audit: root.section("audit").map(|mut section| audit(&mut section)).unwrap_or_default(),
        files,
        notes,
    })
}

/// Sessions that end with this process: good enough where a password can be typed again.
fn throwaway() -> Option<Sealer> {
    Sealer::new(&[Secret::new(oidc::random_text()?)])
}

/// Without a file: one app, one file of users.
pub fn passwords_only(listen: Option<ListenAddr>, to: Option<Place>, file: PathBuf) -> Result<Config, Failure> {
    let (cookie, _, sessions) = session(&mut Section::empty());
    let sealer = throwaway().ok_or_else(|| Failure::bug("the system has no randomness"))?;
    Ok(Config {
        listeners: vec![Listener::plain(listen.unwrap_or(ListenAddr::Any(4180)))],
        force_https: None,
        providers: Vec::new(),
        upstreams: vec![to.unwrap_or_else(Place::local).alone()],
        cookie,
        sealer: Arc::new(sealer),
        sessions,
        store: None,
        rules: Rules::default(),
        bypass: Bypass::default(),
        bearer: None,
        passwords: Some(Passwords { file, groups: Vec::new(), shown: true }),
        tell: Tell { answer_user: true, ..Tell::default() },
        front: Front::default(),
        paths: Paths::default(),
        pages: Pages::default(),
        redirect_url: None,
        sign_out: SignOut { page: true, ..SignOut::default() },
        redirect_hosts: Vec::new(),
        keys: None,
        kubernetes: None,
        policy: None,
        audit: Audit::default(),
        files: Vec::new(),
        notes: Vec::new(),
    })
}

/// [`Regex`] with a problem of one line.
struct Pattern(Regex);

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Regex::new(text).map(Self).map_err(|_| "expected a regular expression")
    }
}

fn rules(section: &mut Section) -> Rules {
    let emails: Vec<String> = section.list("emails");
    let mut routes = section.sections("routes");
    let routes = routes.iter_mut().filter_map(|section| {
        let path: Option<Pattern> = section.required("path");
        let (groups, emails) = (section.list("groups"), section.list("emails"));
        let certificates: Vec<String> = section.list("certificates");
        if groups.is_empty() && emails.is_empty() && certificates.is_empty() {
            section.problem("expected groups, emails or certificates");
        }
        let providers = section.list("providers");
        Some(Require { path: path?.0, methods: section.list("methods"), groups, emails, providers, certificates })
    });
    let routes = routes.collect();
    Rules {
        domains: section.list("domains"),
        emails: emails.iter().map(|email| email.to_lowercase()).collect(),
        groups: section.list("groups"),
        certificates: access::certificates(section),
        routes,
        ..Rules::default()
    }
}

fn audit(section: &mut Section) -> Audit {
    let usual = Audit::default();
    Audit {
        off: section.parsed("off").unwrap_or(usual.off),
        without_paths: section.list("without_paths"),
        request_id: section.parsed("request_id").unwrap_or(usual.request_id),
    }
}

fn networks(section: &mut Section, key: &str) -> Vec<IpNet> {
    section.list(key)
}

fn bypass(section: &mut Section) -> Bypass {
    let routes: Vec<Pattern> = section.list("paths");
    let api: Vec<Pattern> = section.list("api");
    Bypass {
        routes: routes.into_iter().map(|Pattern(path)| Route { method: None, path }).collect(),
        preflight: section.parsed("preflight").unwrap_or(false),
        networks: networks(section, "networks"),
        api: api.into_iter().map(|Pattern(path)| path).collect(),
        only_programs: false,
    }
}

fn cookie(section: &mut Section) -> CookieRules {
    let insecure = section.parsed("insecure").unwrap_or(false);
    let domains: Vec<String> = section.list("domains");
    let default = match (insecure, domains.is_empty()) {
        (true, _) => "auth",
        (false, true) => "__Host-auth",
        // One of several hosts cannot be one host's own.
        (false, false) => "__Secure-auth",
    };
    let name: String = section.parsed("name").unwrap_or_else(|| default.into());
    if let Some(domain) = domains.iter().find(|domain| domain.contains([';', '/', ' ', ':'])) {
        section.problem(format!("domains \"{domain}\": expected a domain"));
    }
    if name.starts_with("__Host-") && (insecure || !domains.is_empty()) {
        section.problem("name: __Host- asks for no domains and not for insecure");
    }
    if name.starts_with("__Secure-") && insecure {
        section.problem("name: __Secure- and insecure do not go together");
    }
    let same_site = section.parsed("same_site").unwrap_or_default();
    if same_site == SameSite::None && insecure {
        section.problem("same_site: browsers drop none with insecure");
    }
    CookieRules {
        name,
        path: "/".into(),
        domains: domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        secure: !insecure,
        http_only: true,
        same_site,
        login_same_site: SameSite::Lax,
    }
}

fn session(section: &mut Section) -> (CookieRules, Vec<Secret>, Sessions) {
    let files: Vec<PathBuf> = section.list("secret_files");
    let mut secrets = Vec::new();
    for file in files {
        match Secret::from_file(&file) {
            Ok(secret) if secret.expose().len() >= 16 => secrets.push(secret),
            Ok(_) => section.problem(format!("secret_files: {}: expected 16 bytes or more", file.display())),
            Err(why) => section.problem(format!("secret_files: {why}")),
        }
    }
    let rules = cookie(section);
    let span = |section: &mut Section, key: &str, default: u64| {
        section.parsed(key).map_or(Duration::from_secs(default), |Span(time)| time)
    };
    let sessions = Sessions {
        lifetime: span(section, "lifetime", 168 * 3600),
        refresh: span(section, "refresh", 0),
        login: Duration::from_secs(900),
        minimal: section.parsed("minimal").unwrap_or(false),
    };
    (rules, secrets, sessions)
}
