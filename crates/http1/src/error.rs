//! Why a message was refused.

use std::fmt;

/// What is wrong with a message. Each is the sender's fault; `status()` is what a server answers to a request that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not HTTP: the first line, a field name, a control character, white space where none may be.
    Syntax,
    /// Another protocol altogether: its speaker would not understand an answer.
    Foreign,
    /// A line that ends without CR (RFC 9112 section 2.2 allows to take it; two readers that differ are a hole).
    BareLf,
    LineTooLong,
    HeadTooLong,
    TooManyFields,
    Version,
    Target,
    /// None, several, or not a host (RFC 9112 section 3.2).
    Host,
    ContentLength,
    TransferEncoding,
    /// A coding that nobody here knows.
    TransferCoding,
    /// Content-Length beside Transfer-Encoding (RFC 9112 section 6.3, item 3).
    TwoFramings,
    /// CONNECT and TRACE have no body.
    UnexpectedBody,
    Expectation,
    ChunkSize,
    ChunkEnd,
    ChunkExtension,
    Trailer,
    /// The connection ended inside the message.
    Truncated,
}

impl Error {
    pub fn status(self) -> u16 {
        match self {
            Self::LineTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLong | Self::TooManyFields => 431,
            Self::TransferCoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "malformed head",
            Self::Foreign => "not HTTP",
            Self::BareLf => "line ends without CR",
            Self::LineTooLong => "first line too long",
            Self::HeadTooLong => "head too large",
            Self::TooManyFields => "too many header fields",
            Self::Version => "HTTP version not supported",
            Self::Target => "malformed request target",
            Self::Host => "missing, repeated or malformed Host",
            Self::ContentLength => "repeated or malformed Content-Length",
            Self::TransferEncoding => "repeated or malformed Transfer-Encoding",
            Self::TransferCoding => "unknown transfer coding",
            Self::TwoFramings => "both Content-Length and Transfer-Encoding",
            Self::UnexpectedBody => "a body where none may be",
            Self::Expectation => "unknown expectation",
            Self::ChunkSize => "malformed chunk size",
            Self::ChunkEnd => "chunk longer than its size",
            Self::ChunkExtension => "malformed or too many chunk extensions",
            Self::Trailer => "malformed or too many trailers",
            Self::Truncated => "connection ended inside the message",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Error {}

impl From<httparse::Error> for Error {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyFields,
            httparse::Error::Version => Self::Version,
            _ => Self::Syntax,
        }
    }
}
