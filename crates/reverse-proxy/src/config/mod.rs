//! What is meant: the model that flags, files and dialects are turned into.

mod cluster;
mod log;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tls::ServerTls;
use values::ListenAddr;

use crate::{
    egress::Destination,
    net::Network,
    pattern::{HostPattern, PathPattern, TextPattern},
    template::Template,
};

pub use cluster::{Address, Balance, Cluster, Endpoint, Keepalive, UpstreamTls};
pub use log::{AccessLog, Escape, Format, LogTarget};

/// Everything that is served, and by whom.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub listeners: Vec<Listener>,
    pub clusters: Vec<Cluster>,
    /// Hosts and routes refer to these by their place.
    pub access_logs: Vec<AccessLog>,
    /// What an operator should know of the configuration, although it is good.
    pub notes: Vec<String>,
}

/// Place in [`Config::access_logs`].
pub type LogId = usize;

/// One address, and what is spoken there.
#[derive(Clone, Debug)]
pub struct Listener {
    pub name: String,
    pub addr: ListenAddr,
    pub tls: Option<ServerTls>,
    /// Every connection begins with a PROXY protocol header, which says where it really comes from.
    pub proxy_protocol: bool,
    pub serve: Serve,
    /// Reached by others, and drained at `POST /drain`. The app's own way out is not.
    pub inbound: bool,
}

#[derive(Clone, Debug)]
pub enum Serve {
    Http(Arc<Http>),
    /// Bytes as they are: to the first whose server names fit.
    Tcp(Vec<TcpRoute>),
}

#[derive(Clone, Debug)]
pub struct TcpRoute {
    /// Names of the TLS ClientHello, which is passed on unopened. None: every connection.
    pub server_names: Vec<HostPattern>,
    pub cluster: String,
    pub idle_timeout: Option<Duration>,
}

/// What an HTTP listener does.
#[derive(Clone, Debug)]
pub struct Http {
    pub hosts: Vec<Host>,
    /// Sets of hosts by the name that a client asks for in its TLS handshake. Empty: all hosts, whatever it asks for.
    pub chains: Vec<Chain>,
    /// Index into `hosts`, for names that are not in any. None: 404.
    pub default_host: Option<usize>,
    /// `example.com:8080` is another host than `example.com`.
    pub port_counts: bool,
    pub http2: bool,
    pub client: ClientRules,
    pub limits: ClientLimits,
    /// What an answer of our own says of who gave it. None: nothing.
    pub server_header: Option<String>,
    /// Of requests that come to no route.
    pub access_logs: Vec<LogId>,
    /// What messages that are passed on say of who has passed them on.
    pub via: Option<String>,
}

/// The hosts of some names.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Empty: every name, and none.
    pub server_names: Vec<HostPattern>,
    /// Places in [`Http::hosts`].
    pub hosts: std::ops::Range<usize>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            chains: Vec::new(),
            default_host: None,
            port_counts: false,
            http2: true,
            client: ClientRules::default(),
            limits: ClientLimits::default(),
            server_header: None,
            access_logs: Vec::new(),
            via: None,
        }
    }
}

/// Who the client is, and what the app is told of it.
#[derive(Clone, Debug, Default)]
pub struct ClientRules {
    pub trust: Trust,
    /// Where those in front say who the client is.
    pub real_ip: RealIp,
    pub forwarded: Forwarded,
    /// What a client that is not trusted says in the forwarding headers is passed on, with what we know after it.
    pub keep_claims: bool,
    pub request_id: bool,
    /// A request without a traceparent gets one.
    pub traceparent: bool,
    pub underscores: Underscores,
    /// Headers that nobody may send: taken out before anything looks at them.
    pub unwelcome: Vec<String>,
}

/// What becomes of fields like `X_Real_IP`. To an app of WSGI or CGI they are `X-Real-IP`, which only we may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Underscores {
    #[default]
    Drop,
    Pass,
    Refuse,
}

