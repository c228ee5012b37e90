//! Sockets that are bound: once, kept over reloads, shared by the threads.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    sync::{Mutex, PoisonError},
};

use http_proxy::Socket;
use socket2::{Domain, Protocol, SockRef, Type};
use values::ListenAddr;

/// Connections that wait to be accepted: as many as a burst of clients, and the kernel has its own ceiling.
const BACKLOG: i32 = 1024;

/// Every socket that is bound now.
#[derive(Default)]
pub struct Sockets(Mutex<Vec<(ListenAddr, Master)>>);

enum Master {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Master {
    fn another(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(listener) => Socket::Tcp(listener.try_clone()?),
            Self::Unix(listener) => Socket::Unix(listener.try_clone()?),
        })
    }

    fn spoken(&self, addr: &ListenAddr) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|_| addr.to_string(), |addr| addr.to_string()),
            Self::Unix(_) => addr.to_string(),
        }
    }
}

impl Sockets {
    /// Binds what is not bound yet, all of it or nothing. A line for each address that cannot be had.
    pub fn bind(&self, wanted: &[ListenAddr]) -> Result<(), Vec<String>> {
        let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut new, mut problems) = (Vec::new(), Vec::new());
        for addr in wanted {
            if bound.iter().chain(&new).any(|(known, _)| known == addr) {
                continue;
            }
            match bind(addr, wanted) {
                Ok(master) => new.push((addr.clone(), master)),
                Err(error) => problems.push(explain(addr, &error)),
            }
        }
        if problems.is_empty() {
            bound.append(&mut new);
            return Ok(());
        }
        Err(problems)
    }

    /// One more descriptor of a socket that is bound, and where it is.
    pub fn get(&self, addr: &ListenAddr) -> io::Result<(Socket, String)> {
        let bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = bound.iter().find(|(known, _)| known == addr);
        let (_, master) = found.ok_or_else(|| io::Error::other(format!("{addr} is not bound")))?;
        Ok((master.another()?, master.spoken(addr)))
    }

    /// Closes what is not wanted any more.
    pub fn keep_only(&self, wanted: &[ListenAddr]) {
        let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bound.retain(|(addr, master)| {
            let stays = wanted.contains(addr);
            if let (false, Master::Unix(_), ListenAddr::Unix(path)) = (stays, master, addr) {
                // Whoever finds the file would wait for nobody.
                let _ = fs::remove_file(path);
            }
            stays
        });
    }
}

fn bind(addr: &ListenAddr, wanted: &[ListenAddr]) -> io::Result<Master> {
    match addr {
        ListenAddr::Unix(path) => unix(path).map(Master::Unix),
        ListenAddr::Tcp(SocketAddr::V6(v6)) if *v6.ip() == Ipv6Addr::UNSPECIFIED => {
            // Beside 0.0.0.0 it is for IPv6 alone, as everybody means who writes both.
            let v4 = ListenAddr::Tcp((Ipv4Addr::UNSPECIFIED, v6.port()).into());
            let socket = socket2::Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_only_v6(wanted.contains(&v4))?;
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::V6(*v6).into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(Master::Tcp(socket.into()))
        }
        addr => {
            let listener = addr.bind_tcp()?;
            SockRef::from(&listener).listen(BACKLOG)?;
            Ok(Master::Tcp(listener))
        }
    }
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        // Left by one who was killed: nobody answers there.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    // The app next door is another user.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn is_abandoned(path: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    std::os::unix::net::UnixStream::connect(path).err().is_some_and(refused)
}

fn explain(addr: &ListenAddr, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is already in use, maybe by the app itself: the containers of a pod share their ports".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted: a port below 1024 needs CAP_NET_BIND_SERVICE, a socket file a directory that can be written"
                .to_owned()
        }
        _ => error.to_string(),
    };
    format!("cannot listen on {addr}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_all_or_nothing_and_keeps_what_is_bound() {
        let sockets = Sockets::default();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = ListenAddr::Tcp(taken.local_addr().unwrap());
        let free: ListenAddr = "127.0.0.1:0".parse().unwrap();
        let problems = sockets.bind(&[free.clone(), at]).unwrap_err();
        assert!(problems[0].contains("already in use"), "{problems:?}");
        assert!(sockets.get(&free).is_err());
        sockets.bind(std::slice::from_ref(&free)).unwrap();
        let first = sockets.get(&free).unwrap().1;
        sockets.bind(std::slice::from_ref(&free)).unwrap();
        assert_eq!(sockets.get(&free).unwrap().1, first);
        sockets.keep_only(&[]);
        assert!(sockets.get(&free).is_err());
    }

    #[test]
    fn a_socket_file_that_was_left_behind_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let addr = ListenAddr::Unix(dir.path().join("s"));
        drop(UnixListener::bind(dir.path().join("s")).unwrap());
        let sockets = Sockets::default();
        sockets.bind(std::slice::from_ref(&addr)).unwrap();
        assert!(Sockets::default().bind(std::slice::from_ref(&addr)).is_err(), "somebody answers there");
        sockets.keep_only(&[]);
        assert!(!dir.path().join("s").exists());
    }
}
