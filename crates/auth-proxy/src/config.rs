//! The model: what is meant, whoever spelled it and however.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http_proxy::Address;
use ipnet::IpNet;
use regex::Regex;
use tls::ClientTls;

use crate::{
    cookie::CookieRules, files::Files, keys::Keys, kubernetes, listen::Listener, policy_service, rules::Rules,
    seal::Sealer, session::Who, signer, store::RedisSettings,
};

#[derive(Clone)]
pub struct Config {
    pub listeners: Vec<Listener>,
    /// Whoever comes without TLS is sent to this port.
    pub force_https: Option<u16>,
    pub providers: Vec<Provider>,
    pub upstreams: Vec<Upstream>,
    pub cookie: CookieRules,
    pub sealer: Arc<Sealer>,
    pub sessions: Sessions,
    /// Where sessions are, if not in the browser.
    pub store: Option<RedisSettings>,
    pub rules: Rules,
    pub bypass: Bypass,
    pub bearer: Option<Bearer>,
    pub passwords: Option<Passwords>,
    pub tell: Tell,
    pub front: Front,
    pub paths: Paths,
    pub pages: Pages,
    /// Where providers send the browser back to, each with its name at the end where there are several. None: to the host
    /// that was asked.
    pub redirect_url: Option<String>,
    pub sign_out: SignOut,
    /// Hosts beside our own that a login may end at: `host`, `host:port`, `.domain`.
    pub redirect_hosts: Vec<String>,
    pub keys: Option<Arc<Keys>>,
    pub kubernetes: Option<kubernetes::Settings>,
    pub policy: Option<policy_service::Settings>,
    pub audit: Audit,
    /// What was read: a change of one of them is a reason to read all of it again.
    pub files: Vec<PathBuf>,
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
    /// Who of this provider belongs, instead of what holds for all of them.
    pub allow: Option<Rules>,
    /// Told of each session that is ended here; `{id_token}` in it is filled in.
    pub sign_out_url: Option<String>,
    /// The answer comes as a form that the browser posts.
    pub by_form: bool,
}

impl Config {
    /// Every file that is read, and that somebody may replace.
    pub fn watched(&self) -> Vec<PathBuf> {
        self.files.iter().cloned().chain(self.upstreams.iter().flat_map(Upstream::files)).collect()
    }

    pub fn rules_for(&self, who: &Who) -> &Rules {
        let named = |provider: &&Provider| Some(&provider.name) == who.provider.as_ref();
        self.providers.iter().find(named).and_then(|provider| provider.allow.as_ref()).unwrap_or(&self.rules)
    }
}

/// What becomes of somebody who signs out.
#[derive(Clone, Debug, Default)]
pub struct SignOut {
    /// Ends the session at the provider as well, where it has a place for that.
    pub at_provider: bool,
    /// Says so on a page, where nobody asked to be sent elsewhere.
    pub page: bool,
    /// Where the provider sends the browser back to. None: to a page of ours on the host that was asked.
    pub redirect_url: Option<String>,
}

/// Which claim says what.
#[derive(Clone, Debug)]
pub struct ClaimNames {
    pub user: String,
    pub email: String,
    /// Where the first is not there.
    pub email_else: Option<String>,
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
        Self { user: "sub".into(), email: "email".into(), email_else: None, groups: "groups".into(), roles: None }
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

impl Upstream {
    pub fn files(&self) -> Vec<PathBuf> {
        let To::App { tls: Some(tls), .. } = &self.to else { return Vec::new() };
        let roots = match &tls.roots {
            tls::Roots::System => None,
            tls::Roots::File(path) | tls::Roots::SystemAnd(path) => Some(path.clone()),
        };
        let identity = tls.identity.iter().flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]);
        roots.into_iter().chain(identity).collect()
    }
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
    Files(Files),
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
#[derive(Clone)]
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
    /// In answers, to a proxy that asks and to clients: X-Auth-Request-*, Authorization.
    pub answer_user: bool,
    pub answer_authorization: bool,
    /// Authorization: Basic, the user and this password.
    pub answer_basic: Option<values::Secret>,
    /// Clients are told as well, not only proxies that ask.
    pub answer_clients: bool,
    /// A token of our own about who is there.
    pub signed: Option<signer::Settings>,
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
            answer_basic: None,
            answer_clients: false,
            signed: None,
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
    /// More paths on which probes are answered.
    pub probes: Vec<String>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { prefix: "/oauth2".into(), ping: "/ping".into(), ready: "/ready".into(), probes: Vec::new() }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// Of what one signs in to.
    pub name: Option<String>,
    pub text: Option<String>,
    pub logo: Option<Logo>,
    pub banner: Option<String>,
    pub footer: Option<String>,
    /// No page: straight to the provider.
    pub skip_button: bool,
    /// Show the user what went wrong in full.
    pub debug: bool,
}

/// A picture, from a file.
#[derive(Clone, Debug)]
pub struct Logo {
    pub kind: &'static str,
    pub bytes: Arc<[u8]>,
}

impl Logo {
    const LARGEST: u64 = 256 * 1024;

    pub fn read(file: &Path) -> Result<Self, String> {
        let bytes = values::read_capped(file, Self::LARGEST)?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).to_ascii_lowercase();
        let kind = match &*bytes {
            [0x89, b'P', b'N', b'G', ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'G', b'I', b'F', b'8', ..] => "image/gif",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
            _ if text.contains("<svg") => "image/svg+xml",
            _ => return Err(format!("{}: expected a picture: SVG, PNG, JPEG, WebP or GIF", file.display())),
        };
        Ok(Self { kind, bytes: bytes.into() })
    }
}

/// The record, and what of it is left out because somebody has said so.
#[derive(Clone, Debug)]
pub struct Audit {
    pub off: bool,
    /// Exactly these.
    pub without_paths: Vec<String>,
    /// The header that says which request it is.
    pub request_id: String,
}

impl Default for Audit {
    fn default() -> Self {
        Self { off: false, without_paths: Vec::new(), request_id: "X-Request-Id".into() }
    }
}
