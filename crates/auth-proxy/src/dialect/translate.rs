//! From what was said to what is meant.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use tls::ClientTls;
use values::Secret;

use super::{access, listen, providers, spoken::Spoken, store, words};
use crate::{
    config::{Bearer, Bypass, Config, Front, Logo, Pages, Passwords, Paths, Sessions, SignOut, Tell},
    cookie::{CookieRules, SameSite},
    listen::Listener,
    rules::Rules,
    seal::Sealer,
};

const LARGEST_LIST: u64 = 4 << 20;
/// Who stands in front of us, where nobody says it: whoever is near.
const NEAR: [&str; 6] = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

pub(super) fn config(said: &Spoken) -> Result<Config, Vec<String>> {
    let mut problems = Vec::new();
    let mut notes = said.notes.clone();
    let provider = providers::provider(said, &mut problems);
    let tls = Arc::new(ClientTls {
        dangerously_skip_verification: said.truth("ssl-upstream-insecure-skip-verify"),
        ..ClientTls::default()
    });
    let upstreams = upstreams(said, &tls, &mut problems);
    if tls.dangerously_skip_verification {
        let why = "whoever is on the way to an upstream can read and change all";
        notes.push(format!("--ssl-upstream-insecure-skip-verify: no certificate is verified: {why}"));
    }
    let sealer = sealer(said, &mut problems);
    let cookie = cookie(said, &mut problems);
    let sessions = Sessions {
        lifetime: duration(said, "cookie-expire", &mut problems),
        refresh: duration(said, "cookie-refresh", &mut problems),
        login: duration(said, "cookie-csrf-expire", &mut problems),
        minimal: said.truth("session-cookie-minimal"),
    };
    let store = store::store(said, &mut problems);
    let pages = pages(said, &mut problems);
    if sessions.refresh >= sessions.lifetime && !sessions.refresh.is_zero() {
        problems.push("--cookie-refresh: expected less than --cookie-expire".into());
    }
    let rules = rules(said, &mut problems);
    let bypass = bypass(said, &mut problems);
    let bearer = bearer(said, provider.as_ref().map(|provider| &provider.settings.tls), &mut problems);
    let passwords = said.said("htpasswd-file").map(|file| Passwords {
        file: file.into(),
        groups: said.list("htpasswd-user-group"),
        shown: said.truth("display-htpasswd-form"),
    });
    let front = front(said, &mut notes, &mut problems);
    let (listeners, force_https) = listen::listeners(said, &mut problems);
    let policy = access::policy(said, &mut problems);
    let mut files: Vec<PathBuf> = listeners.iter().flat_map(Listener::files).collect();
    let lists = ["authenticated-emails-file", "cookie-secret-file"].into_iter();
    files.extend(lists.filter_map(|name| said.said(name)).map(PathBuf::from));
    let redirect_url = redirect_url(said, &mut problems);
    for domain in said.list("whitelist-domain").iter().filter(|domain| domain.contains('/')) {
        problems.push(format!("{} \"{domain}\": expected a domain", said.place("whitelist-domain")));
    }
    let prefix = said.text("proxy-prefix").trim_end_matches('/').to_owned();
    if !prefix.starts_with('/') {
        problems.push(format!("{} \"{prefix}\": expected a path such as /oauth2", said.place("proxy-prefix")));
    }
    let (Some(sealer), Some(provider), true) = (sealer, provider, problems.is_empty()) else { return Err(problems) };
    Ok(Config {
        listeners,
        force_https,
        providers: vec![provider],
        upstreams,
        cookie,
        sealer: Arc::new(sealer),
        sessions,
        store,
        rules,
        bypass,
        bearer,
        passwords,
        tell: tell(said),
        front,
        paths: Paths {
            prefix,
            ping: said.text("ping-path").into(),
            ready: said.text("ready-path").into(),
            probes: access::probes(said, &mut notes),
        },
        pages,
        sign_out: SignOut::default(),
        redirect_url,
        redirect_hosts: said.list("whitelist-domain"),
        keys: None,
        kubernetes: None,
        policy,
        audit: access::audit(said),
        files,
        notes,
    })
}

