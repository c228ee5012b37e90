//! HTTP/2 by the frame, for saying what no library says.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use test_kit::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answer(u16, Vec<u8>),
    Reset(u32),
    GoAway(u32),
    Closed,
    Silence,
}

impl Outcome {
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(self, Self::Answer(..=399, _) | Self::Silence)
    }
}

pub(crate) struct Http2(pub(crate) TcpStream);

impl Http2 {
    pub(crate) fn new(port: u16) -> Self {
        Self::within(port, PATIENCE, &[])
    }

    /// With these settings, and at most so much patience for each piece.
    pub(crate) fn within(port: u16, patience: Duration, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.set_write_timeout(Some(patience)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut own = Self(stream);
        own.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
            .collect();
        own.frame(SETTINGS, 0, 0, &settings).unwrap();
        own
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.write_all(&frame(kind, flags, stream, payload))
    }

    pub(crate) fn request(&mut self, stream: u32, fields: &[(&[u8], &[u8])], body: Option<&[u8]>) -> io::Result<()> {
        let ends = if body.is_none() { END_STREAM } else { 0 };
        self.frame(HEADERS, END_HEADERS | ends, stream, &block(fields))?;
        match body {
            Some(body) => self.frame(DATA, END_STREAM, stream, body),
            None => Ok(()),
        }
    }

    pub(crate) fn get(&mut self, stream: u32, path: &str) -> Outcome {
        let sent = self.request(stream, &usual(b"GET", path.as_bytes()), None);
        if sent.is_err() { Outcome::Closed } else { self.outcome(stream) }
    }

    pub(crate) fn next(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[])?,
            PING if frame.flags & ACK == 0 => self.frame(PING, ACK, 0, &frame.payload)?,
            _ => {}
        }
        Ok(frame)
    }

    /// The next one of this kind; the others are passed over.
    #[track_caller]
    pub(crate) fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().expect("a frame");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let frame = match self.next() {
                Ok(frame) => frame,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Outcome::Silence;
                }
                Err(_) => return Outcome::Closed,
            };
            match frame.kind {
                HEADERS if frame.stream == stream && status < 200 => status = read_status(&frame.payload),
                DATA if frame.stream == stream => body.extend_from_slice(&frame.payload),
                RST_STREAM if frame.stream == stream => return Outcome::Reset(number(&frame.payload)),
                // Code 0 says that it goes well to its end.
                GOAWAY if number(&frame.payload[4..]) != 0 => return Outcome::GoAway(number(&frame.payload[4..])),
                _ => {}
            }
            if frame.stream == stream && matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return Outcome::Answer(status, body);
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn usual<'a>(method: &'a [u8], path: &'a [u8]) -> [(&'a [u8], &'a [u8]); 4] {
    [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"a")]
}

/// Every field as it is: literal, not indexed, not compressed.
pub(crate) fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0x10);
        for text in [name, value] {
            length(text.len(), &mut bytes);
            bytes.extend_from_slice(text);
        }
    }
    bytes
}

/// RFC 7541 section 5.1 with a prefix of seven bits.
pub(crate) fn length(mut length: usize, bytes: &mut Vec<u8>) {
    if length < 127 {
        bytes.push(length as u8);
        return;
    }
    bytes.push(127);
    length -= 127;
    while length >= 128 {
        bytes.push((length % 128) as u8 | 128);
        length /= 128;
    }
    bytes.push(length as u8);
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Of the first field, as servers write it: indexed, or a literal whose digits may be compressed.
fn read_status(block: &[u8]) -> u16 {
    let skip = block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count();
    match &block[skip..] {
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        [0x08 | 0x18 | 0x48, size, text @ ..] if size & 0x80 == 0 => {
            std::str::from_utf8(&text[..usize::from(*size).min(text.len())])
                .ok()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        }
        [0x08 | 0x18 | 0x48, _, text @ ..] => huffman_digits(text),
        _ => 0,
    }
}

fn huffman_digits(text: &[u8]) -> u16 {
    let bits =
        text.iter().take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (4 - text.len().clamp(1, 3)));
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let five = bits << at >> 27;
        let (digit, used) = if five < 3 { (five, 5) } else { ((bits << at >> 26) - 0b01_1001 + 3, 6) };
        at += used;
        status = status * 10 + digit;
    }
    u16::try_from(status).unwrap_or(0)
}
