//! Where a message ends (RFC 9112 section 6.3): one answer for each message, or it is refused.

use crate::error::Error;
use crate::headers::Headers;
use crate::method::Method;
use crate::name::Name;
use crate::request::{RequestHead, Version};
use crate::response::ResponseHead;
use crate::token::list_items;

/// How the body is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    #[default]
    None,
    Length(u64),
    Chunked,
    /// Responses only.
    UntilClose,
}

impl Body {
    /// Whether nothing follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }

    pub fn length(self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Length(length) => Some(length),
            Self::Chunked | Self::UntilClose => None,
        }
    }
}

pub(crate) fn of_request(head: &RequestHead) -> Result<Body, Error> {
    let body = match (transfer_encoding(&head.headers, head.version)?, content_length(&head.headers)?) {
        // RFC 9112 section 6.3, item 3: "ought to be handled as an error".
        (Some(_), Some(_)) => return Err(Error::TwoFramings),
        (Some(body), None) => body,
        (None, Some(length)) => Body::Length(length),
        (None, None) => Body::None,
    };
    // RFC 9110 sections 9.3.6 and 9.3.8: what follows would be taken for the tunnel, or reflected.
    if matches!(head.method, Method::Connect | Method::Trace) && !body.is_empty() {
        return Err(Error::UnexpectedBody);
    }
    Ok(body)
}

/// What the body is, and what length a response without one announces.
pub(crate) fn of_response(head: &ResponseHead, asked: &Method) -> Result<(Body, Option<u64>), Error> {
    let encoding = transfer_encoding(&head.headers, head.version)?;
    let length = content_length(&head.headers)?;
    if encoding.is_some() && length.is_some() {
        return Err(Error::TwoFramings);
    }
    let opens_tunnel = *asked == Method::Connect && (200..300).contains(&head.status);
    Ok(match head.status {
        // RFC 9112 section 6.3, items 1 and 2.
        100..=199 | 204 => (Body::None, None),
        _ if opens_tunnel => (Body::None, None),
        304 => (Body::None, length),
        _ if *asked == Method::Head => (Body::None, length),
        _ => match (encoding, length) {
            (Some(body), _) => (body, None),
            (None, Some(length)) => (Body::Length(length), None),
            (None, None) => (Body::UntilClose, None),
        },
    })
}

/// RFC 9112 section 6.1: `chunked`, once, alone; everything else is refused, not guessed at.
fn transfer_encoding(headers: &Headers, version: Version) -> Result<Option<Body>, Error> {
    let mut values = headers.all_known(Name::TransferEncoding);
    let Some(value) = values.next() else { return Ok(None) };
    // "A server or client that receives an HTTP/1.0 message containing Transfer-Encoding MUST treat the message as if the
    // framing is faulty."
    if values.next().is_some() || version == Version::Http10 {
        return Err(Error::TransferEncoding);
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Some(Body::Chunked));
    }
    let chunked = list_items(value).filter(|item| item.eq_ignore_ascii_case(b"chunked")).count();
    let is_last = list_items(value).last().is_some_and(|item| item.eq_ignore_ascii_case(b"chunked"));
    match (chunked, is_last, list_items(value).count()) {
        (1, true, 2..) | (0, _, 1..) => Err(Error::TransferCoding),
        _ => Err(Error::TransferEncoding),
    }
}

/// RFC 9110 section 8.6: digits, once. Equal repetitions may be merged by a recipient; the next one might not.
fn content_length(headers: &Headers) -> Result<Option<u64>, Error> {
    let mut values = headers.all_known(Name::ContentLength);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Error::ContentLength);
    }
    let digits = std::str::from_utf8(value).map_err(|_| Error::ContentLength)?;
    digits.parse().map(Some).map_err(|_| Error::ContentLength)
}
