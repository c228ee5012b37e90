//! The PROXY protocol, versions 1 and 2: who the client is, said before its first byte.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;

use crate::cluster::ProxyProtocol;
use crate::io::Raw;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Of a version 1 line, with CRLF.
const LONGEST_LINE: usize = 107;
/// Of the addresses and whatever a version 2 header says beside them.
const LONGEST_REST: usize = 4096;

/// What the header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// There was none.
    Nothing,
    /// It is the proxy's own connection (a health check), or an address family that means nothing here.
    Local,
    Addresses {
        client: SocketAddr,
        local: SocketAddr,
    },
}

/// Reads the header, and gives back what was read beyond it. Without `required`, a connection may begin without one.
pub(crate) async fn read(raw: &mut Raw, required: bool) -> io::Result<Said> {
    let mut bytes = Vec::new();
    loop {
        let decided = parse(&bytes, required).map_err(|text| io::Error::new(io::ErrorKind::InvalidData, text))?;
        if let Some((said, used)) = decided {
            raw.push_back(bytes.split_off(used));
            return Ok(said);
        }
        let mut piece = [0; 512];
        let read = raw.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..read]);
    }
}

/// None: more is needed. Else what it says, and how long it is.
pub(crate) fn parse(bytes: &[u8], required: bool) -> Result<Option<(Said, usize)>, &'static str> {
    let begins = |start: &[u8]| bytes.iter().zip(start).all(|(a, b)| a == b);
    if begins(&SIGNATURE) {
        return if bytes.len() < SIGNATURE.len() + 4 { Ok(None) } else { parse_v2(bytes) };
    }
    if begins(b"PROXY ") {
        return if bytes.len() < 6 { Ok(None) } else { parse_v1(bytes) };
    }
    if required { Err("no PROXY header") } else { Ok(Some((Said::Nothing, 0))) }
}

fn parse_v1(bytes: &[u8]) -> Result<Option<(Said, usize)>, &'static str> {
    const WRONG: &str = "malformed PROXY header";
    let window = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() == LONGEST_LINE { Err(WRONG) } else { Ok(None) };
    };
    let line = std::str::from_utf8(&window[..end]).map_err(|_| WRONG)?;
    let words: Vec<&str> = line.split(' ').collect();
    let said = match words[..] {
        ["PROXY", "UNKNOWN", ..] => Said::Local,
        ["PROXY", family @ ("TCP4" | "TCP6"), client, local, client_port, local_port] => {
            let address = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().ok().filter(|ip: &IpAddr| ip.is_ipv4() == (family == "TCP4"))?;
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                Some(SocketAddr::new(ip, port.parse().ok().filter(|_| digits)?))
            };
            match (address(client, client_port), address(local, local_port)) {
                (Some(client), Some(local)) => Said::Addresses { client, local },
                _ => return Err(WRONG),
            }
        }
        _ => return Err(WRONG),
    };
    Ok(Some((said, end + 2)))
}

fn parse_v2(bytes: &[u8]) -> Result<Option<(Said, usize)>, &'static str> {
    let (command, family) = (bytes[12], bytes[13]);
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if command >> 4 != 2 || command & 15 > 1 || length > LONGEST_REST {
        return Err("malformed PROXY header");
    }
    let Some(rest) = bytes.get(16..16 + length) else { return Ok(None) };
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let said = match (command & 15, family) {
        (0, _) => Said::Local,
        (_, 0x11) if length >= 12 => {
            let ip = |at: usize| Ipv4Addr::new(rest[at], rest[at + 1], rest[at + 2], rest[at + 3]);
            Said::Addresses { client: (ip(0), port(8)).into(), local: (ip(4), port(10)).into() }
        }
        (_, 0x21) if length >= 36 => {
            let ip = |at: usize| {
                <[u8; 16]>::try_from(&rest[at..at + 16]).map(Ipv6Addr::from).unwrap_or(Ipv6Addr::UNSPECIFIED)
            };
            Said::Addresses { client: (ip(0), port(32)).into(), local: (ip(16), port(34)).into() }
        }
        (_, 0x11 | 0x21) => return Err("malformed PROXY header"),
        _ => Said::Local,
    };
    Ok(Some((said, 16 + length)))
}

/// The header for an upstream. Without addresses it says that there are none to tell.
pub(crate) fn write(version: ProxyProtocol, client: Option<SocketAddr>, local: Option<SocketAddr>) -> Vec<u8> {
    let pair = client.zip(local).map(same_family);
    match (version, pair) {
        (ProxyProtocol::V1, None) => b"PROXY UNKNOWN\r\n".to_vec(),
        (ProxyProtocol::V1, Some((client, local))) => {
            let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (client.ip(), local.ip());
            format!("PROXY {family} {from} {to} {} {}\r\n", client.port(), local.port()).into_bytes()
        }
        (ProxyProtocol::V2, pair) => {
            let mut out = SIGNATURE.to_vec();
            let mut rest = Vec::new();
            let (command, family) = match pair {
                None => (0x20, 0),
                Some((client, local)) => {
                    for address in [client, local] {
                        match address.ip() {
                            IpAddr::V4(ip) => rest.extend(ip.octets()),
                            IpAddr::V6(ip) => rest.extend(ip.octets()),
                        }
                    }
                    rest.extend(client.port().to_be_bytes());
                    rest.extend(local.port().to_be_bytes());
                    (0x21, if client.is_ipv4() { 0x11 } else { 0x21 })
                }
            };
            out.extend([command, family, 0, rest.len() as u8]);
            out.extend(rest);
            out
        }
    }
}

fn same_family((client, local): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    let wide = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    if client.is_ipv4() == local.is_ipv4() { (client, local) } else { (wide(client), wide(local)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let pairs = [("1.2.3.4:5", "6.7.8.9:10"), ("[::1]:5", "[2001:db8::1]:10"), ("1.2.3.4:5", "[::1]:1")];
        for (client, local) in pairs.map(|(a, b)| (address(a), address(b))) {
            for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
                let mut bytes = write(version, Some(client), Some(local));
                let length = bytes.len();
                for cut in 0..length {
                    assert_eq!(parse(&bytes[..cut], true), Ok(None), "{cut}");
                }
                bytes.extend_from_slice(b"GET");
                let (client, local) = same_family((client, local));
                assert_eq!(parse(&bytes, true), Ok(Some((Said::Addresses { client, local }, length))));
            }
        }
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            assert!(matches!(parse(&write(version, None, None), true), Ok(Some((Said::Local, _)))));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02ab",
            &[b'P', b'R', b'O', b'X', b'Y', b' '].into_iter().chain([b'x'; 200]).collect::<Vec<_>>(),
        ] {
            assert!(parse(text, true).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
        assert_eq!(parse(b"GET", false), Ok(Some((Said::Nothing, 0))));
        assert_eq!(parse(b"", false), Ok(None));
    }
}
