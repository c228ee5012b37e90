//! Where lines come in: sockets of four kinds, several of each.
//!
//! ```text
//!  udp.rs       a thread for each: batches of packets, and a nap between two of them
//!  unixgram.rs  the same without naps: the kernel queues ten packets, and then the app waits
//!  stream.rs    TCP and unix streams, all on one thread
//!  batch.rs     many packets with one system call      file.rs  socket files, also those that a crash left behind
//! ```

mod batch;
mod drops;
mod file;
mod stream;
mod udp;
mod unixgram;

use std::{io, path::Path, sync::Arc};

use common::{Failure, Sidecar};
use tokio::sync::watch;
use values::ListenAddr;

pub use drops::Drops;

use crate::{config::SocketFile, shared::Shared, store::Input};

/// One place where lines come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    Udp(ListenAddr),
    Tcp(ListenAddr),
    UnixDatagram(SocketFile),
    UnixStream(SocketFile),
}

/// Told when the last reader has been: listeners work until then, longer than anything else.
pub type Closing = watch::Receiver<bool>;

/// Sockets that are bound, and nothing reads from them yet.
pub struct Bound {
    udp: Vec<(Input, std::net::UdpSocket)>,
    unixgram: Vec<(Input, file::Bound<std::os::unix::net::UnixDatagram>)>,
    streams: Vec<(Input, stream::Acceptor)>,
    pub drops: Drops,
}

/// Binds all, and says of all that cannot be bound why.
pub fn bind(listeners: &[Listener], read_buffer: Option<usize>) -> Result<Bound, Failure> {
    let mut bound = Bound { udp: Vec::new(), unixgram: Vec::new(), streams: Vec::new(), drops: Drops::default() };
    let mut problems = Vec::new();
    for (input, listener) in (0..).zip(listeners) {
        let (what, place) = listener.described();
        match bound.add(input, listener, read_buffer) {
            Ok(addr) => tracing::info!(what, addr, "listening"),
            Err(error) => problems.push(format!("cannot listen on {place} ({what}): {}", reason(&error))),
        }
    }
    if problems.is_empty() { Ok(bound) } else { Err(Failure { exit: common::Exit::Config, problems }) }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there already".into(),
        io::ErrorKind::PermissionDenied => "not permitted".into(),
        _ => error.to_string(),
    }
}

impl Listener {
    fn described(&self) -> (&'static str, String) {
        match self {
            Self::Udp(addr) => ("statsd udp", addr.to_string()),
            Self::Tcp(addr) => ("statsd tcp", addr.to_string()),
            Self::UnixDatagram(file) => ("statsd unixgram", shown(&file.path)),
            Self::UnixStream(file) => ("statsd unix stream", shown(&file.path)),
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

impl Bound {
    fn add(&mut self, input: Input, listener: &Listener, read_buffer: Option<usize>) -> io::Result<String> {
        match listener {
            Listener::Udp(addr) => {
                let socket = udp::bind(addr, read_buffer)?;
                let addr = socket.local_addr()?.to_string();
                self.drops.watch(&socket, addr.clone());
                self.udp.push((input, socket));
                Ok(addr)
            }
            Listener::Tcp(addr) => {
                let socket = addr.bind_tcp()?;
                let addr = socket.local_addr()?.to_string();
                self.streams.push((input, stream::Acceptor::Tcp(socket)));
                Ok(addr)
            }
            Listener::UnixDatagram(file) => {
                self.unixgram.push((input, file::datagram(file, read_buffer)?));
                Ok(shown(&file.path))
            }
            Listener::UnixStream(file) => {
                self.streams.push((input, stream::Acceptor::Unix(file::stream(file)?)));
                Ok(shown(&file.path))
            }
        }
    }

    /// Reads from all of them until `closing` says that nobody will ask any more.
    pub fn start(self, sidecar: &mut Sidecar, shared: &Arc<Shared>, closing: &Closing) -> Result<(), Failure> {
        for (input, socket) in self.udp {
            let (shared, closing) = (Arc::clone(shared), closing.clone());
            sidecar.spawn_worker("udp", move || udp::read(socket, input, shared, closing))?;
        }
        for (input, socket) in self.unixgram {
            let (shared, closing) = (Arc::clone(shared), closing.clone());
            sidecar.spawn_worker("unixgram", move || unixgram::read(socket, input, shared, closing))?;
        }
        if !self.streams.is_empty() {
            let (shared, closing) = (Arc::clone(shared), closing.clone());
            sidecar.spawn_worker("streams", move || stream::accept(self.streams, shared, closing))?;
        }
        Ok(())
    }
}

/// Waits until there is nothing to do any more.
pub async fn closed(closing: &mut Closing) {
    // An error means that whoever would say so is gone, and everything else with it.
    let _ = closing.wait_for(|closed| *closed).await;
}
