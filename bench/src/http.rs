//! Just enough of an HTTP client to ask whether somebody is ready, and to be a crowd.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// One request on a connection of its own. Any problem is "not yet".
pub(crate) fn says_ok(port: u16, path: &str) -> bool {
    ask(port, path).is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.0 200"))
}

/// A whole body as text, however long it takes.
pub(crate) fn get(port: u16, path: &str) -> Result<String, String> {
    String::from_utf8(body(port, path, "")?).map_err(|error| format!("{path}: {error}"))
}

/// A whole body. As HTTP/1.0, which has no chunks. Headers are whole lines.
pub(crate) fn body(port: u16, path: &str, headers: &str) -> Result<Vec<u8>, String> {
    let whole = || -> io::Result<Vec<u8>> {
        let mut stream = connect(port)?;
        stream.set_read_timeout(Some(PATIENCE * 6))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: bench\r\n{headers}\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
        Ok(head.map(|end| answer.split_off(end + 4)).unwrap_or_default())
    };
    whole().map_err(|error| format!("{path}: {error}"))
}

fn ask(port: u16, path: &str) -> io::Result<[u8; 12]> {
    let mut stream = connect(port)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(start)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// `connections` at once, each for `requests`: on one connection where the other side keeps it open, else on new ones.
/// Who refuses some of them is within its rights.
pub(crate) fn crowd(port: u16, path: &str, connections: usize, requests: usize) {
    let one = || {
        let mut open = None;
        for _ in 0..requests {
            open = request(port, path, open).ok().flatten();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(one);
        }
    });
}

/// Gives the connection back if it can be used again.
fn request(port: u16, path: &str, open: Option<TcpStream>) -> io::Result<Option<TcpStream>> {
    let mut stream = open.map_or_else(|| connect(port), Ok)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    let stays_open = read_answer(&mut stream)?;
    Ok(stays_open.then_some(stream))
}

/// Reads until the end of a body of known length, or of one in chunks. Whether another request may follow.
fn read_answer(stream: &mut TcpStream) -> io::Result<bool> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..count]);
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let complete = match length {
            Some(length) => answer.len() >= end + 4 + length,
            None => answer.ends_with(b"0\r\n\r\n"),
        };
        if complete {
            return Ok(!head.contains("connection: close"));
        }
    }
}
