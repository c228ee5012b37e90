//! The head of a request.

use crate::framing::Body;
use crate::headers::Headers;
use crate::method::Method;
use crate::name::Name;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    #[default]
    Http11,
    /// A head that came by HTTP/2, in the same shape.
    Http2,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// How the client spelled the target (RFC 9112 section 3.2). Whatever it was, `target()` is what an origin server is asked
/// for, and the authority is in `Host`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Origin,
    /// `http://host/path`: the client takes us for its proxy.
    Absolute { https: bool },
    /// CONNECT host:port.
    Authority,
    /// OPTIONS *.
    Asterisk,
}

/// What is asked. Names keep their spelling and order.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    pub method: Method,
    target: String,
    pub form: Form,
    pub version: Version,
    pub headers: Headers,
    /// Where the body ends. The fields in `headers` that say so are for reading only: the encoder writes its own.
    pub body: Body,
    /// Whether the client wants the connection to go on (RFC 9112 section 9.3).
    pub persistent: bool,
    /// It waits for 100 before it sends the body.
    pub expects_continue: bool,
    /// It asks to change the protocol of the connection (RFC 9110 section 7.8), to what `Upgrade` says.
    pub upgrade: bool,
    /// `TE: trailers`.
    pub accepts_trailers: bool,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol: Option<Box<str>>,
}

impl RequestHead {
    /// A request of our own.
    pub fn new(method: Method, target: &str, host: &str) -> Self {
        let mut head = Self { method, persistent: true, ..Self::default() };
        head.set_target(target);
        head.headers.append("Host", host);
        head
    }

    /// Path and query, `*`, or `host:port` for CONNECT.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Up to the question mark, as it was sent (still percent-encoded).
    pub fn path(&self) -> &str {
        self.question_mark().map_or(&self.target, |at| &self.target[..at])
    }

    /// After the question mark.
    pub fn query(&self) -> Option<&str> {
        self.question_mark().map(|at| &self.target[at + 1..])
    }

    fn question_mark(&self) -> Option<usize> {
        memchr::memchr(b'?', self.target.as_bytes())
    }

    /// What cannot be in a target (spaces, controls, `#`, anything beyond ASCII) is percent-encoded.
    pub fn set_target(&mut self, target: &str) {
        self.target.clear();
        for byte in target.bytes() {
            if is_target_byte(byte) {
                self.target.push(char::from(byte));
            } else {
                self.target.push('%');
                self.target
                    .extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
            }
        }
    }

    pub(crate) fn set_target_checked(&mut self, prefix: &str, target: &str) {
        self.target.clear();
        self.target.push_str(prefix);
        self.target.push_str(target);
    }

    /// `Host`, with its port if it has one. Empty for HTTP/1.0 without one.
    pub fn host(&self) -> &str {
        self.headers.known(Name::Host).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
    }

    pub fn set_host(&mut self, host: &str) {
        self.headers.set("Host", host);
    }

    /// Ready for the next message; keeps its memory.
    pub fn clear(&mut self) {
        let (mut target, mut headers) = (std::mem::take(&mut self.target), std::mem::take(&mut self.headers));
        target.clear();
        headers.clear();
        *self = Self { target, headers, ..Self::default() };
    }
}

/// RFC 3986 without what only a fragment needs; tolerant of the unwise characters that browsers send (`|`, `{`).
pub(crate) fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}
