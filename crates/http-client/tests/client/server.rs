//! A server that does what a test says, byte by byte: threads and sockets, no HTTP library to be polite for us.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection, whatever it is made of.
pub(crate) trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// Requests as they came: head and body.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) seen: Seen,
}

impl Server {
    /// Plain http on 127.0.0.1. `answer` gets each connection after its request was read; then it is closed.
    pub(crate) fn start(answer: impl Fn(&str, &mut dyn Wire) + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", None, answer)
    }

    /// The same bytes to every request, and the client decides how long a connection lives.
    pub(crate) fn saying(answer: &'static str) -> Self {
        let seen = Seen::default();
        let log = Arc::clone(&seen);
        let server = Self::start(move |request, wire| {
            let mut next = Some(request.to_owned());
            while let Some(request) = next {
                log.lock().unwrap().push(request);
                wire.write_all(answer.as_bytes()).unwrap();
                next = read_request(wire);
            }
        });
        Self { seen, ..server }
    }

    pub(crate) fn listen(
        bind: &str,
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&str, &mut dyn Wire) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(bind).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Seen::default();
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, tls, answer) = (Arc::clone(&log), tls.clone(), Arc::clone(&answer));
                std::thread::spawn(move || match tls {
                    None => serve(stream, &log, &*answer),
                    Some(config) => {
                        serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &log, &*answer);
                    }
                });
            }
        });
        Self { port, seen }
    }

    pub(crate) fn unix(path: &Path, answer: &'static str) -> Seen {
        let listener = UnixListener::bind(path).unwrap();
        let seen = Seen::default();
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, &log, &|_: &str, wire: &mut dyn Wire| {
                    wire.write_all(answer.as_bytes()).unwrap();
                });
            }
        });
        seen
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/-/reload", self.port)
    }

    /// The last request.
    pub(crate) fn last(&self) -> String {
        self.seen.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn serve(mut wire: impl Wire, log: &Seen, answer: &dyn Fn(&str, &mut dyn Wire)) {
    // A handshake that fails ends here.
    let Some(request) = read_request(&mut wire) else { return };
    log.lock().unwrap().push(request.clone());
    answer(&request, &mut wire);
    let _ = wire.flush();
}

pub(crate) fn read_request(wire: &mut dyn Wire) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = wire.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
    }
}

/// Waits until the other side closed; how long that took.
pub(crate) fn until_closed(wire: &mut dyn Wire) -> Duration {
    let begun = Instant::now();
    while wire.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    begun.elapsed()
}

/// A port where nobody listens.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A port that accepts and then says nothing at all, not even a handshake.
pub(crate) fn silent_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let held: Vec<TcpStream> = listener.incoming().map_while(Result::ok).collect();
        drop(held);
    });
    port
}