fn pages(said: &Spoken, problems: &mut Vec<String>) -> Pages {
    let logo = said.said("custom-sign-in-logo").filter(|text| text != "-");
    let logo = logo.and_then(|file| {
        let read = if file.contains("://") {
            Err("expected a file: pages load nothing from elsewhere".to_owned())
        } else {
            Logo::read(Path::new(&file))
        };
        read.map_err(|why| problems.push(format!("{}: {why}", said.place("custom-sign-in-logo")))).ok()
    });
    Pages {
        name: None,
        text: None,
        logo,
        banner: said.said("banner").filter(|text| text != "-"),
        footer: said.said("footer").filter(|text| text != "-"),
        skip_button: said.truth("skip-provider-button"),
        debug: said.truth("show-debug-on-error"),
    }
}

fn duration(said: &Spoken, name: &str, problems: &mut Vec<String>) -> Duration {
    words::duration(said.text(name)).unwrap_or_else(|expected| {
        problems.push(format!("{} \"{}\": {expected}", said.place(name), said.text(name)));
        Duration::ZERO
    })
}

fn upstreams(said: &Spoken, tls: &Arc<ClientTls>, problems: &mut Vec<String>) -> Vec<crate::config::Upstream> {
    let common = words::Common {
        timeout: duration(said, "upstream-timeout", problems),
        keep_host: said.truth("pass-host-header"),
        upgrade: said.truth("proxy-websockets"),
        keep_connections: !said.truth("disable-keep-alives"),
        tls: Arc::clone(tls),
    };
    let mut upstreams: Vec<crate::config::Upstream> = Vec::new();
    for text in said.list("upstream") {
        match words::upstream(&text, &common) {
            Ok(upstream) if upstreams.iter().any(|known| known.path == upstream.path) => {
                problems.push(format!("{}: {} is given twice", said.place("upstream"), upstream.path));
            }
            Ok(upstream) => upstreams.push(upstream),
            Err(why) => problems.push(format!("{} \"{text}\": {why}", said.place("upstream"))),
        }
    }
    upstreams
}

/// In a file, older secrets may follow the current one, a line each.
fn sealer(said: &Spoken, problems: &mut Vec<String>) -> Option<Sealer> {
    let secrets: Vec<Secret> = match (said.said("cookie-secret"), said.said("cookie-secret-file")) {
        (Some(_), Some(_)) => {
            problems.push("--cookie-secret and --cookie-secret-file: expected one of them".into());
            return None;
        }
        (Some(text), None) => vec![Secret::new(text)],
        (None, Some(file)) => match Secret::from_file(Path::new(&file)) {
            Ok(all) => all.expose().lines().map(str::trim).filter(|line| !line.is_empty()).map(Secret::new).collect(),
            Err(why) => {
                problems.push(format!("--cookie-secret-file: {why}"));
                return None;
            }
        },
        (None, None) => Vec::new(),
    };
    if secrets.is_empty() {
        problems.push("--cookie-secret: required (or --cookie-secret-file)".into());
        return None;
    }
    if let Some(wrong) = secrets.iter().find(|secret| !words::is_good_secret(secret.expose())) {
        let length = wrong.expose().len();
        problems
            .push(format!("--cookie-secret: expected 16, 24 or 32 bytes, as they are or in base64, found {length}"));
        return None;
    }
    Sealer::new(&secrets)
}

