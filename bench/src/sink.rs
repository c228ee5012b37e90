//! A receiver that costs next to nothing: takes every request, says that all of it arrived, and forgets it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What a bulk request is answered, and whatever else is fine with.
const ANSWER: &str = "{\"took\":0,\"errors\":false,\"items\":[]}";

/// Larger bodies are not looked into.
const SMALL: u64 = 16 << 10;

/// Listens until the process ends.
pub(crate) struct Sink {
    pub(crate) addr: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// How late marked lines were.
    delays: Mutex<Vec<Duration>>,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Sink {
    /// Stands before the time at which a line was written, in nanoseconds since 1970.
    pub(crate) const MARK: &str = "bench-at-";

    pub(crate) fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let (addr, counts) = (listener.local_addr()?, Arc::<Counts>::default());
        let theirs = Arc::clone(&counts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let theirs = Arc::clone(&theirs);
                // A connection that breaks is the caller's affair.
                thread::spawn(move || serve(stream, &theirs));
            }
        });
        Ok(Self { addr, counts })
    }

    pub(crate) fn delays(&self) -> Vec<Duration> {
        self.counts.delays.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests it has taken, and how many bytes their bodies had.
    pub(crate) fn taken(&self) -> (u64, u64) {
        (self.counts.requests.load(Ordering::Relaxed), self.counts.bytes.load(Ordering::Relaxed))
    }
}

/// By hand, until it is interrupted: says what it has taken when a line comes on standard input.
pub(crate) fn run(port: u16) -> Result<(), String> {
    let sink = Sink::start(port).map_err(|error| format!("port {port}: {error}"))?;
    println!("listening on {}; Enter says what it has taken", sink.addr);
    for _ in io::stdin().lines() {
        let (requests, bytes) = sink.taken();
        println!("{requests} requests, {bytes} bytes");
    }
    Ok(())
}

impl Counts {
    fn note(&self, body: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let written = body.split(Sink::MARK).skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok());
        let late = written.map(|nanos| now.saturating_sub(Duration::from_nanos(nanos)));
        self.delays.lock().unwrap_or_else(PoisonError::into_inner).extend(late);
    }
}

fn serve(stream: TcpStream, counts: &Counts) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 << 10, stream);
    while let Some(length) = head(&mut reader)? {
        let mut left = length;
        if length <= SMALL {
            let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
            reader.read_exact(&mut body)?;
            counts.note(&String::from_utf8_lossy(&body));
            left = 0;
        }
        while left > 0 {
            let here = reader.fill_buf()?.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if here == 0 {
                return Ok(());
            }
            reader.consume(here);
            left -= here as u64;
        }
        counts.requests.fetch_add(1, Ordering::Relaxed);
        counts.bytes.fetch_add(length, Ordering::Relaxed);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{ANSWER}", ANSWER.len());
        reader.get_mut().write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// How long the body is; none at the end of the connection.
pub(crate) fn head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<u64>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.by_ref().take(64 << 10).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            _ if line.trim_end().is_empty() => return Ok(Some(length)),
            _ => {}
        }
    }
}
