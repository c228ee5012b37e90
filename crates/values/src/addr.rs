//! Addresses to listen on: `:9125`, `0.0.0.0:80`, `[::1]:80`, `localhost:8181`, `9125`, `unix:/run/app.sock`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::PathBuf,
    str::FromStr,
};

use crate::socket_path;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    /// Every address of the machine, IPv6 and IPv4: what Go means by `:9125`.
    Any(u16),
    /// One address.
    Tcp(SocketAddr),
    /// A name, looked up when the socket is bound.
    Named(String, u16),
    /// A socket file.
    Unix(PathBuf),
}

const EXPECTED: &str = "expected an address such as :9125, 127.0.0.1:8080, [::1]:80 or unix:/run/app.sock";

impl ListenAddr {
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Any(port) | Self::Named(_, port) => Some(*port),
            Self::Tcp(addr) => Some(addr.port()),
            Self::Unix(_) => None,
        }
    }

    /// Binds a non-blocking TCP listener. For `:port` one dual-stack socket, or IPv4 alone where IPv6 is switched off.
    pub fn bind_tcp(&self) -> std::io::Result<TcpListener> {
        let listener = match self {
            // The standard library leaves IPV6_V6ONLY at the kernel's default, which is "both" everywhere that matters.
            Self::Any(port) => TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).or_else(|error| match error.kind() {
                std::io::ErrorKind::AddrInUse | std::io::ErrorKind::PermissionDenied => Err(error),
                _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)),
            }),
            Self::Tcp(addr) => TcpListener::bind(addr),
            Self::Named(host, port) => TcpListener::bind((host.as_str(), *port)),
            Self::Unix(path) => Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                format!("{} is a socket file, expected a TCP address", path.display()),
            )),
        }?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

impl FromStr for ListenAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(path) = socket_path(text) {
            return Ok(Self::Unix(path));
        }
        if let Ok(addr) = text.parse() {
            return Ok(Self::Tcp(addr));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = port.parse().map_err(|_| format!("{EXPECTED}, with a port from 0 to 65535"))?;
        if host.is_empty() || host == "*" {
            return Ok(Self::Any(port));
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Self::Tcp(SocketAddr::new(ip, port)));
        }
        let name_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.chars().all(name_like) { Ok(Self::Named(host.into(), port)) } else { Err(EXPECTED.into()) }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(port) => write!(f, ":{port}"),
            Self::Tcp(addr) => addr.fmt(f),
            Self::Named(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling_and_prints_it_back() {
        for (text, printed) in [
            (":9125", ":9125"),
            ("9125", ":9125"),
            ("*:80", ":80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
            ("[::]:80", "[::]:80"),
            ("localhost:8181", "localhost:8181"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:///run/a.sock", "unix:/run/a.sock"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("//run/a.sock", "unix:/run/a.sock"),
            ("unix:////run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(text.parse::<ListenAddr>().map(|a| a.to_string()), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_bound() {
        for text in
            ["", ":", ":65536", ":x", "a b:80", "http://x:80", "unix:", "/", "1.2.3.4", "]:80", "[unix]:80", "[::1:80"]
        {
            assert!(text.parse::<ListenAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn any_accepts_both_families() {
        let listener = ListenAddr::Any(0).bind_tcp().unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
}
