//! An answer, bounded: the status, the headers, and at most so much of the body as the target says.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::backoff::parse_retry_after;

/// No answer to a webhook or a token request needs more; a mistyped URL may offer 10 GB.
pub const MAX_BODY: usize = 64 * 1024;

/// What the server said.
pub struct Reply {
    pub status: u16,
    /// The first bytes: [`crate::Target::max_reply`].
    pub body: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
    /// From the start of the attempt to the last byte read.
    pub elapsed: Duration,
    pub(crate) headers: HeaderMap,
}

impl Reply {
    /// The first header of this name (in any case) that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }
}

/// Without the body and the headers: a token endpoint answers with secrets.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("truncated", &self.truncated)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    parse_retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, SystemTime::now())
}

/// Reads until the end, the cap, or a failure. Returns whether there was more than the cap.
pub(crate) async fn read_body(
    response: &mut reqwest::Response,
    cap: usize,
    body: &mut Vec<u8>,
) -> Result<bool, reqwest::Error> {
    while let Some(chunk) = response.chunk().await? {
        let room = cap - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(true);
        }
    }
    Ok(false)
}
