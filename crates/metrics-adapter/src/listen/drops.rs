//! Packets that the kernel threw away because a socket's buffer was full, as `/proc/net/udp` counts them.
//!
//! The kernel would also say it beside a packet, by `SO_RXQ_OVFL`, but only with the next packet that it does not throw
//! away; here it is asked when somebody wants to know.

use std::{net::UdpSocket, path::Path};

/// Every socket of the pod has a line; a host with more sockets than this has other worries.
const LARGEST: u64 = 4 << 20;

/// The sockets that are watched.
#[derive(Clone, Debug, Default)]
pub struct Drops(Vec<(String, u64)>);

impl Drops {
    pub fn watch(&mut self, socket: &UdpSocket, addr: String) {
        if let Ok(found) = rustix::fs::fstat(socket) {
            self.0.push((addr, found.st_ino));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each address, and how many packets were lost there.
    pub fn now(&self) -> Vec<(&str, u64)> {
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
        let tables = tables.map(|path| values::read_text(Path::new(path), LARGEST).unwrap_or_default());
        let lost = |inode: u64| tables.iter().find_map(|table| drops_of(table, inode)).unwrap_or(0);
        self.0.iter().map(|(addr, inode)| (addr.as_str(), lost(*inode))).collect()
    }
}

/// The inode is in the tenth column, the count in the thirteenth.
fn drops_of(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(9);
        (columns.next()?.parse() == Ok(inode)).then(|| columns.nth(2)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let socket = super::super::udp::bind(&"127.0.0.1:0".parse().unwrap(), Some(4096)).unwrap();
        let mut drops = Drops::default();
        drops.watch(&socket, "here".into());
        assert_eq!(drops.now(), [("here", 0)]);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..200 {
            sender.send_to(&[b'x'; 1000], socket.local_addr().unwrap()).unwrap();
        }
        assert!(drops.now()[0].1 > 100, "{:?}", drops.now());
    }
}
