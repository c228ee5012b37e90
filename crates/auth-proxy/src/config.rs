//! The model: what is meant, whoever spelled it and however.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use http_proxy::Address;
use ipnet::IpNet;
use regex::Regex;
use tls::ClientTls;
use values::ListenAddr;

use crate::{cookie::CookieRules, rules::Rules, seal::Sealer};

#[derive(Clone)]
pub struct Config {
    pub listen: ListenAddr,
    pub providers: Vec<Provider>,
    pub upstreams: Vec<Upstream>,
    pub cookie: CookieRules,
    pub sealer: Arc<Sealer>,
    pub sessions: Sessions,
    pub rules: Rules,
    pub bypass: Bypass,
    pub bearer: Option<Bearer>,
    pub passwords: Option<Passwords>,
    pub tell: Tell,
    pub front: Front,
    pub paths: Paths,
    pub pages: Pages,
    /// Where providers send the browser back to. None: to the host that was asked.
    pub redirect_url: Option<String>,
    /// Hosts beside our own that a login may end at: `host`, `host:port`, `.domain`.
    pub redirect_hosts: Vec<String>,
    /// What was said and has no effect: for the log.
    pub notes: Vec<String>,
}

/// Somebody to sign in with.
#[derive(Clone)]
pub struct Provider {
    pub name: String,
    /// On the button.
    pub title: String,
    pub settings: oidc::Settings,
    pub claims: ClaimNames,
    /// Whether an address that the provider has not verified counts.
    pub unverified_email: bool,
}

/// Which claim says what.
#[derive(Clone, Debug)]
pub struct ClaimNames {
    pub user: String,
    pub email: String,
    pub groups: String,
    /// Claims with roles, which are groups called `role:NAME`; and those of each client, called `role:CLIENT:NAME`.
    pub roles: Option<RoleClaims>,
}

#[derive(Clone, Debug)]
pub struct RoleClaims {
    pub realm: String,
    pub clients: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { user: "sub".into(), email: "email".into(), groups: "groups".into(), roles: None }
    }
}

/// Where a path goes. The longest that fits wins.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// With a slash at its end it is all below it; without, it is that path alone.
    pub path: String,
    pub to: To,
    pub timeout: Option<Duration>,
    /// Whether the app sees the host that the client asked for.
    pub keep_host: bool,
    pub upgrade: bool,
    pub keep_connections: bool,
}

#[derive(Clone, Debug)]
pub enum To {
    App {
        address: Address,
        host: String,
        tls: Option<Arc<ClientTls>>,
    },
    /// An answer of this status.
    Status(u16),
}

#[derive(Clone, Debug)]
pub struct Sessions {
    /// However busy it is.
    pub lifetime: Duration,
    /// Asked for anew at the provider after this; zero: only when its tokens expire.
    pub refresh: Duration,
    /// How long a login may take.
    pub login: Duration,
    /// Without tokens where nobody needs them.
    pub minimal: bool,
}

/// Requests that need no login, and callers that cannot make one.
#[derive(Clone, Debug, Default)]
pub struct Bypass {
    pub routes: Vec<Route>,
    pub preflight: bool,
    pub networks: Vec<IpNet>,
    /// Paths of programs: 401, never a page.
    pub api: Vec<Regex>,
    /// Everything is for programs.
    pub only_programs: bool,
}

#[derive(Clone, Debug)]
pub struct Route {
    /// None: any. False: any but this one.
    pub method: Option<(String, bool)>,
    pub path: Regex,
}

/// Tokens of programs.
#[derive(Clone)]
pub struct Bearer {
    /// Beside the providers.
    pub issuers: Vec<oidc::Settings>,
    /// A token that is no good is as none; else it is 403.
    pub fall_back: bool,
}

#[derive(Clone, Debug)]
pub struct Passwords {
    pub file: PathBuf,
    pub groups: Vec<String>,
    /// On the sign-in page.
    pub shown: bool,
}

/// What the app is told of who is there.
#[derive(Clone, Debug)]
pub struct Tell {
    /// X-Forwarded-User, -Email, -Groups, -Preferred-Username.
    pub user: bool,
    /// X-Forwarded-Access-Token.
    pub access_token: bool,
    /// Authorization: Bearer, the ID token.
    pub authorization: bool,
    /// Authorization: Basic, the user and this password.
    pub basic: Option<values::Secret>,
    /// X-Forwarded-User is the address.
    pub email_as_user: bool,
    /// In answers to a proxy that asks: X-Auth-Request-*, Authorization.
    pub answer_user: bool,
    pub answer_authorization: bool,
    /// What clients say of themselves is taken away also where no login is needed.
    pub strip: bool,
}

impl Default for Tell {
    fn default() -> Self {
        Self {
            user: true,
            access_token: false,
            authorization: false,
            basic: None,
            email_as_user: false,
            answer_user: false,
            answer_authorization: false,
            strip: true,
        }
    }
}

/// Who stands in front of us and may say who the client is.
#[derive(Clone, Debug, Default)]
pub struct Front {
    pub proxies: Vec<IpNet>,
    pub client_header: String,
}

impl Front {
    pub fn trusts(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| is_in(&self.proxies, address))
    }
}

/// An IPv4 address is one, also when it comes dressed as IPv6.
pub fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[derive(Clone, Debug)]
pub struct Paths {
    /// `/oauth2`, below which everything of ours is.
    pub prefix: String,
    pub ping: String,
    pub ready: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self { prefix: "/oauth2".into(), ping: "/ping".into(), ready: "/ready".into() }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Pages {
    pub banner: Option<String>,
    pub footer: Option<String>,
    /// No page: straight to the provider.
    pub skip_button: bool,
    /// Show the user what went wrong in full.
    pub debug: bool,
}
