//! Why an exchange did not work out, and whether it is worth another try.

use std::time::Duration;

use http1::Method;

use crate::exchange::Flag;
use crate::policy::Retries;
use crate::side::Broken;
use crate::upstream::Failure;

#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) flag: Flag,
    pub(crate) text: String,
    /// What the client is told, when it is not what the flag says. 0: nothing.
    pub(crate) status: Option<u16>,
}

impl Trouble {
    pub(crate) fn new(flag: Flag, text: impl Into<String>) -> Self {
        Self { flag, text: text.into(), status: None }
    }

    /// We are to blame.
    pub(crate) fn internal(text: &str) -> Self {
        Self { status: Some(500), ..Self::new(Flag::NoCluster, text) }
    }

    /// The client's side broke.
    pub(crate) fn client(broken: &Broken) -> Self {
        match broken {
            Broken::Syntax(http1::Error::Truncated) | Broken::Io(_) | Broken::Reset(_) => {
                Self::new(Flag::DownstreamClosed, broken.to_string())
            }
            Broken::Syntax(error @ http1::Error::Foreign) => {
                Self { status: Some(0), ..Self::new(Flag::DownstreamProtocol, error.to_string()) }
            }
            Broken::Syntax(error) => {
                Self { status: Some(error.status()), ..Self::new(Flag::DownstreamProtocol, error.to_string()) }
            }
        }
    }

    /// The upstream's side broke.
    pub(crate) fn upstream(broken: &Broken) -> Self {
        let flag = match broken {
            Broken::Io(_) | Broken::Syntax(http1::Error::Truncated) => Flag::UpstreamClosed,
            Broken::Reset(_) => Flag::UpstreamReset,
            Broken::Syntax(_) => Flag::UpstreamProtocol,
        };
        Self::new(flag, broken.to_string())
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoEndpoint(text) => Self::new(Flag::NoEndpoint, text),
            Failure::Connect(text) => Self::new(Flag::ConnectFailure, text),
            Failure::Forbidden(text) => Self::new(Flag::Forbidden, text),
        }
    }
}

/// How often one request was tried, and what may follow.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    retried: u32,
    replaced: u32,
}

/// What is known about a try that did not work.
pub(crate) struct Tried {
    /// On a connection that was kept from before.
    pub(crate) reused: bool,
    /// Nothing of it has left this machine, or the upstream says it has not looked at it.
    pub(crate) untouched: bool,
    /// A part of a response came.
    pub(crate) heard: bool,
}

/// How the next try is made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// At once, on a new connection to the same endpoints: the old one was closed before it was used.
    Fresh,
    /// At another endpoint, after a moment.
    Retry(Duration),
}

/// Connections that turn out to be closed are replaced so often.
const MOST_REPLACED: u32 = 3;
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

impl Tries {
    /// A keep-alive race is nobody's failure: RFC 9110 section 9.2.2 and RFC 9112 section 9.3.1 allow to send again what is
    /// idempotent, and what was not sent at all.
    pub(crate) fn after(
        &mut self,
        trouble: &Trouble,
        tried: &Tried,
        method: &Method,
        retries: &Retries,
    ) -> Option<Again> {
        let is_closed = matches!(trouble.flag, Flag::UpstreamClosed | Flag::UpstreamReset);
        let is_safe = tried.untouched || method.is_idempotent();
        let was_stale = is_closed && is_safe && !tried.heard && (tried.reused || tried.untouched);
        if was_stale && self.replaced < MOST_REPLACED {
            self.replaced += 1;
            return Some(Again::Fresh);
        }
        let wanted = match trouble.flag {
            Flag::UpstreamClosed | Flag::UpstreamReset => retries.reset,
            Flag::UpstreamTimeout => retries.timeout,
            _ => false,
        };
        self.retry(wanted && !tried.heard, tried.untouched, method, retries)
    }

    /// After a response that the route does not accept.
    pub(crate) fn after_status(&mut self, status: u16, method: &Method, retries: &Retries) -> Option<Again> {
        self.retry(retries.statuses.contains(&status), false, method, retries)
    }

    fn retry(&mut self, wanted: bool, untouched: bool, method: &Method, retries: &Retries) -> Option<Again> {
        let may = untouched || method.is_idempotent() || retries.non_idempotent;
        if !wanted || !may || self.retried >= retries.attempts {
            return None;
        }
        let wait = retries.backoff.saturating_mul(1 << self.retried.min(10)).min(LONGEST_BACKOFF);
        self.retried += 1;
        Some(Again::Retry(wait))
    }

    /// Whether there were retries, and none is left.
    pub(crate) fn are_exhausted(&self, retries: &Retries) -> bool {
        self.retried > 0 && self.retried >= retries.attempts
    }
}
