//! Our own config file: YAML in, [`Config`] out, every problem reported with its line.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use common::{Failure, config::Section};
use http_client::SecretSource;
use http_proxy::Address;
use ipnet::IpNet;
use regex::Regex;
use values::{ListenAddr, Secret, Span};

use crate::{
    config::{
        Bearer, Bypass, ClaimNames, Config, Front, Pages, Passwords, Paths, Provider, Route, Sessions, Tell, To,
        Upstream,
    },
    cookie::CookieRules,
    rules::{Require, Rules},
    seal::Sealer,
};

/// Reads a whole file of ours.
pub fn read(path: &Path) -> Result<Config, Failure> {
    let config = common::config::read(path, |root| {
        root.ignore("sidecar"); // common reads this one
        config(root)
    })?;
    config.ok_or_else(|| Failure::config(format!("{}: the cookie secret cannot be used", path.display())))
}

fn config(root: &mut Section) -> Option<Config> {
    let providers: Vec<_> = root.sections("providers").iter_mut().map(provider).collect();
    let passwords = root.section("passwords").map(|mut section| Passwords {
        file: section.required("file").unwrap_or_default(),
        groups: section.list("groups"),
        shown: section.parsed("shown").unwrap_or(true),
    });
    if providers.is_empty() && passwords.is_none() {
        root.problem("nobody could sign in: expected providers or passwords");
    }
    for (nth, provider) in providers.iter().enumerate() {
        if providers[..nth].iter().any(|other| other.name == provider.name) {
            root.problem(format!("providers: two are called \"{}\"", provider.name));
        }
    }
    let upstreams: Vec<_> = root.sections("upstreams").iter_mut().map(upstream).collect();
    if upstreams.is_empty() {
        root.problem("nothing to protect: expected upstreams");
    }
    let rules = root.section("allow").map(|mut section| rules(&mut section)).unwrap_or_default();
    if !providers.is_empty() && rules.domains.is_empty() && rules.emails.is_empty() {
        root.problem("allow: expected domains or emails, domains: [\"*\"] for anybody whom a provider knows");
    }
    let bypass = root.section("bypass").map(|mut section| bypass(&mut section)).unwrap_or_default();
    let (cookie, secrets, sessions) =
        root.section("cookie").map_or_else(|| session(&mut Section::empty()), |mut section| session(&mut section));
    if secrets.is_empty() && !providers.is_empty() {
        root.problem("cookie: expected secret_files, each with 16 bytes or more in it");
    }
    let bearer = root.parsed("bearer").unwrap_or(false).then(|| Bearer { issuers: Vec::new(), fall_back: false });
    let front = root.section("behind").map(|mut section| Front {
        proxies: networks(&mut section, "proxies"),
        client_header: section.parsed("client_header").unwrap_or_else(|| "X-Forwarded-For".into()),
    });
    let tell = root.section("tell").map(|mut section| Tell {
        user: section.parsed("user").unwrap_or(true),
        access_token: section.parsed("access_token").unwrap_or(false),
        authorization: section.parsed("authorization").unwrap_or(false),
        email_as_user: section.parsed("email_as_user").unwrap_or(false),
        answer_user: section.parsed("answer").unwrap_or(true),
        answer_authorization: section.parsed("answer_authorization").unwrap_or(false),
        ..Tell::default()
    });
    let pages = root.section("pages").map(|mut section| Pages {
        banner: section.parsed("banner"),
        footer: section.parsed("footer"),
        skip_button: section.parsed("skip_button").unwrap_or(false),
        debug: false,
    });
    Some(Config {
        listen: root.parsed("listen").unwrap_or(ListenAddr::Any(4180)),
        providers,
        upstreams,
        cookie,
        sealer: Arc::new(Sealer::new(&secrets).or_else(throwaway)?),
        sessions,
        rules,
        bypass,
        bearer,
        passwords,
        tell: tell.unwrap_or(Tell { answer_user: true, ..Tell::default() }),
        front: front.unwrap_or_default(),
        paths: Paths::default(),
        pages: pages.unwrap_or_default(),
        redirect_url: root.parsed("redirect_url"),
        redirect_hosts: root.list("redirect_hosts"),
        notes: Vec::new(),
    })
}

