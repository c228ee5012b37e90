//! A web server that remembers who called and answers as badly as it is told to.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{PATIENCE, eventually};

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The body as it came.
    pub bytes: Vec<u8>,
    pub at: Instant,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What it is told to answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status and a body.
    Status(u16, String),
    /// A status and one header, such as `Retry-After: 1`.
    Header(u16, &'static str, String),
    /// The same, but later.
    After(Duration, Box<Reply>),
    /// 302 to this URL.
    Redirect(String),
    /// Nothing, with the connection kept open until the caller gives up.
    Hang,
    /// Bytes that are no HTTP.
    Garbage,
    /// 200 and a body that never ends.
    Endless,
    /// Closes without a word.
    Close,
}

impl Reply {
    pub fn ok() -> Self {
        Self::Status(200, String::new())
    }
}

/// Listens on 127.0.0.1 until it is dropped.
#[derive(Debug)]
pub struct HookServer {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    /// The last one is for all that come after.
    script: Mutex<VecDeque<Reply>>,
    stopped: Mutex<bool>,
}

impl HookServer {
    /// Answers 200 to everything, until told otherwise.
    pub fn start() -> Self {
        Self::answering([Reply::ok()])
    }

    pub fn answering(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            script: Mutex::new(script.into_iter().collect()),
            stopped: Mutex::new(false),
        });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *theirs.stopped.lock().unwrap() {
                    return;
                }
                let theirs = Arc::clone(&theirs);
                // What goes wrong on a connection is what the test is about.
                thread::spawn(move || theirs.serve(&stream));
            }
        });
        Self { addr, shared }
    }

    /// From now on answers these in turn, and the last one for ever.
    pub fn answer(&self, script: impl IntoIterator<Item = Reply>) {
        *self.shared.script.lock().unwrap() = script.into_iter().collect();
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until so many requests have come, and returns all there are.
    pub fn wait_requests(&self, count: usize) -> Vec<Request> {
        let came = eventually(PATIENCE, || self.requests().len() >= count);
        let requests = self.requests();
        assert!(came, "expected {count} requests, got {requests:#?}");
        requests
    }
}

impl Drop for HookServer {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap() = true;
        // One more caller, so that accept comes back and the port is given up.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        // Reading on from here keeps what was read too far.
        let mut reader = BufReader::new(stream);
        loop {
            let request = read(&mut reader)?;
            let last = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            self.requests.lock().unwrap().push(request);
            let mut script = self.script.lock().unwrap();
            let reply = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
            drop(script);
            send(stream, reply.unwrap_or_else(Reply::ok))?;
            if last {
                return None;
            }
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
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
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap_or(0))];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8_lossy(&body).into_owned();
    Some(Request { method, path, headers, body: text, bytes: body, at: Instant::now() })
}

/// None when the connection is done for.
fn send(mut stream: &TcpStream, reply: Reply) -> Option<()> {
    let text = match reply {
        Reply::After(delay, reply) => {
            thread::sleep(delay);
            return send(stream, *reply);
        }
        Reply::Hang => {
            // Comes back when the caller closes.
            let _ = stream.read(&mut [0; 1]);
            return None;
        }
        Reply::Close => return None,
        Reply::Garbage => {
            let _ = stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n");
            return None;
        }
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while stream.write_all(&[b'x'; 16 * 1024]).is_ok() {}
            return None;
        }
        Reply::Redirect(to) => answer(302, &format!("Location: {to}\r\n"), ""),
        Reply::Header(status, name, value) => answer(status, &format!("{name}: {value}\r\n"), ""),
        Reply::Status(status, body) => answer(status, "", &body),
    };
    stream.write_all(text.as_bytes()).ok()
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn it_answers_by_the_script_and_remembers_who_called() {
        let moved = Reply::Redirect("/elsewhere".into());
        let slow = Reply::After(Duration::from_millis(50), Box::new(Reply::Status(201, "made".into())));
        let hook = HookServer::answering([Reply::Garbage, Reply::Close, moved, slow]);
        assert!(http::get(hook.addr(), "/1").unwrap_err().to_string().contains("not an HTTP answer"));
        assert!(http::get(hook.addr(), "/2").is_err());
        assert_eq!(http::get(hook.addr(), "/3").unwrap().header("location"), Some("/elsewhere"));
        for _ in 0..2 {
            let made = http::post(hook.addr(), "/4?x", "body").unwrap();
            assert_eq!((made.status, made.body.as_str()), (201, "made"));
        }
        let requests = hook.wait_requests(5);
        let last = requests.last().unwrap();
        assert_eq!((last.method.as_str(), last.path.as_str(), last.body.as_str()), ("POST", "/4?x", "body"));
        assert_eq!(last.header("content-length"), Some("4"));
    }
}
