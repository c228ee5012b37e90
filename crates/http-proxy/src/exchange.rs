//! What happened to one request or stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http1::Version;

use crate::cluster::ClusterId;

/// The record of a request and its response. Durations are from `started` on.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When its first byte was there.
    pub started: Instant,
    pub took: Duration,
    pub version: Version,
    /// What the client was told. 0: nothing, the connection just ended.
    pub status: u16,
    /// Bytes of the bodies, without framing.
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// All that was read of the request and sent of the response, with heads and framing. Of HTTP/2, where both are packed
    /// with those of others: the bodies alone.
    pub received: u64,
    pub sent: u64,
    /// The last one that was tried.
    pub cluster: Option<ClusterId>,
    pub upstream: Option<Arc<str>>,
    /// How often it was sent.
    pub attempts: u32,
    /// What the last try's upstream said. None: no response came.
    pub upstream_status: Option<u16>,
    /// The connection to the upstream was there. None: there was none, or it was kept from before.
    pub connected: Option<Duration>,
    /// The head of the upstream's response was there.
    pub responded: Option<Duration>,
    /// Why it failed, if it did.
    pub flags: Flags,
    /// The last byte was passed on.
    pub complete: bool,
    /// For an operator: what exactly went wrong.
    pub error: Option<String>,
}

impl Exchange {
    pub(crate) fn new(started: Instant, version: Version) -> Self {
        Self {
            started,
            took: Duration::ZERO,
            version,
            status: 0,
            request_bytes: 0,
            response_bytes: 0,
            received: 0,
            sent: 0,
            cluster: None,
            upstream: None,
            attempts: 0,
            upstream_status: None,
            connected: None,
            responded: None,
            flags: Flags::default(),
            complete: false,
            error: None,
        }
    }
}

/// Why a request failed, in the letters that operators of proxies know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// DPE: the request is malformed.
    DownstreamProtocol,
    /// DC: the client went away.
    DownstreamClosed,
    /// RT: the client was too slow with its request.
    DownstreamTimeout,
    /// NC: the policy named a cluster that is not there.
    NoCluster,
    /// UH: no endpoint.
    NoEndpoint,
    /// UF: could not connect.
    ConnectFailure,
    /// UO: too many requests or connections already.
    Overflow,
    /// UC: the upstream closed the connection instead of answering.
    UpstreamClosed,
    /// UR: the upstream reset the stream.
    UpstreamReset,
    /// UT: the upstream took too long.
    UpstreamTimeout,
    /// UPE: the response is malformed.
    UpstreamProtocol,
    /// URX: no try was left.
    RetriesExhausted,
    /// SI: nothing moved for too long.
    StreamIdle,
    /// DT: it lasted longer than allowed.
    Duration,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The upstream or the route does not take upgrades.
    UpgradeRefused,
    /// UAEX: where the request leads no connection may be made to.
    Forbidden,
}

impl Flag {
    const ALL: [Self; 17] = [
        Self::DownstreamProtocol,
        Self::DownstreamClosed,
        Self::DownstreamTimeout,
        Self::NoCluster,
        Self::NoEndpoint,
        Self::ConnectFailure,
        Self::Overflow,
        Self::UpstreamClosed,
        Self::UpstreamReset,
        Self::UpstreamTimeout,
        Self::UpstreamProtocol,
        Self::RetriesExhausted,
        Self::StreamIdle,
        Self::Duration,
        Self::BodyTooLarge,
        Self::UpgradeRefused,
        Self::Forbidden,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Self::DownstreamProtocol => "DPE",
            Self::DownstreamClosed => "DC",
            Self::DownstreamTimeout => "RT",
            Self::NoCluster => "NC",
            Self::NoEndpoint => "UH",
            Self::ConnectFailure => "UF",
            Self::Overflow => "UO",
            Self::UpstreamClosed => "UC",
            Self::UpstreamReset => "UR",
            Self::UpstreamTimeout => "UT",
            Self::UpstreamProtocol => "UPE",
            Self::RetriesExhausted => "URX",
            Self::StreamIdle => "SI",
            Self::Duration => "DT",
            Self::BodyTooLarge => "BL",
            Self::UpgradeRefused => "UG",
            Self::Forbidden => "UAEX",
        }
    }

    /// What a client is told when there is nothing else to tell.
    pub fn status(self) -> u16 {
        match self {
            Self::DownstreamProtocol | Self::DownstreamClosed => 400,
            Self::DownstreamTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::UpgradeRefused | Self::Forbidden => 403,
            Self::NoCluster | Self::NoEndpoint | Self::Overflow => 503,
            Self::UpstreamTimeout | Self::StreamIdle | Self::Duration => 504,
            _ => 502,
        }
    }
}

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    pub fn insert(&mut self, flag: Flag) {
        self.0 |= 1 << flag as u32;
    }

    pub fn contains(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u32) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.into_iter().filter(move |flag| self.contains(*flag))
    }
}
