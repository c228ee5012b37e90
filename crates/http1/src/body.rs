//! Takes the framing off a body, as the bytes come in.

use memchr::memchr;

use crate::error::Error;
use crate::framing::Body;
use crate::headers::Headers;
use crate::name::Name;
use crate::token::{is_field_name, is_value_byte, trim};

/// A size line with its extensions.
const LONGEST_SIZE_LINE: usize = 1024;
const LONGEST_TRAILER_LINE: usize = 8 * 1024;
const MOST_TRAILERS: usize = 64;
/// Of all chunks together: a client that sends a kilobyte of extension with each byte is not sending data.
const MOST_EXTENSION_BYTES: usize = 16 * 1024;

/// What comes next in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Data: this many bytes at most. Say [`Decoder::took`] for those that were used.
    Data(u64),
    /// The rest of a line of framing is not there yet.
    More,
    End,
}

/// The state of one body.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    extension_bytes: usize,
    trailers: Option<Box<Headers>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Done,
    Length(u64),
    UntilClose,
    Size,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// Where the message ends is not known any more, and never will be.
    Broken(Error),
}

impl Decoder {
    pub fn new(body: Body) -> Self {
        let state = match body {
            Body::None | Body::Length(0) => State::Done,
            Body::Length(length) => State::Length(length),
            Body::Chunked => State::Size,
            Body::UntilClose => State::UntilClose,
        };
        Self { state, ..Self::default() }
    }

    /// Reads framing. Returns how many bytes of it to forget, and what follows. After an error there is nothing but that
    /// error: the same bytes read once more could be taken for something else.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Next), Error> {
        self.read(input).inspect_err(|error| self.state = State::Broken(*error))
    }

    fn read(&mut self, input: &[u8]) -> Result<(usize, Next), Error> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.state {
                State::Done => return Ok((used, Next::End)),
                State::Broken(error) => return Err(error),
                State::Length(left) | State::Chunk(left) => return Ok((used, Next::Data(left))),
                State::UntilClose => return Ok((used, Next::Data(u64::MAX))),
                State::Size => match line(rest, LONGEST_SIZE_LINE, Error::ChunkSize)? {
                    None => return Ok((used, Next::More)),
                    Some(text) => {
                        used += text.len() + 2;
                        self.state = match self.read_size(text)? {
                            0 => State::Trailers,
                            size => State::Chunk(size),
                        };
                    }
                },
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok((used, Next::More)),
                    _ => return Err(Error::ChunkEnd),
                },
                State::Trailers => match line(rest, LONGEST_TRAILER_LINE, Error::Trailer)? {
                    None => return Ok((used, Next::More)),
                    Some(text) => {
                        used += text.len() + 2;
                        match text {
                            [] => self.state = State::Done,
                            text => self.read_trailer(text)?,
                        }
                    }
                },
            }
        }
    }

    /// So many bytes of data were used.
    pub fn took(&mut self, bytes: u64) {
        self.state = match self.state {
            State::Length(left) if left <= bytes => State::Done,
            State::Length(left) => State::Length(left - bytes),
            State::Chunk(left) if left <= bytes => State::ChunkEnd,
            State::Chunk(left) => State::Chunk(left - bytes),
            other => other,
        };
    }

    /// The connection has ended: fine only where that is the framing.
    pub fn ended(&mut self) -> Result<(), Error> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Broken(error) => Err(error),
            _ => Err(Error::Truncated),
        }
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// What came after the last chunk, without what must not be there (RFC 9110 section 6.5.1).
    pub fn trailers(&mut self) -> Option<Box<Headers>> {
        self.trailers.take()
    }

    /// RFC 9112 section 7.1: hex digits; extensions are read over and never passed on.
    fn read_size(&mut self, text: &[u8]) -> Result<u64, Error> {
        let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extension) = text.split_at(digits);
        // Sixteen digits fill the number; an empty size is no size.
        if !(1..=16).contains(&digits) {
            return Err(Error::ChunkSize);
        }
        if !extension.is_empty() {
            let follows = trim(extension).first() == Some(&b';');
            if !follows || !extension.iter().all(|byte| is_value_byte(*byte)) {
                return Err(Error::ChunkSize);
            }
            self.extension_bytes += extension.len();
            if self.extension_bytes > MOST_EXTENSION_BYTES {
                return Err(Error::ChunkExtension);
            }
        }
        Ok(size.iter().fold(0, |sum, byte| sum << 4 | u64::from(char::from(*byte).to_digit(16).unwrap_or_default())))
    }

    fn read_trailer(&mut self, text: &[u8]) -> Result<(), Error> {
        let colon = memchr(b':', text).ok_or(Error::Trailer)?;
        let (name, value) = (&text[..colon], trim(&text[colon + 1..]));
        let trailers = self.trailers.get_or_insert_default();
        if !is_field_name(name) || !value.iter().all(|byte| is_value_byte(*byte)) || trailers.len() == MOST_TRAILERS {
            return Err(Error::Trailer);
        }
        if may_trail(name) {
            trailers.push_checked(name, value);
        }
        Ok(())
    }
}

/// One line without its CRLF.
fn line(input: &[u8], longest: usize, error: Error) -> Result<Option<&[u8]>, Error> {
    let window = &input[..input.len().min(longest)];
    match memchr(b'\n', window) {
        Some(end) if end > 0 && window[end - 1] == b'\r' => Ok(Some(&window[..end - 1])),
        Some(_) => Err(Error::BareLf),
        None if window.len() == longest => Err(error),
        None => Ok(None),
    }
}

/// RFC 9110 section 6.5.1: nothing that frames, routes, authenticates or changes how the body is read. Apps of WSGI and CGI take
/// `X_Real_IP` for `X-Real-IP`.
pub fn may_trail(name: &[u8]) -> bool {
    /// Who somebody is, as proxies tell it to apps.
    const NEVER_SO: [&str; 4] = ["x-forwarded-", "x-auth-", "x-real-", "gap-"];
    const NEVER: [&str; 13] = [
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "content-type",
        "cookie",
        "forwarded",
        "max-forwards",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "set-cookie",
        "www-authenticate",
    ];
    let spelled = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    let is = |never: &str| name.iter().map(spelled).eq(never.bytes());
    let begins = |never: &str| name.len() >= never.len() && name[..never.len()].iter().map(spelled).eq(never.bytes());
    Name::of(name) == Name::Other && !NEVER.iter().any(|never| is(never)) && !NEVER_SO.iter().any(|never| begins(never))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_says_who_he_is_in_a_trailer() {
        for (name, may) in [
            ("grpc-status", true),
            ("x-checksum", true),
            ("X_Forwarded_User", false),
            ("x-auth-request-email", false),
            ("X-Real_IP", false),
            ("Proxy_Authorization", false),
            ("content-length", false),
        ] {
            assert_eq!(may_trail(name.as_bytes()), may, "{name}");
        }
    }
}
