//! A connection: request after request, each answered as well or as badly as it was told.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    sync::atomic::Ordering,
    thread,
    time::Instant,
};

use rustls::{ServerConnection, StreamOwned};

use super::{Call, Fault, Shared, bulk};

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

type Reader<'a> = BufReader<Box<dyn Stream + 'a>>;

/// None when the connection is done for.
pub(super) fn serve(shared: &Shared, tcp: &TcpStream, number: usize) -> Option<()> {
    tcp.set_read_timeout(shared.rules.idle).ok()?;
    let stream: Box<dyn Stream> = match &shared.rules.tls {
        None => Box::new(tcp),
        Some(pair) => {
            let config = pair.server_config(shared.rules.client_authority.as_deref());
            Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), tcp))
        }
    };
    let mut reader = BufReader::new(stream);
    loop {
        if reader.fill_buf().ok()?.is_empty() || shared.stopped.load(Ordering::Relaxed) || shared.races() {
            return None;
        }
        let mut call = head(&mut reader, number)?;
        if call.bytes > shared.rules.largest && shared.rules.slams {
            shared.calls.lock().unwrap().push(call);
            say(&mut reader, 413, "Connection: close\r\n", "")?;
            return None;
        }
        let is_last = call.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let mut body = vec![0; call.bytes];
        reader.read_exact(&mut body).ok()?;
        let fault = shared.next_fault();
        let answer = match fault {
            Fault::Status(..) | Fault::RetryAfter(..) | Fault::Hang | Fault::Close | Fault::HalfClose => None,
            _ => Some(bulk::take(shared, &mut call, &body, &fault)),
        };
        shared.calls.lock().unwrap().push(call);
        let (status, text) = answer.unwrap_or_default();
        match fault {
            Fault::None if status == 0 => return None,
            Fault::Status(status, text) => say(&mut reader, status, "", text)?,
            Fault::RetryAfter(status, when) => say(&mut reader, status, &format!("Retry-After: {when}\r\n"), "")?,
            Fault::Slow(delay) => {
                thread::sleep(delay);
                say(&mut reader, status, "", &text)?;
            }
            Fault::Hang => return wait_for_the_end(&mut reader),
            Fault::HalfClose => {
                tcp.shutdown(Shutdown::Write).ok()?;
                return wait_for_the_end(&mut reader);
            }
            Fault::Close | Fault::CloseAfter | Fault::Race => return None,
            Fault::Garbage => return write(&mut reader, b"\x16\x03\x01 this is no HTTP\r\n\r\n").and(None),
            Fault::Html => say(&mut reader, 200, "", "<html><title>Welcome to nginx!</title></html>")?,
            Fault::Endless => {
                write(
                    &mut reader,
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"took\":1,\"errors\":true,\"x\":\"",
                )?;
                while write(&mut reader, &[b'x'; 16 * 1024]).is_some() {}
                return None;
            }
            Fault::Cut(most) => {
                let whole = answered(status, "", &text, text.len());
                let head = whole.len() - text.len();
                return write(&mut reader, &whole.as_bytes()[..(head + most).min(whole.len() - 1)]).and(None);
            }
            Fault::Length(length) => {
                write(&mut reader, answered(status, "", &text, length).as_bytes())?;
                return None;
            }
            Fault::None | Fault::Items(..) | Fault::Fewer(_) => say(&mut reader, status, "", &text)?,
        }
        if is_last {
            return None;
        }
    }
}

fn head(reader: &mut Reader<'_>, connection: usize) -> Option<Call> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let bytes = length.map_or(Some(0), |(_, length)| length.parse().ok())?;
    Some(Call { method, path, headers, bytes, documents: 0, connection, at: Instant::now() })
}

fn wait_for_the_end(reader: &mut Reader<'_>) -> Option<()> {
    let _ = reader.read(&mut [0; 1]);
    None
}

fn say(reader: &mut Reader<'_>, status: u16, headers: &str, body: &str) -> Option<()> {
    write(reader, answered(status, headers, body, body.len()).as_bytes())
}

fn write(reader: &mut Reader<'_>, bytes: &[u8]) -> Option<()> {
    let stream = reader.get_mut();
    stream.write_all(bytes).and_then(|()| stream.flush()).ok()
}

fn answered(status: u16, headers: &str, body: &str, length: usize) -> String {
    let kind = "Content-Type: application/json; charset=UTF-8\r\n";
    format!("HTTP/1.1 {status} Said\r\n{kind}{headers}Content-Length: {length}\r\n\r\n{body}")
}
