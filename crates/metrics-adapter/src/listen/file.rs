//! Socket files. One that a killed process left behind is replaced; one that somebody answers at is not.

use std::{
    fs, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            fs::{FileTypeExt, PermissionsExt},
            net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use socket2::SockRef;

use crate::config::SocketFile;

/// A socket, and the file to remove when it is closed.
#[derive(Debug)]
pub(super) struct Bound<S> {
    pub socket: S,
    pub path: Leftover,
}

/// Removes the socket file when it goes. Names of the abstract kind have none.
#[derive(Debug)]
pub(super) struct Leftover(Option<PathBuf>);

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Somebody may have been quicker.
            let _ = fs::remove_file(path);
        }
    }
}

pub(super) fn datagram(file: &SocketFile, read_buffer: Option<usize>) -> io::Result<Bound<UnixDatagram>> {
    let probe = |addr: &SocketAddr| UnixDatagram::unbound()?.connect_addr(addr);
    let bound = bind(file, probe, UnixDatagram::bind_addr)?;
    bound.socket.set_nonblocking(true)?;
    if let Some(bytes) = read_buffer {
        SockRef::from(&bound.socket).set_recv_buffer_size(bytes)?;
    }
    Ok(bound)
}

pub(super) fn stream(file: &SocketFile) -> io::Result<Bound<UnixListener>> {
    let bound = bind(file, |addr| UnixStream::connect_addr(addr).map(drop), UnixListener::bind_addr)?;
    bound.socket.set_nonblocking(true)?;
    Ok(bound)
}

fn bind<S>(
    file: &SocketFile,
    probe: impl Fn(&SocketAddr) -> io::Result<()>,
    bind: impl Fn(&SocketAddr) -> io::Result<S>,
) -> io::Result<Bound<S>> {
    if let Some(name) = file.path.as_os_str().as_bytes().strip_prefix(b"@") {
        let socket = bind(&SocketAddr::from_abstract_name(name)?)?;
        return Ok(Bound { socket, path: Leftover(None) });
    }
    let addr = SocketAddr::from_pathname(&file.path)?;
    make_way(&file.path, || probe(&addr))?;
    let socket = bind(&addr)?;
    let path = Leftover(Some(file.path.clone()));
    if let Some(mode) = file.mode {
        fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))?;
    }
    Ok(Bound { socket, path })
}

fn make_way(path: &Path, probe: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    match probe() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "a socket file that nobody listens at is replaced");
            fs::remove_file(path)
        }
        // Another kind of socket, or not for us to ask: somebody has it.
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path) -> SocketFile {
        SocketFile { path: path.to_owned(), mode: Some(0o700) }
    }

    #[test]
    fn a_file_left_behind_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("statsd.sock");
        drop(UnixDatagram::bind(&path).unwrap());
        let bound = datagram(&file(&path), None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(datagram(&file(&path), None).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(bound);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        let bound = stream(&file(&path)).unwrap();
        assert_eq!(stream(&file(&path)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(bound);
        fs::write(&path, "mine").unwrap();
        assert_eq!(stream(&file(&path)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::metadata(&path).unwrap().len(), 4);
    }

    #[test]
    fn abstract_names_have_no_file() {
        let name = format!("@metrics-adapter-{}", std::process::id());
        let bound = datagram(&file(Path::new(&name)), Some(100_000)).unwrap();
        assert_eq!(datagram(&file(Path::new(&name)), None).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(bound);
    }
}
