//! Where clients come in: settings of a listener, as plain values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::cluster::ClusterId;

/// A socket that is bound already.
#[derive(Debug)]
pub enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// How the connections of one listener are treated. Looked up by name at each connection: a reload takes effect with the
/// next one.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    pub name: Arc<str>,
    pub proxy_protocol: ProxyProtocolIn,
    pub tls: Option<Tls>,
    pub serve: Serve,
    /// Connections at one time for each thread; more are closed at once.
    pub max_connections: usize,
    /// For the PROXY header and the TLS handshake.
    pub handshake_timeout: Duration,
}

impl ListenerSettings {
    pub fn http(name: &str) -> Self {
        Self {
            name: name.into(),
            proxy_protocol: ProxyProtocolIn::Off,
            tls: None,
            serve: Serve::Http(Arc::default()),
            max_connections: 16_384,
            handshake_timeout: Duration::from_secs(10),
        }
    }

    pub fn stream(name: &str) -> Self {
        Self { serve: Serve::Stream(Arc::default()), ..Self::http(name) }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocolIn {
    #[default]
    Off,
    /// Every connection begins with it; others are closed.
    Required,
    /// Whoever may connect may say who it is: only where all who can reach the port are trusted.
    Optional,
}

#[derive(Clone, Debug)]
pub enum Serve {
    Http(Arc<HttpSettings>),
    /// Bytes, to the cluster that [`crate::Policy::on_stream`] names.
    Stream(Arc<StreamSettings>),
}

/// The configuration for the next handshake.
pub type TlsConfig = dyn Fn() -> Arc<ServerConfig> + Send + Sync;
/// What is done with a client that asks for this name.
pub type ChooseTls = dyn Fn(Option<&str>) -> TlsChoice + Send + Sync;

/// Who ends TLS. The functions are asked at each handshake: that is how rotation works.
#[derive(Clone)]
pub enum Tls {
    /// We do, for every name that the configuration has a certificate for.
    Terminate(Arc<TlsConfig>),
    /// It depends on the name that the client asks for.
    ByName(Arc<ChooseTls>),
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate(_) => "Terminate",
            Self::ByName(_) => "ByName",
        })
    }
}

#[derive(Clone, Debug)]
pub enum TlsChoice {
    Terminate(Arc<ServerConfig>),
    /// The bytes go on as they are.
    PassThrough(ClusterId),
    Refuse,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// Between two pieces of a request's body.
    pub body_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// Between two pieces of a response that the client takes.
    pub send_timeout: Duration,
    /// A body that comes slower than so many bytes a second, measured after `body_timeout`, is given up. 0: any speed.
    pub min_body_rate: u64,
    /// Requests of one connection.
    pub max_requests: Option<u64>,
    /// A connection that is older is closed after its current request.
    pub max_age: Option<Duration>,
    pub head: http1::Limits,
    pub http1: bool,
    pub http2: Option<Http2>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            send_timeout: Duration::from_secs(60),
            min_body_rate: 0,
            max_requests: None,
            max_age: None,
            head: http1::Limits::default(),
            http1: true,
            http2: Some(Http2::default()),
        }
    }
}

/// By ALPN with TLS, by prior knowledge without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2 {
    pub max_streams: u32,
    /// What one stream may send ahead.
    pub stream_window: u32,
    pub connection_window: u32,
    /// Names and values of one head.
    pub max_head: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self { max_streams: 128, stream_window: 256 * 1024, connection_window: 1024 * 1024, max_head: 60 * 1024 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Nothing moved in either direction. None: for ever.
    pub idle_timeout: Option<Duration>,
    /// Looks for the server name in the first bytes (TLS is passed through).
    pub look_for_name: bool,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { idle_timeout: Some(Duration::from_secs(3600)), look_for_name: false }
    }
}
