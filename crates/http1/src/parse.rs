//! A whole head to what it means. httparse reads the lines; what they mean together is decided here.

use std::mem::MaybeUninit;

use httparse::{ParserConfig, Status};

use crate::error::Error;
use crate::framing;
use crate::headers::Headers;
use crate::hop::Options;
use crate::host::{is_host, split_port};
use crate::method::Method;
use crate::name::Name;
use crate::request::{Form, RequestHead, Version, is_target_byte};
use crate::response::ResponseHead;
use crate::token::{is_token_byte, list_items, trim};

/// How large a head may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole head.
    pub head: usize,
    /// Bytes of the first line.
    pub line: usize,
    /// Fields; at most 256.
    pub fields: usize,
}

impl Default for Limits {
    /// Larger than what NGINX (4 x 8 KiB) and HAProxy (16 KiB) take, as large as Envoy's.
    fn default() -> Self {
        Self { head: 60 * 1024, line: 16 * 1024, fields: 100 }
    }
}

const MOST_FIELDS: usize = 256;

/// `bytes` is what [`crate::Scan`] found: all of the head and nothing after it. `head` is cleared first.
pub fn parse_request(bytes: &[u8], head: &mut RequestHead) -> Result<(), Error> {
    head.clear();
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut raw = httparse::Request::new(&mut []);
    match ParserConfig::default().parse_request_with_uninit_headers(&mut raw, bytes, &mut fields) {
        Ok(Status::Complete(length)) if length == bytes.len() => {}
        Err(_) if is_foreign(bytes) => return Err(Error::Foreign),
        Err(httparse::Error::Version) if !names_a_version(bytes) => return Err(Error::Syntax),
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(Error::Syntax),
    }
    head.version = version(raw.version);
    head.method = Method::of(raw.method.ok_or(Error::Syntax)?);
    if !head.method.as_str().bytes().all(is_token_byte) {
        return Err(Error::Syntax);
    }
    copy(raw.headers, &mut head.headers)?;
    check_host(head)?;
    read_target(raw.path.ok_or(Error::Target)?, head)?;
    head.body = framing::of_request(head)?;
    let options = Options::of(&head.headers);
    head.persistent = options.persistent(head.version);
    head.upgrade = options.upgrade && asks_for_a_protocol(&head.headers, head.version);
    let codings = head.headers.all_known(Name::Te).flat_map(list_items);
    head.accepts_trailers = codings.into_iter().any(|item| item.eq_ignore_ascii_case(b"trailers"));
    head.expects_continue = expects_continue(head)?;
    Ok(())
}

/// `asked` is the method of the request: it decides whether there is a body.
pub fn parse_response(bytes: &[u8], asked: &Method, head: &mut ResponseHead) -> Result<(), Error> {
    head.headers.clear();
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut raw = httparse::Response::new(&mut []);
    match ParserConfig::default().parse_response_with_uninit_headers(&mut raw, bytes, &mut fields)? {
        Status::Complete(length) if length == bytes.len() => {}
        _ => return Err(Error::Syntax),
    }
    head.version = version(raw.version);
    head.status = raw.code.filter(|code| (100..1000).contains(code)).ok_or(Error::Syntax)?;
    let reason = raw.reason.unwrap_or_default();
    // Only what is unusual is kept: the usual words cost no memory.
    let is_usual = reason == crate::reason(head.status);
    if !(is_usual && head.reason.is_empty()) {
        head.reason = if is_usual { "".into() } else { reason.into() };
    }
    copy(raw.headers, &mut head.headers)?;
    (head.body, head.announced) = framing::of_response(head, asked)?;
    let options = Options::of(&head.headers);
    // RFC 9110 section 8.6, RFC 9112 section 6.1: a body that must not be there would be taken for the next response.
    let body_is_forbidden = head.status < 200 || head.status == 204;
    let lies = body_is_forbidden && head.status != 101 && announces_a_body(&head.headers);
    head.persistent = options.persistent(head.version) && !lies;
    head.upgrade = head.status == 101 && options.upgrade && head.headers.known(Name::Upgrade).is_some();
    head.keep_alive_timeout = keep_alive_timeout(&head.headers);
    Ok(())
}

/// `GET / HTTP/3.7`: well-formed, and not ours to speak. Everything else in that place is just malformed.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = first_line(bytes);
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    let is_version = |word: &[u8]| matches!(word, [b'H', b'T', b'T', b'P', b'/', a, b'.', b] if a.is_ascii_digit() && b.is_ascii_digit());
    words.next().is_some_and(is_version) && words.next().is_none()
}

