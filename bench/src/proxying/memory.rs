//! What connections weigh that do nothing, and how soon a proxy takes the first one.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread::sleep,
    time::Duration,
};

use super::{
    Rig,
    peers::{Running, Setup},
};
use crate::{
    procfs,
    stats::{mib, millis, percentile},
    table::Table,
};

const CONNECTIONS: u32 = 5000;
const STARTS: u16 = 11;

pub(super) fn run(rig: &Rig) -> Result<(), String> {
    let mut table = Table::new(&[
        "",
        "idle RSS MiB",
        "anonymous",
        "RSS with 5,000 idle connections",
        "anonymous KiB per connection",
        "anonymous 5 s after they are closed",
        "exec to accept ms p50",
    ]);
    for peer in &rig.peers {
        eprintln!("bench: memory and start of {}", peer.name);
        let start = |nth: u16| Running::start(peer, Setup::Tuned, 20_000 + nth * 10, rig.upstream, rig.scratch.path());
        let mut ready = Vec::new();
        for nth in 0..STARTS {
            ready.push(start(nth)?.ready_after);
        }
        let running = start(STARTS)?;
        sleep(Duration::from_secs(3));
        let idle = procfs::memory(running.pid());
        let connections: Result<Vec<_>, _> = (0..CONNECTIONS).map(|_| used_once(running.ports.plain)).collect();
        let connections = connections.map_err(|error| format!("{}: {error}", peer.name))?;
        sleep(Duration::from_secs(6));
        let held = procfs::memory(running.pid());
        drop(connections);
        sleep(Duration::from_secs(5));
        let after = procfs::memory(running.pid());
        let each = held.anonymous.saturating_sub(idle.anonymous) as f64 / f64::from(CONNECTIONS);
        table.row(vec![
            peer.name.into(),
            format!("{:.1}", mib(idle.rss)),
            format!("{:.1}", mib(idle.anonymous)),
            format!("{:.1}", mib(held.rss)),
            format!("{each:.1}"),
            format!("{:.1}", mib(after.anonymous)),
            percentile(&ready, 50).map_or("-".into(), |ready| format!("{:.1}", millis(ready))),
        ]);
    }
    table.print("Memory of all its processes together");
    Ok(())
}

fn used_once(port: u16) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut block = [0; 1024];
    while !answer.ends_with(b"x") || answer.len() < 128 + 80 {
        match stream.read(&mut block)? {
            0 => return Err(std::io::Error::other("closed instead of answered")),
            count => answer.extend_from_slice(&block[..count]),
        }
    }
    Ok(stream)
}
