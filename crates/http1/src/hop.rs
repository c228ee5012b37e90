//! What is meant for the next machine only (RFC 9110 section 7.6.1): understood here, and not passed on.

use crate::headers::Headers;
use crate::method::Method;
use crate::name::Name;
use crate::request::{RequestHead, Version};
use crate::response::ResponseHead;
use crate::token::list_items;

/// What `Connection` says.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// It names fields beside the usual ones.
    named: bool,
}

impl Options {
    pub(crate) fn of(headers: &Headers) -> Self {
        let mut options = Self::default();
        for item in headers.all_known(Name::Connection).flat_map(list_items) {
            match item.len() {
                5 if item.eq_ignore_ascii_case(b"close") => options.close = true,
                7 if item.eq_ignore_ascii_case(b"upgrade") => options.upgrade = true,
                10 if item.eq_ignore_ascii_case(b"keep-alive") => options.keep_alive = true,
                _ => options.named = true,
            }
        }
        options
    }

    /// RFC 9112 section 9.3.
    pub(crate) fn persistent(&self, version: Version) -> bool {
        !self.close && (version >= Version::Http11 || self.keep_alive)
    }
}

impl RequestHead {
    /// Removes the fields of this hop, and those that the client's `Connection` names. `upgrade` and the other facts of
    /// the head stay as they were parsed.
    pub fn strip_hop_by_hop(&mut self) {
        strip(&mut self.headers, self.upgrade);
    }
}

impl RequestHead {
    /// Counts `Max-Forwards` down (RFC 9110 section 7.6.2). False: it must not be passed on.
    pub fn may_go_further(&mut self) -> bool {
        if !matches!(self.method, Method::Options | Method::Trace) {
            return true;
        }
        let left = self.headers.get_str("max-forwards").and_then(|text| text.parse::<u64>().ok());
        match left {
            None => true,
            Some(0) => false,
            Some(left) => self.headers.set("Max-Forwards", (left - 1).to_string()),
        }
    }
}

impl ResponseHead {
    /// The same for a response.
    pub fn strip_hop_by_hop(&mut self) {
        strip(&mut self.headers, self.upgrade);
    }
}

fn strip(headers: &mut Headers, keep_upgrade: bool) {
    if Options::of(headers).named {
        let values = headers.all_known(Name::Connection).flat_map(list_items);
        let named: Vec<Vec<u8>> = values.filter(|name| !is_for_everybody(name)).map(<[u8]>::to_vec).collect();
        headers.retain(|_, name| !named.iter().any(|other| other.eq_ignore_ascii_case(name)));
    }
    if !headers.has_hop_by_hop() {
        return;
    }
    headers.retain(|kind, _| match kind {
        Name::Upgrade => keep_upgrade,
        // Framing is for reading until the encoder writes its own.
        Name::TransferEncoding => true,
        kind => !kind.is_hop_by_hop(),
    });
}

/// Fields that a client must not be able to take away by naming them in `Connection`: who asked, for what, where the
/// message ends. (`Connection: X-Forwarded-For` would hide an address that a proxy in front of us has added.)
fn is_for_everybody(name: &[u8]) -> bool {
    const NAMES: [&str; 10] = [
        "forwarded",
        "x-real-ip",
        "x-request-id",
        "authorization",
        "cookie",
        "set-cookie",
        "via",
        "traceparent",
        "tracestate",
        "content-type",
    ];
    const FAMILIES: [&str; 2] = ["x-forwarded-", "x-envoy-"];
    matches!(Name::of(name), Name::Host | Name::ContentLength | Name::TransferEncoding | Name::Expect | Name::Upgrade)
        || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        || FAMILIES.iter().any(|f| name.len() >= f.len() && name[..f.len()].eq_ignore_ascii_case(f.as_bytes()))
}
