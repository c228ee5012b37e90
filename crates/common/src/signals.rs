//! Signals as something a task can wait for; the second request to stop works even when no task runs any more.

use std::{
    io,
    os::unix::net::UnixStream as StdStream,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1},
    flag, low_level,
};
use tokio::{io::AsyncReadExt, net::UnixStream};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Stop(&'static str),
    Reload,
    ChildEnded,
}

pub(crate) struct Signals {
    term: UnixStream,
    int: UnixStream,
    /// What images of NGINX have as their STOPSIGNAL.
    quit: UnixStream,
    hup: UnixStream,
    /// Only as PID 1: nobody else is handed orphans.
    child: Option<UnixStream>,
}

impl Signals {
    /// Must be called inside the runtime.
    pub(crate) fn register() -> io::Result<Self> {
        let told_to_stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGQUIT] {
            // Order matters: the exit looks at the flag before the first signal sets it. The handler itself exits, so a
            // second signal needs no thread of ours to be alive (measured: 1 ms, against 7 s through a task).
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&told_to_stop))?;
            flag::register(signal, Arc::clone(&told_to_stop))?;
        }
        // Who rotates logs asks for them to be opened again; it must not be the end of us.
        flag::register(SIGUSR1, Arc::default())?;
        Ok(Self {
            term: pipe(SIGTERM)?,
            int: pipe(SIGINT)?,
            quit: pipe(SIGQUIT)?,
            hup: pipe(SIGHUP)?,
            child: if is_init() { Some(pipe(SIGCHLD)?) } else { None },
        })
    }

    /// The next request to stop. Other signals stay where they are until somebody asks for them.
    pub(crate) async fn stop(&mut self) -> &'static str {
        tokio::select! {
            () = arrived(Some(&mut self.term)) => "SIGTERM",
            () = arrived(Some(&mut self.int)) => "SIGINT",
            () = arrived(Some(&mut self.quit)) => "SIGQUIT",
        }
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            () = arrived(Some(&mut self.term)) => Signal::Stop("SIGTERM"),
            () = arrived(Some(&mut self.int)) => Signal::Stop("SIGINT"),
            () = arrived(Some(&mut self.quit)) => Signal::Stop("SIGQUIT"),
            () = arrived(Some(&mut self.hup)) => Signal::Reload,
            () = arrived(self.child.as_mut()) => Signal::ChildEnded,
        }
    }
}

/// Each byte stands for a signal; several at once are one.
async fn arrived(pipe: Option<&mut UnixStream>) {
    match pipe {
        Some(pipe) => drop(pipe.read(&mut [0; 64]).await),
        None => std::future::pending().await,
    }
}

/// Whether this process is PID 1 of its container.
pub(crate) fn is_init() -> bool {
    std::process::id() == 1
}

fn pipe(signal: i32) -> io::Result<UnixStream> {
    let (read, write) = StdStream::pair()?;
    low_level::pipe::register(signal, write)?;
    read.set_nonblocking(true)?;
    UnixStream::from_std(read)
}
