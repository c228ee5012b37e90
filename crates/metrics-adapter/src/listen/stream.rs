//! TCP and unix streams: lines of any number of connections, all on one thread.
//!
//! A connection has memory of its own only for the beginning of a line whose end has not come.

use std::{io, os::unix::net::UnixListener as StdUnixListener, sync::Arc, time::Duration};

use common::Failure;
use memchr::{memchr, memrchr};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
};

use super::{Closing, closed, file};
use crate::{shared::Shared, store::Input};

/// A longer line is no line. As much as a packet can have.
const LONGEST_LINE: usize = 65_535;
const READ: usize = 64 * 1024;
/// More than an app and its threads need; whoever opens more has a leak.
const MOST_CONNECTIONS: usize = 4096;

pub(super) enum Acceptor {
    Tcp(std::net::TcpListener),
    Unix(file::Bound<StdUnixListener>),
}

enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read(buffer),
        }
    }
}

enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "it removes the file when it goes")] file::Leftover),
}

impl Listening {
    fn new(acceptor: Acceptor) -> io::Result<Self> {
        Ok(match acceptor {
            Acceptor::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Acceptor::Unix(bound) => Self::Unix(UnixListener::from_std(bound.socket)?, bound.path),
        })
    }

    async fn accept(&self) -> io::Result<Connection> {
        Ok(match self {
            Self::Tcp(listener) => Connection::Tcp(listener.accept().await?.0),
            Self::Unix(listener, _) => Connection::Unix(listener.accept().await?.0),
        })
    }
}

pub(super) async fn accept(
    acceptors: Vec<(Input, Acceptor)>,
    shared: Arc<Shared>,
    closing: Closing,
) -> Result<(), Failure> {
    let mut listeners = JoinSet::new();
    for (input, acceptor) in acceptors {
        let listener = Listening::new(acceptor).map_err(|error| Failure::bug(format!("stream socket: {error}")))?;
        listeners.spawn(serve(listener, input, Arc::clone(&shared), closing.clone()));
    }
    while let Some(ended) = listeners.join_next().await {
        ended.map_err(|error| Failure::bug(format!("a listener of streams: {error}")))?;
    }
    Ok(())
}

async fn serve(listener: Listening, input: Input, shared: Arc<Shared>, mut closing: Closing) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => accepted,
            Some(_) = connections.join_next() => continue,
            () = closed(&mut closing) => return,
        };
        match accepted {
            Ok(connection) => {
                shared.traffic.connections.add(1);
                connections.spawn(read(connection, input, Arc::clone(&shared)));
            }
            // Out of descriptors, most likely: asking again at once would only burn CPU.
            Err(_) => {
                shared.traffic.connection_errors.add(1);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn read(connection: Connection, input: Input, shared: Arc<Shared>) {
    let mut lines = Lines { input, ..Lines::default() };
    loop {
        let outcome = match connection.readable().await {
            Ok(()) => lines.read(&connection, &shared),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => return lines.end(&shared),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                shared.traffic.connection_errors.add(1);
                return lines.end(&shared);
            }
        }
    }
}

/// The pieces of a stream, put together to lines.
#[derive(Default)]
struct Lines {
    /// The beginning of a line.
    begun: Vec<u8>,
    /// The line that is coming is too long, and its end is waited for.
    skipping: bool,
    input: Input,
}

impl Lines {
    /// False at the end of the stream.
    fn read(&mut self, connection: &Connection, shared: &Shared) -> io::Result<bool> {
        thread_local! {
            static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; READ]);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let read = connection.try_read(buffer)?;
            self.take(&buffer[..read], shared);
            Ok(read > 0)
        })
    }

    fn take(&mut self, mut piece: &[u8], shared: &Shared) {
        if self.skipping || !self.begun.is_empty() {
            let Some(end) = memchr(b'\n', piece) else { return self.keep(piece, shared) };
            self.keep(&piece[..end], shared);
            piece = &piece[end + 1..];
            if !std::mem::take(&mut self.skipping) {
                shared.take(self.input, [std::mem::take(&mut self.begun).as_slice()].into_iter());
            }
        }
        if let Some(end) = memrchr(b'\n', piece) {
            shared.take(self.input, [&piece[..end]].into_iter());
            piece = &piece[end + 1..];
        }
        self.keep(piece, shared);
    }

    fn keep(&mut self, piece: &[u8], shared: &Shared) {
        if self.skipping {
            return;
        }
        if self.begun.len() + piece.len() > LONGEST_LINE {
            shared.traffic.long_lines.add(1);
            self.skipping = true;
            self.begun = Vec::new();
        } else if !piece.is_empty() {
            self.begun.extend_from_slice(piece);
        }
    }

    /// The last line need not have an end.
    fn end(&mut self, shared: &Shared) {
        if !self.begun.is_empty() {
            shared.take(self.input, [std::mem::take(&mut self.begun).as_slice()].into_iter());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Rules, Store, limits::Limits};

    fn shared() -> Arc<Shared> {
        Shared::new(
            Store::new(Rules::default(), Limits::of_container(None), crate::store::Reserved::default()),
            Vec::new(),
            Default::default(),
        )
    }

    #[test]
    fn lines_are_whole_wherever_a_stream_is_cut() {
        let text = b"a:1|c\nb:2|g\r\n\nc:3|ms\nlast:1|c";
        for cut in 1..text.len() {
            let (shared, mut lines) = (shared(), Lines::default());
            text.chunks(cut).for_each(|piece| lines.take(piece, &shared));
            lines.end(&shared);
            let store = shared.store.lock();
            assert_eq!((store.counts().lines, store.size().series), (5, 4), "cut every {cut} bytes");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let (shared, mut lines) = (shared(), Lines::default());
        (0..100).for_each(|_| lines.take(&[b'x'; 10_000], &shared));
        assert!(lines.begun.capacity() == 0 && lines.skipping);
        lines.take(b"x\na:1|c\n", &shared);
        assert_eq!((shared.traffic.long_lines.get(), shared.store.lock().counts().lines), (1, 1));
    }
}