/// Neither a version at its end nor anything like a target in the middle: no attempt at HTTP, however poor.
fn is_foreign(bytes: &[u8]) -> bool {
    let mut words = first_line(bytes).split(|byte| *byte == b' ').filter(|word| !word.is_empty()).skip(1);
    let target = words.next().unwrap_or_default();
    let is_target = matches!(target, [b'/', ..] | b"*") || target.contains(&b':');
    let last = words.last().unwrap_or(target);
    !is_target && !last.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/"))
}

fn first_line(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == b'\r').find(|line| line.len() > 1).unwrap_or_default()
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

fn copy(raw: &[httparse::Header<'_>], headers: &mut Headers) -> Result<(), Error> {
    headers.reserve(raw.len(), raw.iter().map(|field| field.name.len() + field.value.len() + 4).sum());
    for field in raw {
        if field.name.len() > usize::from(u16::MAX) {
            return Err(Error::HeadTooLong);
        }
        headers.push_checked(field.name.as_bytes(), trim(field.value));
    }
    Ok(())
}

/// RFC 9112 section 3.2: exactly one in HTTP/1.1, at most one before, and a host in it.
fn check_host(head: &RequestHead) -> Result<(), Error> {
    let mut hosts = head.headers.all_known(Name::Host);
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version == Version::Http10 => Ok(()),
        (Some(host), None) if is_host(host) => Ok(()),
        _ => Err(Error::Host),
    }
}

fn read_target(text: &str, head: &mut RequestHead) -> Result<(), Error> {
    if !text.bytes().all(is_target_byte) {
        return Err(Error::Target);
    }
    if head.method == Method::Connect {
        // RFC 9112 section 3.2.3: host and port, both.
        let has_port = split_port(text).and_then(|(_, port)| port).is_some_and(|port| !port.is_empty());
        if !has_port || !is_host(text.as_bytes()) {
            return Err(Error::Target);
        }
        head.form = Form::Authority;
        head.set_target_checked("", text);
        head.set_host(text);
        return Ok(());
    }
    match text.as_bytes() {
        [b'/', ..] => head.set_target_checked("", text),
        b"*" if head.method == Method::Options => {
            head.form = Form::Asterisk;
            head.set_target_checked("", text);
        }
        _ => read_absolute(text, head)?,
    }
    Ok(())
}

/// RFC 9112 section 3.2.2: the authority of the target wins, and `Host` is replaced by it.
fn read_absolute(text: &str, head: &mut RequestHead) -> Result<(), Error> {
    let (scheme, rest) = text.split_once("://").ok_or(Error::Target)?;
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return Err(Error::Target);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_host(authority.as_bytes()) {
        return Err(Error::Target);
    }
    head.form = Form::Absolute { https };
    head.set_host(authority);
    match path.as_bytes() {
        // RFC 9112 section 3.2.4.
        [] if head.method == Method::Options => head.set_target_checked("*", ""),
        [b'/', ..] => head.set_target_checked("", path),
        _ => head.set_target_checked("/", path),
    }
    Ok(())
}

/// RFC 9110 section 7.8. A change to h2c is never passed on: what follows would be hidden from us.
fn asks_for_a_protocol(headers: &Headers, version: Version) -> bool {
    let mut protocols = headers.all_known(Name::Upgrade).flat_map(list_items).peekable();
    let some = protocols.peek().is_some();
    version == Version::Http11 && some && !protocols.any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"))
}

/// RFC 9110 section 10.1.1.
fn expects_continue(head: &RequestHead) -> Result<bool, Error> {
    let mut expected = head.headers.all_known(Name::Expect).flat_map(list_items).peekable();
    if expected.peek().is_none() || head.version == Version::Http10 {
        return Ok(false);
    }
    if !expected.all(|item| item.eq_ignore_ascii_case(b"100-continue")) {
        return Err(Error::Expectation);
    }
    Ok(!head.body.is_empty())
}

fn announces_a_body(headers: &Headers) -> bool {
    headers.known(Name::TransferEncoding).is_some()
        || headers.known(Name::ContentLength).is_some_and(|length| length.iter().any(|digit| *digit != b'0'))
}

/// `timeout=5, max=100`.
fn keep_alive_timeout(headers: &Headers) -> Option<u64> {
    let mut items = headers.all_known(Name::KeepAlive).flat_map(list_items);
    items.find_map(|item| {
        let (name, value) = item.split_at_checked(8)?;
        let value = name.eq_ignore_ascii_case(b"timeout=").then_some(value)?;
        std::str::from_utf8(value).ok()?.trim_matches('"').parse().ok()
    })
}
