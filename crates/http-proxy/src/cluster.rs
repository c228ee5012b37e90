//! Where requests can go: settings of a cluster, as plain values.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::ClientConfig;

/// Place of a cluster in [`crate::World::clusters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClusterId(pub usize);

/// Endpoints that serve the same thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    pub name: Arc<str>,
    /// None: each request says where it goes ([`crate::Forward::to`]).
    pub endpoints: Option<Vec<Endpoint>>,
    pub balance: Balance,
    pub protocol: UpstreamProtocol,
    pub tls: Option<UpstreamTls>,
    /// Tells the upstream who the client is, before everything else. Such connections are not shared among clients.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Of one try to connect, over all addresses of a name.
    pub connect_timeout: Duration,
    /// How long a request waits for an app that refuses connections because it is not up yet.
    pub connect_wait: Duration,
    /// How long a connection is kept for the next request. What the upstream says in `Keep-Alive` makes it shorter.
    pub idle_timeout: Duration,
    /// Kept connections for each endpoint and thread; 0: none are kept.
    pub max_idle: usize,
    /// Requests at one time for each thread; more are refused at once.
    pub max_requests: usize,
    /// Requests of one connection.
    pub max_connection_requests: Option<u64>,
    /// Names are resolved again after this, when they are used.
    pub dns_refresh: Duration,
    /// Each address of a name is an endpoint of its own; else they are ways to reach the same one.
    pub spread_addresses: bool,
    /// After a failed connect others are preferred for so long.
    pub fail_timeout: Duration,
    /// No connection is made to an address in these, whatever name leads there.
    pub forbidden: Vec<IpNet>,
}

impl Cluster {
    pub fn new(name: &str, endpoints: Vec<Endpoint>) -> Self {
        Self { endpoints: Some(endpoints), ..Self::dynamic(name) }
    }

    /// A forward proxy's.
    pub fn dynamic(name: &str) -> Self {
        Self {
            name: name.into(),
            endpoints: None,
            balance: Balance::RoundRobin,
            protocol: UpstreamProtocol::Http1,
            tls: None,
            proxy_protocol: None,
            connect_timeout: Duration::from_secs(5),
            connect_wait: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            max_idle: 64,
            max_requests: 10_000,
            max_connection_requests: None,
            dns_refresh: Duration::from_secs(5),
            spread_addresses: false,
            fail_timeout: Duration::from_secs(10),
            forbidden: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: Address,
    pub weight: u32,
    /// Only when no other one can be reached.
    pub backup: bool,
}

impl Endpoint {
    pub fn new(address: Address) -> Self {
        Self { address, weight: 1, backup: false }
    }

    pub fn tcp(host: &str, port: u16) -> Self {
        Self::new(Address::Tcp { host: host.into(), port })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A name or an address without brackets.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// By weight, smoothly.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in flight, by weight.
    LeastRequest,
    Random,
    /// By [`crate::Forward::hash`]: few requests move when endpoints come and go.
    Hash,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    #[default]
    Http1,
    /// By ALPN with TLS, by prior knowledge without.
    Http2,
}

/// TLS to the upstream. `config` is asked at each handshake: that is how rotation works.
#[derive(Clone)]
pub struct UpstreamTls {
    pub config: Arc<dyn Fn() -> Result<Arc<ClientConfig>, String> + Send + Sync>,
    /// Sent and verified; None: the host of the endpoint.
    pub server_name: Option<String>,
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.server_name == other.server_name
    }
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    V1,
    V2,
}
