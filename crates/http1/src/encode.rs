//! Writes messages: in one form only, with one framing field that is ours.

use std::io::Write;

use crate::body::may_trail;
use crate::framing::Body;
use crate::headers::Headers;
use crate::name::Name;
use crate::request::{RequestHead, Version};
use crate::response::{ResponseHead, reason};

/// The head of a request to an origin server, in HTTP/1.1. `persistent` says whether the connection is to go on.
pub fn write_request(head: &RequestHead, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(if head.target().is_empty() { b"/" } else { head.target().as_bytes() });
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(&head.headers, head.upgrade, out);
    // A body that nobody delimits cannot be in a request.
    match head.body {
        Body::None => {}
        Body::Length(length) => write_length(length, out),
        Body::Chunked | Body::UntilClose => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    if head.upgrade {
        out.extend_from_slice(b"Connection: upgrade\r\n");
    } else if !head.persistent {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// The head of a response to a client that speaks `to`. The body has to be one that it can read: no chunks for HTTP/1.0.
pub fn write_response(head: &ResponseHead, to: Version, out: &mut Vec<u8>) {
    let status = head.status.min(999);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend([100, 10, 1].map(|unit| b'0' + (status / unit % 10) as u8));
    out.push(b' ');
    let words = if head.reason.is_empty() { reason(status) } else { &head.reason };
    out.extend(words.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
    write_fields(&head.headers, head.upgrade, out);
    match (head.body, head.announced) {
        // RFC 9110 section 8.6: never in 1xx and 204.
        _ if head.is_interim() || status == 204 => {}
        (Body::None, None) | (Body::UntilClose, _) => {}
        (Body::None, Some(length)) | (Body::Length(length), _) => write_length(length, out),
        (Body::Chunked, _) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    if head.upgrade {
        out.extend_from_slice(b"Connection: upgrade\r\n");
    } else if head.is_interim() {
        // Says nothing about the connection: the final response will.
    } else if !head.persistent {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if to == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Before so many bytes of data; after them comes CRLF.
pub fn write_chunk_start(length: usize, out: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = write!(out, "{length:x}\r\n");
}

/// The end of a chunked body.
pub fn write_last_chunk(trailers: Option<&Headers>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (_, line) in trailers.into_iter().flat_map(Headers::lines) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if may_trail(name) {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_fields(headers: &Headers, upgrade: bool, out: &mut Vec<u8>) {
    for (kind, line) in headers.lines() {
        let is_ours = kind.is_framing() || kind.is_hop_by_hop();
        if !is_ours || (kind == Name::Upgrade && upgrade) {
            out.extend_from_slice(line);
        }
    }
}

fn write_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}
