//! Where lines are passed on to, and the connection there.

use std::{fmt, io, path::PathBuf, str::FromStr, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket, UnixDatagram, UnixStream, lookup_host},
};

/// `host:8125`, `udp://host:8125`, `tcp://host:8125`, `unixgram:///run/statsd.sock`, `unix:///run/statsd.sock`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Udp(String),
    Tcp(String),
    UnixDatagram(PathBuf),
    UnixStream(PathBuf),
}

const EXPECTED: &str = "expected host:port, tcp://host:port, unixgram:///path or unix:///path";
/// A receiver that takes nothing for so long is connected anew.
const TIMEOUT: Duration = Duration::from_secs(5);

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
        let is_path = rest.starts_with('/') && rest.len() > 1;
        let is_address = rest.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        match scheme {
            "udp" if is_address => Ok(Self::Udp(rest.into())),
            "tcp" if is_address => Ok(Self::Tcp(rest.into())),
            "unixgram" if is_path => Ok(Self::UnixDatagram(rest.into())),
            "unix" if is_path => Ok(Self::UnixStream(rest.into())),
            _ => Err(EXPECTED.into()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(addr) => f.write_str(addr),
            Self::Tcp(addr) => write!(f, "tcp://{addr}"),
            Self::UnixDatagram(path) => write!(f, "unixgram://{}", path.display()),
            Self::UnixStream(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

pub(super) enum Connection {
    Udp(UdpSocket),
    Tcp(TcpStream),
    UnixDatagram(UnixDatagram),
    UnixStream(UnixStream),
}

impl Connection {
    pub(super) async fn open(target: &Target) -> io::Result<Self> {
        in_time(async {
            Ok(match target {
                Target::Udp(addr) => Self::Udp(udp(addr).await?),
                Target::Tcp(addr) => Self::Tcp(TcpStream::connect(addr).await?),
                Target::UnixDatagram(path) => {
                    let socket = UnixDatagram::unbound()?;
                    socket.connect(path)?;
                    Self::UnixDatagram(socket)
                }
                Target::UnixStream(path) => Self::UnixStream(UnixStream::connect(path).await?),
            })
        })
        .await
    }

    pub(super) fn is_datagram(&self) -> bool {
        matches!(self, Self::Udp(_) | Self::UnixDatagram(_))
    }

    pub(super) async fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        in_time(async {
            match self {
                Self::Udp(socket) => socket.send(packet).await.map(drop),
                Self::UnixDatagram(socket) => socket.send(packet).await.map(drop),
                Self::Tcp(stream) => stream.write_all(packet).await,
                Self::UnixStream(stream) => stream.write_all(packet).await,
            }
        })
        .await
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "took too long");
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(|_| Err(late()))
}

async fn udp(addr: &str) -> io::Result<UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in lookup_host(addr).await? {
        let own = if addr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(own).await?;
        match socket.connect(addr).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_printed_back() {
        for text in ["localhost:8125", "[::1]:8125", "tcp://a:1", "unixgram:///run/a", "unix:///run/a"] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "localhost", ":8125", "a:0", "a:x", "unix://", "ftp://a:1", "tcp://a"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
