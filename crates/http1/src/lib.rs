//! HTTP/1 without sockets: strict in, canonical out. For both sides of a proxy.
//!
//! ```text
//! bytes -> Scan (where does the head end?) -> parse -> RequestHead / ResponseHead -> encode -> bytes
//!                                                          |
//! bytes -> Decoder (length, chunked, until close) <--- Body: the one framing of this message
//! ```
//!
//! A message is parsed once and written anew: nothing that came in leaves as it was, and the only framing fields that
//! go out are ours. Where two readers could disagree about where a message ends, it is refused. Section numbers are of
//! RFC 9110 (semantics) and RFC 9112 (HTTP/1.1).

mod body;
mod encode;
mod error;
mod framing;
mod headers;
mod hop;
mod host;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod method;
mod name;
mod parse;
mod request;
mod response;
mod scan;
#[cfg(test)]
mod smuggling_tests;
mod token;

pub use body::{Decoder, Next, may_trail};
pub use encode::{write_chunk_start, write_last_chunk, write_request, write_response};
pub use error::Error;
pub use framing::Body;
pub use headers::Headers;
pub use host::{is_host, split_port};
pub use method::Method;
pub use name::Name;
pub use parse::{Limits, parse_request, parse_response};
pub use request::{Form, RequestHead, Version};
pub use response::{ResponseHead, reason};
pub use scan::Scan;
pub use token::{is_field_name, is_field_value, list_items};