fn cookie(said: &Spoken, problems: &mut Vec<String>) -> CookieRules {
    let mut same_site =
        |name: &str| -> SameSite { said.parsed(name, "expected lax, strict or none", problems).unwrap_or_default() };
    let (own, login) = (same_site("cookie-samesite"), same_site("cookie-csrf-samesite"));
    let rules = CookieRules {
        name: said.text("cookie-name").into(),
        path: said.text("cookie-path").into(),
        domains: said.list("cookie-domain").iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        secure: said.truth("cookie-secure"),
        http_only: said.truth("cookie-httponly"),
        same_site: own,
        // A strict one would not come back from the provider, and with a form that another site posts only this one does.
        login_same_site: match (said.text("auth-request-response-mode"), login) {
            ("form_post", _) => SameSite::None,
            (_, SameSite::Strict) => SameSite::Lax,
            (_, login) => login,
        },
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if rules.name.is_empty() || rules.name.len() > 64 || !rules.name.bytes().all(is_token) {
        problems.push(format!("{} \"{}\": expected the name of a cookie", said.place("cookie-name"), rules.name));
    }
    if rules.name.starts_with("__Host-") && (!rules.secure || rules.path != "/" || !rules.domains.is_empty()) {
        problems.push("--cookie-name: __Host- asks for --cookie-secure, --cookie-path=/ and no --cookie-domain".into());
    }
    if rules.name.starts_with("__Secure-") && !rules.secure {
        problems.push("--cookie-name: __Secure- asks for --cookie-secure".into());
    }
    if rules.login_same_site == SameSite::None && !rules.secure {
        problems.push("--auth-request-response-mode, --cookie-csrf-samesite: none asks for --cookie-secure".into());
    }
    if own == SameSite::None && !rules.secure {
        problems.push("--cookie-samesite: none asks for --cookie-secure, browsers drop it otherwise".into());
    }
    if !rules.path.starts_with('/') || rules.path.contains([';', ',']) {
        problems.push(format!("{} \"{}\": expected a path", said.place("cookie-path"), rules.path));
    }
    for domain in rules.domains.iter().filter(|domain| domain.contains([';', '/', ' ', ':'])) {
        problems.push(format!("{} \"{domain}\": expected a domain", said.place("cookie-domain")));
    }
    rules
}

fn rules(said: &Spoken, problems: &mut Vec<String>) -> Rules {
    let mut emails = HashSet::new();
    if let Some(file) = said.said("authenticated-emails-file") {
        match values::read_text(Path::new(&file), LARGEST_LIST) {
            Ok(text) => {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                emails.extend(lines.map(str::to_lowercase));
            }
            Err(why) => problems.push(format!("--authenticated-emails-file: {why}")),
        }
    }
    let domains = said.list("email-domain");
    if domains.is_empty() && !said.is_said("authenticated-emails-file") {
        problems.push(
            "--email-domain: required, * for anybody whom the provider knows (or --authenticated-emails-file)".into(),
        );
    }
    let mut groups = said.list("allowed-group");
    groups.extend(said.list("keycloak-group"));
    groups.extend(said.list("gitlab-group"));
    groups.extend(said.list("google-group"));
    groups.extend(said.list("allowed-role").iter().map(|role| format!("role:{role}")));
    if !said.list("allowed-role").is_empty() && said.text("provider") != "keycloak-oidc" {
        problems.push("--allowed-role: expected --provider=keycloak-oidc, the others have no roles".into());
    }
    let org = said.text("github-org").to_lowercase();
    let teams = said.text("github-team").to_lowercase();
    let teams: Vec<_> = teams.split(',').map(str::trim).filter(|team| !team.is_empty()).collect();
    for team in &teams {
        match (team.contains(':'), org.is_empty()) {
            (true, _) => groups.push((*team).to_owned()),
            (false, false) => groups.push(format!("{org}:{team}")),
            (false, true) => {
                problems.push(format!("--github-team \"{team}\": expected --github-org with it, or ORG:TEAM"));
            }
        }
    }
    if teams.is_empty() && !org.is_empty() {
        groups.push(org);
    }
    for name in ["github-org", "github-team", "github-user"] {
        if said.is_said(name) && !matches!(said.text("provider"), "github" | "gitea") {
            problems.push(format!("{}: expected --provider=github", said.place(name)));
        }
    }
    // The peer asks for the repository only where no organisation is asked for.
    if let Some(repository) = said.said("github-repo").filter(|_| !said.is_said("github-org")) {
        groups.push(format!("repo:{}", repository.to_lowercase()));
    }
    groups.extend(
        said.list("gitlab-project")
            .iter()
            .map(|project| format!("project:{}", project.split_once('=').map_or(&**project, |(name, _)| name))),
    );
    let users: HashSet<String> = said.list("github-user").into_iter().collect();
    if !users.is_empty() && groups.is_empty() {
        // Nobody but those: a group that nobody is in.
        groups.push(String::new());
    }
    Rules { domains, emails, users, groups, ..Rules::default() }
}

fn networks(said: &Spoken, name: &str, problems: &mut Vec<String>) -> Vec<IpNet> {
    let parsed = |text: &String| {
        let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(|_| address())
    };
    let mut networks = Vec::new();
    for text in said.list(name) {
        match parsed(&text) {
            Ok(network) => networks.push(network),
            Err(_) => problems
                .push(format!("{} \"{text}\": expected an address or a network such as 10.0.0.0/8", said.place(name))),
        }
    }
    networks
}

fn bypass(said: &Spoken, problems: &mut Vec<String>) -> Bypass {
    let mut bypass = Bypass {
        preflight: said.truth("skip-auth-preflight"),
        networks: networks(said, "trusted-ip", problems),
        only_programs: said.truth("force-json-errors"),
        ..Bypass::default()
    };
    for name in ["skip-auth-route", "skip-auth-regex"] {
        for text in said.list(name) {
            let route = if name == "skip-auth-route" {
                words::route(&text)
            } else {
                words::regex(&text).map(|path| crate::config::Route { method: None, path })
            };
            match route {
                Ok(route) => bypass.routes.push(route),
                Err(why) => problems.push(format!("{} \"{text}\": {why}", said.place(name))),
            }
        }
    }
    for text in said.list("api-route") {
        match words::regex(&text) {
            Ok(path) => bypass.api.push(path),
            Err(why) => problems.push(format!("{} \"{text}\": {why}", said.place("api-route"))),
        }
    }
    bypass
}

fn bearer(said: &Spoken, tls: Option<&Arc<ClientTls>>, problems: &mut Vec<String>) -> Option<Bearer> {
    let extra = said.list("extra-jwt-issuers");
    if !said.truth("skip-jwt-bearer-tokens") {
        return None;
    }
    let mut issuers = Vec::new();
    for text in extra {
        match text.rsplit_once('=') {
            Some((issuer, audience)) if issuer.starts_with("http") && !audience.is_empty() => {
                let tls = tls.cloned().unwrap_or_default();
                issuers.push(oidc::Settings { tls, ..oidc::Settings::new(issuer, audience) });
            }
            _ => problems.push(format!("{} \"{text}\": expected ISSUER=AUDIENCE", said.place("extra-jwt-issuers"))),
        }
    }
    Some(Bearer { issuers, fall_back: said.truth("bearer-token-login-fallback") })
}

fn tell(said: &Spoken) -> Tell {
    let password = said.said("basic-auth-password").map(Secret::new);
    Tell {
        user: said.truth("pass-user-headers") || said.truth("pass-basic-auth"),
        access_token: said.truth("pass-access-token"),
        authorization: said.truth("pass-authorization-header"),
        basic: password.clone().filter(|_| said.truth("pass-basic-auth")),
        answer_basic: password.filter(|_| said.truth("set-basic-auth")),
        email_as_user: said.truth("prefer-email-to-user"),
        answer_user: said.truth("set-xauthrequest"),
        answer_authorization: said.truth("set-authorization-header"),
        answer_clients: true,
        signed: None,
        strip: said.truth("skip-auth-strip-headers"),
    }
}

fn front(said: &Spoken, notes: &mut Vec<String>, problems: &mut Vec<String>) -> Front {
    if !said.truth("reverse-proxy") {
        return Front::default();
    }
    let mut proxies = networks(said, "trusted-proxy-ip", problems);
    if proxies.is_empty() {
        proxies = NEAR.iter().filter_map(|network| network.parse().ok()).collect();
        notes.push(
            "--reverse-proxy: X-Forwarded-* is believed of private addresses only; name others with --trusted-proxy-ip"
                .into(),
        );
    }
    let client_header = said.text("real-client-ip-header").to_owned();
    Front { proxies, client_header }
}

fn redirect_url(said: &Spoken, problems: &mut Vec<String>) -> Option<String> {
    let text = said.said("redirect-url")?;
    let mut url = match url::Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => {
            problems.push(format!("{} \"{text}\": expected https://host/oauth2/callback", said.place("redirect-url")));
            return None;
        }
    };
    if matches!(url.path(), "" | "/") {
        url.set_path(&format!("{}/callback", said.text("proxy-prefix").trim_end_matches('/')));
    }
    Some(url.into())
}
