//! What connections weigh that do nothing, and those that wait for the app; whether others are served beside them; and how soon
//! a proxy takes the first one.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use super::{
    Rig, handshakes,
    peers::{Peer, Running, Setup},
    upstream::HELD,
};
use crate::{
    procfs::{self, Memory},
    stats::{mib, millis, percentile},
    table::Table,
};

const IDLE: u32 = 10_000;
const IDLE_TLS: u32 = 1_500;
const IN_FLIGHT: u32 = 1_000;
const STARTS: u16 = 11;
/// What a proxy does once its clients have gone quiet, it has done by then.
const SETTLED: Duration = Duration::from_secs(3);
/// Memory has to be given back by then.
const GIVEN_BACK: Duration = Duration::from_secs(5);

pub(super) fn run(rig: &Rig) -> Result<(), String> {
    let mut idle = Table::new(&[
        "",
        "exec to accept ms p50",
        "idle RSS MiB",
        "anonymous",
        "RSS with 10,000 idle connections",
        "anonymous KiB for each",
        "with TLS",
        "a request beside 10,000, us p50",
        "p99",
    ]);
    let mut busy = Table::new(&["", "1,000 in flight, anonymous MiB", "5 s after all have gone"]);
    for peer in &rig.peers {
        eprintln!("bench: memory and start of {}", peer.name);
        let weighed = weigh(rig, peer).map_err(|error| format!("{}: {error}", peer.name))?;
        idle.row(weighed.idle());
        busy.row(weighed.busy());
    }
    idle.print("Memory of all its processes together");
    busy.print("The same of a fresh process, with requests that wait for the app");
    Ok(())
}

struct Weighed {
    name: &'static str,
    ready: Vec<Duration>,
    alone: Memory,
    with_idle: Memory,
    beside: Vec<Duration>,
    before_tls: Memory,
    with_tls: Memory,
    in_flight: Memory,
    after: Memory,
}

fn weigh(rig: &Rig, peer: &Peer) -> Result<Weighed, String> {
    let start = |nth: u16| Running::start(peer, Setup::Tuned, 20_000 + nth * 10, rig.upstream, rig.scratch.path());
    let ready = (0..STARTS).map(|nth| Ok(start(nth)?.ready_after)).collect::<Result<_, String>>()?;
    let running = start(STARTS)?;
    let memory = || procfs::memory(running.pid());
    let problem = |error: io::Error| error.to_string();
    let port = running.ports.plain;
    sleep(SETTLED);
    let alone = memory();
    let connections = (0..IDLE).map(|_| used_once(connect(port)?)).collect::<io::Result<Vec<_>>>().map_err(problem)?;
    sleep(SETTLED);
    let with_idle = memory();
    let beside = (0..100).map(|_| {
        let begun = Instant::now();
        used_once(connect(port)?).map(|_| begun.elapsed())
    });
    let beside = beside.collect::<io::Result<_>>().map_err(problem)?;
    drop(connections);
    sleep(SETTLED);
    let before_tls = memory();
    let connections = secret(running.ports.tls, &rig.scratch.path().join("ca.crt"))?;
    sleep(SETTLED);
    let with_tls = memory();
    drop(connections);
    drop(running);
    let (in_flight, after) = waiting(&start(STARTS + 1)?).map_err(problem)?;
    Ok(Weighed { name: peer.name, ready, alone, with_idle, beside, before_tls, with_tls, in_flight, after })
}

/// While many requests wait for the app, and when all are through.
fn waiting(running: &Running) -> io::Result<(Memory, Memory)> {
    let connections = (0..IN_FLIGHT).map(|_| {
        let mut stream = connect(running.ports.plain)?;
        stream.write_all(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n").map(|()| stream)
    });
    let connections: Vec<_> = connections.collect::<io::Result<_>>()?;
    sleep(HELD / 2);
    let in_flight = procfs::memory(running.pid());
    for connection in connections {
        answered(connection)?;
    }
    sleep(GIVEN_BACK);
    Ok((in_flight, procfs::memory(running.pid())))
}

impl Weighed {
    fn idle(&self) -> Vec<String> {
        let each = |with: Memory, without: Memory, count: u32| {
            format!("{:.1}", with.anonymous.saturating_sub(without.anonymous) as f64 / f64::from(count))
        };
        let micros =
            |percent| percentile(&self.beside, percent).map_or("-".into(), |took| took.as_micros().to_string());
        vec![
            self.name.into(),
            percentile(&self.ready, 50).map_or("-".into(), |ready| format!("{:.1}", millis(ready))),
            format!("{:.1}", mib(self.alone.rss)),
            format!("{:.1}", mib(self.alone.anonymous)),
            format!("{:.1}", mib(self.with_idle.rss)),
            each(self.with_idle, self.alone, IDLE),
            each(self.with_tls, self.before_tls, IDLE_TLS),
            micros(50),
            micros(99),
        ]
    }

    fn busy(&self) -> Vec<String> {
        let anonymous = |memory: Memory| format!("{:.1}", mib(memory.anonymous));
        vec![self.name.into(), anonymous(self.in_flight), anonymous(self.after)]
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect(("127.0.0.1", port))
}

/// With one request behind it, as most connections that are idle.
fn used_once<S: Read + Write>(mut stream: S) -> io::Result<S> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    answered(stream)
}

fn answered<S: Read>(mut stream: S) -> io::Result<S> {
    let mut answer = Vec::new();
    let mut block = [0; 1024];
    while !answer.ends_with(b"x") || answer.len() < 128 + 80 {
        match stream.read(&mut block)? {
            0 => return Err(io::Error::other("closed instead of answered")),
            count => answer.extend_from_slice(&block[..count]),
        }
    }
    Ok(stream)
}

fn secret(port: u16, ca: &Path) -> Result<Vec<StreamOwned<ClientConnection, TcpStream>>, String> {
    let config: Arc<ClientConfig> = Arc::new(handshakes::config(ca, false)?);
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    let open = |_| {
        let client = ClientConnection::new(Arc::clone(&config), name.clone()).map_err(|error| error.to_string())?;
        let stream = connect(port).map_err(|error| error.to_string())?;
        used_once(StreamOwned::new(client, stream)).map_err(|error| error.to_string())
    };
    (0..IDLE_TLS).map(open).collect()
}
