//! The head of a response.

use crate::framing::Body;
use crate::headers::Headers;
use crate::request::Version;

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    pub status: u16,
    /// As the server worded it; empty: the usual words are sent.
    pub reason: Box<str>,
    pub version: Version,
    pub headers: Headers,
    pub body: Body,
    /// The length that a response without a body announces (to HEAD, or 304).
    pub announced: Option<u64>,
    /// Whether the server wants the connection to go on.
    pub persistent: bool,
    /// It says that it changes the protocol, to what `Upgrade` says.
    pub upgrade: bool,
    /// `Keep-Alive: timeout=5`, in seconds: after that the server may close.
    pub keep_alive_timeout: Option<u64>,
}

impl ResponseHead {
    /// A response of our own.
    pub fn new(status: u16) -> Self {
        Self { status, persistent: true, ..Self::default() }
    }

    /// 100 to 199: another one follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status)
    }
}

/// The usual words (RFC 9110 section 15, RFC 6585).
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
