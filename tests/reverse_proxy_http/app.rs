//! An app that reads HTTP/1.1 as strictly as it can be read and writes down what it got: what it does not take for granted
//! must never reach it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A whole request.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// As they came, with the empty line.
    pub(crate) trailers: String,
    /// On its connection, from 0.
    pub(crate) number: usize,
}

impl Got {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// `METHOD HOST TARGET BODY`.
    pub(crate) fn told(&self) -> String {
        let (method, host) = (self.head.split(' ').next().unwrap_or_default(), self.field("host").unwrap_or("-"));
        format!("{method} {host} {} {}", self.target(), String::from_utf8_lossy(&self.body)).trim_end().to_owned()
    }
}

/// Whether the connection goes on.
pub(crate) type Goes = io::Result<bool>;
type Answer = dyn Fn(&Got, &mut BufReader<TcpStream>) -> Goes + Send + Sync;

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) port: u16,
    /// Requests that were whole and well-formed.
    pub(crate) got: Arc<Mutex<Vec<Got>>>,
    /// What was not.
    pub(crate) problems: Arc<Mutex<Vec<String>>>,
    /// Bytes of all connections.
    pub(crate) bytes: Arc<AtomicUsize>,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) keeps: Arc<std::sync::atomic::AtomicBool>,
}

impl App {
    /// Answers each request with its method and target.
    pub(crate) fn echo() -> Self {
        Self::start(|got, stream| {
            let body = format!("{} {}", got.head.split(' ').next().unwrap_or_default(), got.target());
            let shown = if got.head.starts_with("HEAD ") { "" } else { &body };
            write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{shown}", body.len())?;
            Ok(true)
        })
    }

    pub(crate) fn start(answer: impl Fn(&Got, &mut BufReader<TcpStream>) -> Goes + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    pub(crate) fn on(
        listener: TcpListener,
        answer: impl Fn(&Got, &mut BufReader<TcpStream>) -> Goes + Send + Sync + 'static,
    ) -> Self {
        let app = Self {
            port: listener.local_addr().unwrap().port(),
            got: Arc::default(),
            problems: Arc::default(),
            bytes: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
            keeps: Arc::new(true.into()),
        };
        let (own, answer) = (app.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), own, answer) = (stream, own.clone(), Arc::clone(&answer)) else { return };
                own.connections.fetch_add(1, Ordering::SeqCst);
                own.open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let _ = own.converse(stream, &*answer);
                    own.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        app
    }

    pub(crate) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(Got::told).collect()
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.got.lock().unwrap().clear();
        self.problems.lock().unwrap().clear();
        self.bytes.store(0, Ordering::SeqCst);
    }

    fn converse(&self, stream: TcpStream, answer: &Answer) -> io::Result<()> {
        let mut stream = BufReader::with_capacity(64 * 1024, stream);
        for number in 0.. {
            let Some(head) = self.head(&mut stream)? else { break };
            let body = match framing(&head) {
                Ok(framing) => self.body(&mut stream, framing),
                Err(problem) => Err(invalid(problem)),
            };
            let (body, trailers) = match body {
                Ok(both) => both,
                Err(error) => {
                    // Cut short is what must happen to a request that turns out to be broken.
                    if error.kind() == io::ErrorKind::InvalidData {
                        self.problems.lock().unwrap().push(format!("{error}: {head:?}"));
                    }
                    return Ok(());
                }
            };
            let got = Got { head, body, trailers, number };
            if self.keeps.load(Ordering::Relaxed) {
                self.got.lock().unwrap().push(got.clone());
            }
            if !answer(&got, &mut stream)? {
                break;
            }
        }
        Ok(())
    }

    fn head(&self, stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = stream.by_ref().take(256 * 1024).read_until(b'\n', &mut head)?;
            self.bytes.fetch_add(read, Ordering::SeqCst);
            if read == 0 || head.len() > 256 * 1024 {
                return Ok(None);
            }
        }
        Ok(Some(head.into_iter().map(char::from).collect()))
    }

    fn body(&self, stream: &mut BufReader<TcpStream>, framing: Framing) -> io::Result<(Vec<u8>, String)> {
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        match framing {
            Framing::Length(length) => {
                stream.by_ref().take(length).read_to_end(&mut body)?;
                if (body.len() as u64) < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Framing::Chunked => loop {
                let mut line = String::new();
                stream.by_ref().take(1024).read_line(&mut line)?;
                if !line.ends_with('\n') {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let digits = line.strip_suffix("\r\n").filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let size = digits.and_then(|text| u64::from_str_radix(text, 16).ok());
                let size = size.ok_or_else(|| invalid(format!("chunk size {line:?}")))?;
                if size == 0 {
                    while trailers != b"\r\n" && !trailers.ends_with(b"\r\n\r\n") {
                        if stream.read_until(b'\n', &mut trailers)? == 0 {
                            return Err(io::ErrorKind::UnexpectedEof.into());
                        }
                    }
                    break;
                }
                let before = body.len() as u64;
                stream.by_ref().take(size).read_to_end(&mut body)?;
                let mut end = [0; 2];
                if (body.len() as u64) < before + size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                stream.read_exact(&mut end)?;
                if end != *b"\r\n" {
                    return Err(invalid("chunk end".to_owned()));
                }
            },
        }
        self.bytes.fetch_add(body.len(), Ordering::SeqCst);
        Ok((body, String::from_utf8_lossy(&trailers).into_owned()))
    }
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[derive(Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked,
}

/// What must hold of any head that a proxy writes.
fn framing(head: &str) -> Result<Framing, String> {
    let lines: Vec<&str> = head.strip_suffix("\r\n\r\n").unwrap_or(head).split("\r\n").collect();
    if lines.iter().any(|line| line.contains(['\r', '\n', '\0'])) {
        return Err("a bare CR or LF or a NUL".to_owned());
    }
    let words: Vec<&str> = lines[0].split(' ').collect();
    if words.len() != 3 || !words[2].starts_with("HTTP/1.") || words[1].bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err("the first line".to_owned());
    }
    let (mut hosts, mut framings) = (0, Vec::new());
    for line in &lines[1..] {
        let (name, value) = line.split_once(':').ok_or("a line without a colon")?;
        if name.is_empty() || name.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
            return Err(format!("the name {name:?}"));
        }
        let value = value.trim();
        if name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case("content-length") {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            let length = value.parse().ok().filter(|_| digits);
            framings.push(Framing::Length(length.ok_or_else(|| format!("the length {value:?}"))?));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(format!("the coding {value:?}"));
            }
            framings.push(Framing::Chunked);
        }
    }
    if hosts != 1 {
        return Err(format!("{hosts} hosts"));
    }
    match (framings.pop(), framings.pop()) {
        (None, _) => Ok(Framing::Length(0)),
        (Some(framing), None) => Ok(framing),
        _ => Err("two framings".to_owned()),
    }
}
