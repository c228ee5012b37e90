//! Where requests go: clusters, their endpoints, and how they are reached.

use std::{path::PathBuf, time::Duration};

use tls::ClientTls;

use crate::net::Network;

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub name: String,
    pub endpoints: Vec<Endpoint>,
    /// Each request says where it goes, and no endpoint is needed; never into these networks.
    pub anywhere_but: Option<Vec<Network>>,
    pub balance: Balance,
    pub connect_timeout: Duration,
    /// While nothing listens there, so long is tried again: the app may still be starting.
    pub connect_wait: Duration,
    /// How often names are looked up again.
    pub resolve_every: Duration,
    pub http2: bool,
    pub tls: Option<UpstreamTls>,
    pub proxy_protocol: Option<u8>,
    pub keepalive: Keepalive,
    /// At one time, for each thread; more are refused at once.
    pub max_requests: Option<usize>,
    /// Each address of a name is an endpoint of its own; else they are ways to reach the same one.
    pub spread_addresses: bool,
}

impl Cluster {
    pub fn new(name: impl Into<String>, endpoints: Vec<Endpoint>) -> Self {
        Self {
            name: name.into(),
            endpoints,
            anywhere_but: None,
            balance: Balance::RoundRobin,
            connect_timeout: Duration::from_secs(5),
            connect_wait: Duration::from_secs(5),
            resolve_every: Duration::from_secs(5),
            http2: false,
            tls: None,
            proxy_protocol: None,
            keepalive: Keepalive::default(),
            max_requests: None,
            spread_addresses: false,
        }
    }
}

impl Cluster {
    /// A forward proxy's. Whoever refuses there is not an app that is about to start.
    pub fn anywhere_but(name: impl Into<String>, networks: Vec<Network>) -> Self {
        Self { anywhere_but: Some(networks), connect_wait: Duration::ZERO, ..Self::new(name, Vec::new()) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: Address,
    pub weight: u32,
    /// Only when no other works.
    pub backup: bool,
}

impl Endpoint {
    pub fn at(address: Address) -> Self {
        Self { address, weight: 1, backup: false }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    #[default]
    RoundRobin,
    LeastRequest,
    Random,
}

#[derive(Clone, Debug)]
pub struct UpstreamTls {
    pub client: ClientTls,
    /// Named in the handshake and checked in the certificate. None: the host of the endpoint.
    pub server_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// How many idle connections are kept, for each thread; 0 for none.
    pub idle: usize,
    pub timeout: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { idle: 64, timeout: Duration::from_secs(60) }
    }
}