fn provider(section: &mut Section) -> Provider {
    let issuer: String = section.required("issuer").unwrap_or_default();
    let client: String = section.required("client_id").unwrap_or_default();
    let mut settings = oidc::Settings::new(issuer, client);
    settings.client_secret = section.parsed("client_secret_file").map(SecretSource::File);
    settings.tls = Arc::new(http_client::client_tls(section, tls::ClientTls::default()));
    let scopes = section.list("scopes");
    if !scopes.is_empty() {
        settings.scopes = scopes;
    }
    let name: String = section.parsed("name").unwrap_or_else(|| "oidc".into());
    let defaults = ClaimNames::default();
    Provider {
        title: section.parsed("title").unwrap_or_else(|| name.clone()),
        name,
        settings,
        claims: ClaimNames {
            user: section.parsed("user_claim").unwrap_or(defaults.user),
            email: section.parsed("email_claim").unwrap_or(defaults.email),
            groups: section.parsed("groups_claim").unwrap_or(defaults.groups),
            roles: None,
        },
        unverified_email: section.parsed("unverified_email").unwrap_or(false),
    }
}

fn upstream(section: &mut Section) -> Upstream {
    let place: Option<Place> = section.required("to");
    let (address, host) =
        place.map_or((Address::Tcp { host: String::new(), port: 0 }, String::new()), |place| (place.0, place.1));
    let path: String = section.parsed("path").unwrap_or_else(|| "/".into());
    if !path.starts_with('/') {
        section.problem(format!("path \"{path}\": expected a path, with / at its end for all below it"));
    }
    Upstream {
        path,
        to: To::App { address, host, tls: None },
        timeout: section.parsed("timeout").map(|Span(time)| time),
        keep_host: section.parsed("keep_host").unwrap_or(true),
        upgrade: section.parsed("websocket").unwrap_or(true),
        keep_connections: true,
    }
}

/// Sessions that end with this process: good enough where a password can be typed again.
fn throwaway() -> Option<Sealer> {
    Sealer::new(&[Secret::new(oidc::random_text()?)])
}

/// Without a file: one app, one file of users.
pub fn passwords_only(listen: Option<ListenAddr>, to: Option<Place>, file: PathBuf) -> Result<Config, Failure> {
    let local = Place(Address::Tcp { host: "127.0.0.1".into(), port: 8080 }, "127.0.0.1:8080".into());
    let Place(address, host) = to.unwrap_or(local);
    let (cookie, _, sessions) = session(&mut Section::empty());
    let sealer = throwaway().ok_or_else(|| Failure::bug("the system has no randomness"))?;
    Ok(Config {
        listen: listen.unwrap_or(ListenAddr::Any(4180)),
        providers: Vec::new(),
        upstreams: vec![Upstream {
            path: "/".into(),
            to: To::App { address, host, tls: None },
            timeout: None,
            keep_host: true,
            upgrade: true,
            keep_connections: true,
        }],
        cookie,
        sealer: Arc::new(sealer),
        sessions,
        rules: Rules::default(),
        bypass: Bypass::default(),
        bearer: None,
        passwords: Some(Passwords { file, groups: Vec::new(), shown: true }),
        tell: Tell { answer_user: true, ..Tell::default() },
        front: Front::default(),
        paths: Paths::default(),
        pages: Pages::default(),
        redirect_url: None,
        redirect_hosts: Vec::new(),
        notes: Vec::new(),
    })
}

/// `http://host:port` or `unix:/path`: where to connect, and what host the app is called.
#[derive(Clone, Debug)]
pub struct Place(Address, String);

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected http://host:port or unix:/path";
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self(Address::Unix(path.into()), "localhost".into()));
        }
        let rest = text.strip_prefix("http://").ok_or(EXPECTED)?.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| EXPECTED)?),
            None => (rest, 80),
        };
        if host.is_empty() || host.contains('/') {
            return Err(EXPECTED);
        }
        Ok(Self(Address::Tcp { host: host.trim_matches(['[', ']']).into(), port }, rest.into()))
    }
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
        if groups.is_empty() && emails.is_empty() {
            section.problem("expected groups or emails");
        }
        Some(Require { path: path?.0, methods: section.list("methods"), groups, emails })
    });
    let routes = routes.collect();
    Rules {
        domains: section.list("domains"),
        emails: emails.iter().map(|email| email.to_lowercase()).collect(),
        groups: section.list("groups"),
        routes,
        ..Rules::default()
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
    let insecure = section.parsed("insecure").unwrap_or(false);
    let default = if insecure { "auth" } else { "__Host-auth" };
    let rules = CookieRules {
        name: section.parsed("name").unwrap_or_else(|| default.into()),
        path: "/".into(),
        domains: Vec::new(),
        secure: !insecure,
        http_only: true,
        same_site: section.parsed("same_site").unwrap_or_default(),
        login_same_site: crate::cookie::SameSite::Lax,
    };
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
