//! To Fluentd, Fluent Bit and whatever else speaks the forward protocol, version 1.
//!
//! ```text
//! encode: records -> a message for each tag     servers: which one -> connection: connect, TLS, HELO/PING/PONG,
//!                    (msgpack, ids)                                              messages out, acknowledgements in
//! ```

mod connection;
mod encode;
mod handshake;
mod ids;
mod msgpack;
mod reply;
mod servers;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use common::{Failure, config::Section};
use http_client::{SecretSource, client_tls, secret};
use tls::ClientTls;
use values::{Span, socket_path};

use self::{encode::Encoder, ids::Ids, servers::Servers};
use super::{Deliver, Encode, Ship, parts::Parts};

const PORT: u16 = 24224;
const CONNECT: Duration = Duration::from_secs(10);
const ACK: Duration = Duration::from_secs(60);
/// What Fluentd gives a server that has none.
const WEIGHT: u32 = 60;

#[derive(Clone, Debug)]
pub struct Forward {
    pub servers: Vec<Server>,
    pub mode: Mode,
    /// How long to wait for an acknowledgement; without one, what is written counts as delivered.
    pub ack_timeout: Option<Duration>,
    /// For everything before the first message.
    pub connect_timeout: Duration,
    pub keeps_connections: bool,
    pub tls: Option<Arc<ClientTls>>,
    /// What we call ourselves when we prove who we are.
    pub hostname: String,
    /// Instead of the record's own.
    pub tag: Option<String>,
    /// For receivers that do not know the protocol's own type for times.
    pub whole_seconds: bool,
}

#[derive(Clone, Debug)]
pub struct Server {
    pub address: Address,
    pub weight: u32,
    /// Only where all others fail.
    pub is_standby: bool,
    /// The name its certificate must have, where that is not its host.
    pub tls_name: Option<String>,
    /// May be the empty text, which is not the same as none.
    pub shared_key: Option<SecretSource>,
    pub login: Option<(String, SecretSource)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// How records become messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One record each.
    Message,
    /// Many, as an array.
    Forward,
    /// Many, one after the other as bytes, which the receiver need not look into.
    PackedForward,
    /// The same, gzip.
    CompressedPackedForward,
}

pub fn read(section: &mut Section) -> Arc<dyn Ship> {
    let all = Credentials::read(section);
    let listed = section.has("servers");
    let servers = section.sections_or_text("servers", "address");
    let servers = servers.into_iter().filter_map(|mut server| read_server(&mut server, &all)).collect();
    if !listed {
        section.problem("servers: required");
    }
    let require_ack = section.parsed("require_ack").unwrap_or(true);
    let ack_timeout = section.parsed("ack_timeout").map_or(ACK, |Span(time)| time);
    Arc::new(Forward {
        servers,
        mode: section.parsed("mode").unwrap_or(Mode::PackedForward),
        ack_timeout: require_ack.then_some(ack_timeout),
        connect_timeout: section.parsed("connect_timeout").map_or(CONNECT, |Span(time)| time),
        keeps_connections: section.parsed("keepalive").unwrap_or(true),
        tls: section.section("tls").map(|mut tls| Arc::new(client_tls(&mut tls, ClientTls::default()))),
        hostname: section.parsed("hostname").unwrap_or_else(hostname),
        tag: section.parsed("tag"),
        whole_seconds: section.parsed("whole_seconds").unwrap_or(false),
    })
}

fn read_server(section: &mut Section, all: &Credentials) -> Option<Server> {
    let own = Credentials::read(section);
    Some(Server {
        weight: section.parsed("weight").map_or(WEIGHT, NonZeroU32::get),
        is_standby: section.parsed("standby").unwrap_or(false),
        tls_name: own.tls_name.or_else(|| all.tls_name.clone()),
        shared_key: own.shared_key.or_else(|| all.shared_key.clone()),
        login: own.login.or_else(|| all.login.clone()),
        address: section.required("address")?,
    })
}

/// What may be said once for all servers, or for each.
struct Credentials {
    tls_name: Option<String>,
    shared_key: Option<SecretSource>,
    login: Option<(String, SecretSource)>,
}

impl Credentials {
    fn read(section: &mut Section) -> Self {
        let (user, password) = (section.parsed("user"), secret(section, "password"));
        let shared_key = secret(section, "shared_key");
        if user.is_some() != password.is_some() {
            section.problem("user and password (or password_file) go together");
        }
        Self { tls_name: section.parsed("tls_name"), shared_key, login: user.zip(password) }
    }
}

pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "message" => Ok(Self::Message),
            "forward" => Ok(Self::Forward),
            "packed_forward" => Ok(Self::PackedForward),
            "compressed_packed_forward" => Ok(Self::CompressedPackedForward),
            _ => Err("expected message, forward, packed_forward or compressed_packed_forward"),
        }
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected an address such as fluentd, fluentd:24224, [::1]:24224 or unix:/run/fluent.sock";
        if let Some(path) = socket_path(text) {
            return Ok(Self::Unix(path));
        }
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Self::Tcp(ip.to_string(), PORT));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| EXPECTED)?),
            None => (text, PORT),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_host = bare.parse::<Ipv6Addr>().is_ok() || (!host.is_empty() && host.chars().all(is_name));
        if is_host && port > 0 { Ok(Self::Tcp(bare.to_owned(), port)) } else { Err(EXPECTED) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Ship for Forward {
    fn open(&self) -> Result<(Box<dyn Encode>, Box<dyn Deliver>), Failure> {
        let encoder = Encoder {
            mode: self.mode,
            tag: self.tag.clone(),
            whole_seconds: self.whole_seconds,
            wants_ack: self.ack_timeout.is_some(),
            ids: Ids::new().map_err(Failure::bug)?,
            parts: Parts::default(),
            open: Vec::new(),
        };
        if let Some(tls) = &self.tls {
            // Files that cannot be read are better known now than at the first record.
            tls.load().map_err(|error| Failure::config(format!("forward: {error}")))?;
        }
        Ok((Box::new(encoder), Box::new(Servers::new(self.clone()))))
    }
}

#[cfg(test)]
mod tests;
