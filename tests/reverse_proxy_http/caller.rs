//! A client that sends whatever bytes it is told to.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use test_kit::PATIENCE;

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Caller(pub(crate) BufReader<TcpStream>);

impl Caller {
    pub(crate) fn new(port: u16) -> Self {
        Self::within(port, PATIENCE)
    }

    /// Waits at most so long for each piece of an answer.
    pub(crate) fn within(port: u16, patience: Duration) -> Self {
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::with_capacity(64 * 1024, stream))
    }

    /// It may be closed already: what was answered counts.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    pub(crate) fn get(&mut self, target: &str) -> io::Result<Response> {
        write!(self.0.get_mut(), "GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")?;
        self.answer(false)
    }

    /// The next final response.
    pub(crate) fn answer(&mut self, asked_head: bool) -> io::Result<Response> {
        loop {
            let response = self.next(asked_head)?;
            if response.status == 101 || response.status >= 200 {
                return Ok(response);
            }
        }
    }

    fn next(&mut self, asked_head: bool) -> io::Result<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head: String = head.into_iter().map(char::from).collect();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let field = |name: &str| {
            let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
            fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let mut body = Vec::new();
        if asked_head || status < 200 || status == 204 || status == 304 {
        } else if field("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line)?;
                let size = u64::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
                let read = self.0.by_ref().take(size).read_to_end(&mut body)?;
                if (read as u64) < size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.0.read_line(&mut line)?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = field("content-length").and_then(|text| text.parse::<u64>().ok()) {
            let read = self.0.by_ref().take(length).read_to_end(&mut body)?;
            if (read as u64) < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else {
            self.0.read_to_end(&mut body)?;
        }
        Ok(Response { status, head, body })
    }

    /// Whether the other side closes without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.0.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }
}
