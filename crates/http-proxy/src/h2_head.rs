//! Heads of HTTP/2 to heads of ours, and back (RFC 9113 section 8).

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http1::{Body, Error, Headers, Method, Name, RequestHead, ResponseHead, Version, is_host};

use crate::spare;

/// A request that came by HTTP/2. `ended`: it has no body.
pub(crate) fn read_request(parts: &http::request::Parts, ended: bool) -> Result<RequestHead, Error> {
    let mut head = spare::request_head();
    head.method = Method::of(parts.method.as_str());
    (head.version, head.persistent) = (Version::Http2, true);
    let authority = parts.uri.authority().map(Authority::as_str);
    let host = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    // RFC 9113 section 8.3.1: two that differ are malformed.
    let hosts = parts.headers.get_all(HOST).iter().count();
    let host = match (authority, host) {
        (Some(authority), None) => authority.as_bytes(),
        (Some(authority), Some(host)) if authority.as_bytes().eq_ignore_ascii_case(host) => host,
        (None, Some(host)) => host,
        _ => return Err(Error::Host),
    };
    if !is_host(host) || hosts > 1 {
        return Err(Error::Host);
    }
    head.headers.append("Host", host);
    if head.method == Method::Connect && parts.extensions.get::<h2::ext::Protocol>().is_none() {
        head.form = http1::Form::Authority;
        let has_port =
            authority.is_some_and(|authority| authority.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty()));
        head.set_target(authority.filter(|_| has_port).ok_or(Error::Target)?);
    } else {
        head.set_target(
            parts.uri.path_and_query().map(PathAndQuery::as_str).filter(|path| !path.is_empty()).unwrap_or("/"),
        );
        match (head.target(), &head.method) {
            ("*", Method::Options) => head.form = http1::Form::Asterisk,
            (target, _) if target.starts_with('/') => {}
            _ => return Err(Error::Target),
        }
    }
    copy_fields(&parts.headers, &mut head.headers);
    head.accepts_trailers = parts.headers.get_all(TE).iter().any(|value| value == "trailers");
    head.body = match (length(&parts.headers)?, ended) {
        (_, true) => Body::None,
        // What says that it is empty and has not ended may be lying: whole is only what has an end.
        (Some(0) | None, false) => Body::Chunked,
        (Some(length), false) => Body::Length(length),
    };
    if head.method == Method::Trace && !head.body.is_empty() {
        return Err(Error::UnexpectedBody);
    }
    match parts.headers.get(http::header::EXPECT) {
        Some(expected) if !expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => return Err(Error::Expectation),
        expected => head.expects_continue = expected.is_some() && !ended,
    }
    Ok(head)
}

pub(crate) fn write_request(head: &RequestHead, https: bool) -> Result<http::Request<()>, Error> {
    let scheme = if https { Scheme::HTTPS } else { Scheme::HTTP };
    let authority = Authority::try_from(head.host()).map_err(|_| Error::Host)?;
    let path = PathAndQuery::try_from(head.target()).map_err(|_| Error::Target)?;
    let uri = http::Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    let mut request = http::Request::new(());
    *request.uri_mut() = uri.map_err(|_| Error::Target)?;
    *request.method_mut() = http::Method::from_bytes(head.method.as_str().as_bytes()).map_err(|_| Error::Syntax)?;
    *request.version_mut() = http::Version::HTTP_2;
    let fields = request.headers_mut();
    write_fields(&head.headers, fields);
    if let Body::Length(length) = head.body {
        insert_length(length, fields);
    }
    if head.accepts_trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(request)
}

/// A response that came by HTTP/2.
pub(crate) fn read_response(
    parts: &http::response::Parts,
    ended: bool,
    asked: &Method,
    head: &mut ResponseHead,
) -> Result<(), Error> {
    *head = ResponseHead::new(parts.status.as_u16());
    head.version = Version::Http2;
    copy_fields(&parts.headers, &mut head.headers);
    let length = length(&parts.headers)?;
    (head.body, head.announced) = match head.status {
        100..=199 | 204 => (Body::None, None),
        304 => (Body::None, length),
        _ if *asked == Method::Head => (Body::None, length),
        _ if ended => (Body::Length(0), None),
        _ => (length.map_or(Body::Chunked, Body::Length), None),
    };
    Ok(())
}

pub(crate) fn write_response(head: &ResponseHead) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(head.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    *response.version_mut() = http::Version::HTTP_2;
    write_fields(&head.headers, response.headers_mut());
    let length = match (head.body, head.announced) {
        _ if head.is_interim() || head.status == 204 => None,
        (Body::Length(length), _) | (Body::None, Some(length)) => Some(length),
        _ => None,
    };
    if let Some(length) = length {
        insert_length(length, response.headers_mut());
    }
    response
}

fn insert_length(length: u64, fields: &mut HeaderMap) {
    // Digits are always a value.
    if let Ok(value) = HeaderValue::from_str(itoa::Buffer::new().format(length)) {
        fields.insert(CONTENT_LENGTH, value);
    }
}

pub(crate) fn read_trailers(fields: &HeaderMap) -> Headers {
    let allowed = fields.iter().filter(|(name, _)| http1::may_trail(name.as_str().as_bytes()));
    allowed.map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

pub(crate) fn write_trailers(trailers: &Headers) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in trailers.iter().filter(|(name, _)| http1::may_trail(name.as_bytes())) {
        append(&mut fields, name.as_bytes(), Bytes::copy_from_slice(value));
    }
    fields
}

/// RFC 9113 section 8.2.3: pieces of a cookie are one field again. `Host` is there already.
fn copy_fields(fields: &HeaderMap, headers: &mut Headers) {
    let mut cookie: Option<Vec<u8>> = None;
    for (name, value) in fields {
        if name == COOKIE {
            match &mut cookie {
                None => cookie = Some(value.as_bytes().to_vec()),
                Some(cookie) => {
                    cookie.extend_from_slice(b"; ");
                    cookie.extend_from_slice(value.as_bytes());
                }
            }
        } else if name != HOST && !Name::of(name.as_str().as_bytes()).is_hop_by_hop() {
            headers.append(name.as_str(), value.as_bytes());
        }
    }
    if let Some(cookie) = cookie {
        headers.append("cookie", cookie);
    }
}

fn write_fields(headers: &Headers, fields: &mut HeaderMap) {
    fields.reserve(headers.len() + 2);
    // One copy, of which each value is a piece.
    let text = Bytes::copy_from_slice(headers.text());
    for (kind, name, value) in headers.places() {
        if !kind.is_framing() && !kind.is_hop_by_hop() && kind != Name::Host {
            append(fields, &text[name], text.slice(value));
        }
    }
}

fn append(fields: &mut HeaderMap, name: &[u8], value: Bytes) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(value)) {
        fields.append(name, value);
    }
}

fn length(fields: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut values = fields.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse().ok()).filter(|_| values.next().is_none());
    length.map(Some).ok_or(Error::ContentLength)
}