/// Whose word is taken for where a request comes from.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    #[default]
    Nobody,
    /// Proxies from these networks: the client is the last address that is not in them.
    Networks(Vec<Network>),
    /// Proxies from these networks: the client is the last address they give, whoever that is.
    Last(Vec<Network>),
    /// So many proxies in front are ours, wherever they are.
    Hops(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RealIp {
    #[default]
    ForwardedFor,
    /// The last address of this header.
    Header(String),
    /// The PROXY protocol, which the listener has read already.
    ProxyProtocol,
}

/// Which of the usual headers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// X-Forwarded-For, -Proto and -Host.
    pub x_forwarded: bool,
    /// Forwarded (RFC 7239).
    pub standard: bool,
    pub client_certificate: CertificateHeader,
}

/// X-Forwarded-Client-Cert, by which apps know who has shown a certificate: nobody else may say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateHeader {
    /// Only what those in front say who are trusted.
    #[default]
    FromTrusted,
    Removed,
    /// Made of a verified certificate; without one it is removed.
    Set,
    /// Not ours to write or to remove.
    Untouched,
}

/// What a client may take.
#[derive(Clone, Debug)]
pub struct ClientLimits {
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub send_timeout: Duration,
    pub idle_timeout: Duration,
    pub max_head: usize,
    /// Fields of one head.
    pub max_fields: Option<usize>,
    pub max_connections: Option<usize>,
    pub max_requests: Option<u64>,
    pub max_streams: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            max_head: 64 << 10,
            max_fields: None,
            max_connections: None,
            max_requests: None,
            max_streams: 100,
        }
    }
}

/// A virtual host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    pub name: String,
    pub patterns: Vec<HostPattern>,
    /// Done before a route is looked for.
    pub guards: Vec<Guard>,
    pub rewrites: Vec<Rewrite>,
    pub routes: Vec<Route>,
    pub choice: Choice,
    /// Every request is redirected to https, if it did not come by it.
    pub require_tls: bool,
}

/// Which of several routes that fit is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first.
    #[default]
    First,
    /// An exact one; else the first regex, unless the longest prefix is marked as final; else the longest prefix.
    MostSpecific,
}

#[derive(Clone, Debug)]
pub struct Route {
    /// For metrics and logs.
    pub name: String,
    pub when: When,
    pub guards: Vec<Guard>,
    pub rewrites: Vec<Rewrite>,
    pub access: Vec<Access>,
    pub auth: Option<BasicAuth>,
    /// The client's certificate must say one of these.
    pub client_names: Vec<TextPattern>,
    pub max_body: Option<u64>,
    pub request_headers: Vec<HeaderRule>,
    pub response_headers: Vec<HeaderRule>,
    pub action: Action,
    pub access_logs: Vec<LogId>,
}

impl Route {
    pub fn new(name: impl Into<String>, path: PathPattern, action: Action) -> Self {
        Self {
            name: name.into(),
            when: When { path, ..When::default() },
            guards: Vec::new(),
            rewrites: Vec::new(),
            access: Vec::new(),
            auth: None,
            client_names: Vec::new(),
            max_body: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            action,
            access_logs: Vec::new(),
        }
    }
}

/// Which requests a route is for: all of it has to fit.
#[derive(Clone, Debug, Default)]
pub struct When {
    pub path: PathPattern,
    /// With [`Choice::MostSpecific`]: no regex is tried once this prefix is the longest.
    pub is_final: bool,
    /// Never found by its path, only by its name.
    pub internal: bool,
    pub methods: Vec<String>,
    pub headers: Vec<FieldPattern>,
    pub query: Vec<FieldPattern>,
    pub tunnel: Tunnel,
    /// Of a forward proxy: where the request wants to go is one of these.
    pub destinations: Vec<Destination>,
}

/// Whether a route is for CONNECT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tunnel {
    #[default]
    Never,
    Only,
    Too,
}

