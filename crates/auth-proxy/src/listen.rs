//! Where clients come in: addresses, sockets that stay bound over reloads, and TLS that is read again with its files.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use http_proxy::{ListenerSettings, Socket, Tls};
use tls::{Server, ServerTls};
use values::ListenAddr;

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// For the log: `proxy`, `https`.
    pub what: &'static str,
    pub addr: ListenAddr,
    /// Of a socket file.
    pub mode: Option<u32>,
    pub tls: Option<ServerTls>,
}

impl Listener {
    pub fn plain(addr: ListenAddr) -> Self {
        Self { what: "proxy", addr, mode: None, tls: None }
    }

    /// As the engine knows it: the same over reloads, whatever else changes.
    pub fn name(&self) -> String {
        self.addr.to_string()
    }

    pub fn files(&self) -> Vec<PathBuf> {
        let Some(tls) = &self.tls else { return Vec::new() };
        let pairs = tls.certificates.iter().map(|pair| &pair.identity);
        let mut files: Vec<_> = pairs.flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]).collect();
        match &tls.clients {
            tls::ClientCertificates::Optional { roots } | tls::ClientCertificates::Required { roots } => {
                files.push(roots.clone());
            }
            tls::ClientCertificates::Ignored | tls::ClientCertificates::Unverified => {}
        }
        files
    }
}

/// What is bound now, and the TLS of it.
#[derive(Default)]
pub struct Sockets {
    bound: Mutex<Vec<(ListenAddr, Master)>>,
    servers: Mutex<Vec<Arc<Server>>>,
}

enum Master {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Sockets {
    /// Binds what is not bound yet, all of it or nothing. A line for each address that cannot be had.
    pub fn bind(&self, wanted: &[Listener]) -> Result<(), Vec<String>> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut new, mut problems) = (Vec::new(), Vec::new());
        for listener in wanted {
            let is_known = |(known, _): &(ListenAddr, Master)| *known == listener.addr;
            if bound.iter().chain(&new).any(is_known) {
                continue;
            }
            match bind(listener) {
                Ok(master) => new.push((listener.addr.clone(), master)),
                Err(error) => problems.push(format!("cannot listen on {}: {error}", listener.addr)),
            }
        }
        if problems.is_empty() {
            bound.append(&mut new);
            return Ok(());
        }
        Err(problems)
    }

    /// One more descriptor of a socket that is bound, and where that is.
    pub fn get(&self, addr: &ListenAddr) -> io::Result<(Socket, String)> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let found = bound.iter().find(|(known, _)| known == addr);
        match found {
            Some((_, Master::Tcp(socket))) => Ok((Socket::Tcp(socket.try_clone()?), socket.local_addr()?.to_string())),
            Some((_, Master::Unix(socket))) => Ok((Socket::Unix(socket.try_clone()?), addr.to_string())),
            None => Err(io::Error::other(format!("{addr} is not bound"))),
        }
    }

    /// Closes what is not wanted any more.
    pub fn keep_only(&self, wanted: &[Listener]) {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).retain(|(addr, master)| {
            let stays = wanted.iter().any(|listener| listener.addr == *addr);
            if let (false, Master::Unix(_), ListenAddr::Unix(path)) = (stays, master, addr) {
                // Whoever finds the file would wait for nobody.
                let _ = fs::remove_file(path);
            }
            stays
        });
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).retain(|server| Arc::strong_count(server) > 1);
    }

    /// For the engine. The same settings keep their server, and with it the keys of its tickets; files are read again.
    pub fn settings(&self, listener: &Listener) -> Result<ListenerSettings, String> {
        let mut settings = ListenerSettings::http(&listener.name());
        if let Some(tls) = &listener.tls {
            let server = self.server(tls).map_err(|error| error.to_string())?;
            settings.tls = Some(Tls::Terminate(Arc::new(move || server.config())));
        }
        Ok(settings)
    }

    fn server(&self, settings: &ServerTls) -> Result<Arc<Server>, tls::Error> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.iter().find(|server| server.settings() == settings) {
            known.reload()?;
            return Ok(Arc::clone(known));
        }
        let server = Arc::new(settings.load()?);
        servers.push(Arc::clone(&server));
        Ok(server)
    }
}

fn bind(listener: &Listener) -> io::Result<Master> {
    let ListenAddr::Unix(path) = &listener.addr else { return Ok(Master::Tcp(listener.addr.bind_tcp()?)) };
    let socket = match UnixListener::bind(path) {
        // Left by one who was killed: nobody answers there.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    if let Some(mode) = listener.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    socket.set_nonblocking(true)?;
    Ok(Master::Unix(socket))
}

fn is_abandoned(path: &Path) -> bool {
    let error = std::os::unix::net::UnixStream::connect(path).err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// `0660`: who may use a socket file.
pub fn mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777)
}