/// A header or a parameter of the query.
#[derive(Clone, Debug)]
pub struct FieldPattern {
    pub name: String,
    /// None: it only has to be there.
    pub value: Option<TextPattern>,
    /// It must not be so.
    pub invert: bool,
}

/// Answers at once if a value is such.
#[derive(Clone, Debug)]
pub struct Guard {
    pub value: Template,
    /// None: it has to be something.
    pub pattern: Option<TextPattern>,
    pub invert: bool,
    pub then: Action,
}

/// Changes the path, by a regular expression on the decoded path.
#[derive(Clone, Debug)]
pub struct Rewrite {
    pub pattern: TextPattern,
    /// Captures are variables of it.
    pub to: Template,
    /// The query of the request is not appended.
    pub drop_query: bool,
    pub then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next rewrite.
    GoOn,
    /// No more rewrites, and another route is looked for.
    Search,
    /// No more rewrites.
    Stop,
    Redirect(u16),
}

/// Lets somebody in or keeps him out; the first one that fits decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub allow: bool,
    pub from: Network,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    pub realm: String,
    pub users: PathBuf,
}

#[derive(Clone, Debug)]
pub struct HeaderRule {
    pub name: String,
    pub change: HeaderChange,
    /// Of a response: not only of one that went well.
    pub always: bool,
}

#[derive(Clone, Debug)]
pub enum HeaderChange {
    /// One field, in place of what there is; an empty value is none.
    Set(Template),
    /// One more.
    Add(Template),
    /// Only if there is none.
    Default(Template),
    Remove,
}

#[derive(Clone, Debug)]
pub enum Action {
    Forward(Box<Forward>),
    Redirect {
        status: u16,
        to: Template,
    },
    Respond {
        status: u16,
        content_type: Option<String>,
        body: Template,
    },
    /// What the proxy itself counts, for status pages.
    Status,
}

/// To whom, and in which shape.
#[derive(Clone, Debug)]
pub struct Forward {
    /// One of these, by its share.
    pub to: Vec<(u32, String)>,
    pub path: NewPath,
    pub host: NewHost,
    pub timeouts: Timeouts,
    pub retry: Retry,
    pub upgrade: bool,
    /// Redirects of the app that name the app itself are made to name us: from and to.
    pub redirects: Vec<(String, Template)>,
}

impl Forward {
    pub fn to(cluster: impl Into<String>) -> Self {
        Self {
            to: vec![(1, cluster.into())],
            path: NewPath::Same,
            host: NewHost::Same,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            upgrade: true,
            redirects: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub enum NewPath {
    /// As the client sent it, byte for byte; after a rewrite, what that made.
    #[default]
    Same,
    /// In place of the part that the route matched. Without one (a regex), all of it.
    Instead(String),
    Regex {
        pattern: TextPattern,
        to: Template,
    },
    /// Path and query.
    Whole(Template),
}

#[derive(Clone, Debug, Default)]
pub enum NewHost {
    #[default]
    Same,
    Is(Template),
    /// That of the endpoint.
    Endpoint,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the request to the end of the response.
    pub total: Option<Duration>,
    /// Until the head of the response, and between two reads of it.
    pub response: Option<Duration>,
    /// Between two bytes that go to the app.
    pub send: Option<Duration>,
    pub per_try: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Some(Duration::from_secs(60));
        Self { total: None, response: minute, send: minute, per_try: None }
    }
}

/// When a request is sent again. Never after the first byte of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many times, besides the first.
    pub times: u32,
    pub on: RetryOn,
    /// The smallest pause; it grows.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { times: 1, on: RetryOn::default(), pause: Duration::from_millis(25) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    pub connect_failure: bool,
    /// The connection ended before a response.
    pub reset: bool,
    pub timeout: bool,
    pub statuses: Vec<u16>,
    /// Also methods that may do something twice.
    pub unsafe_methods: bool,
}

impl Default for RetryOn {
    fn default() -> Self {
        Self { connect_failure: true, reset: true, timeout: false, statuses: Vec::new(), unsafe_methods: false }
    }
}
