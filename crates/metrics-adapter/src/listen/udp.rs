//! UDP: a thread that takes what has come, and sleeps a little before it looks again.
//!
//! To be woken costs more than to read ten packets, for us and for the app that sends. So after a packet we sleep as
//! long as the socket's buffer can take, two milliseconds at most, and then take all that is there with one call. When
//! nothing comes the thread waits for the socket and costs nothing.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use common::Failure;
use socket2::SockRef;
use tokio::io::Interest;
use values::ListenAddr;

use super::{
    Closing,
    batch::{Batch, Received},
    closed,
};
use crate::{events, shared::Shared, store::Input};

const PACKETS: usize = 256;
/// The kernel gives what it may give anybody, if that is less.
const READ_BUFFER: usize = 4 << 20;
const LONGEST_NAP: Duration = Duration::from_millis(2);
const SHORTEST_NAP: Duration = Duration::from_micros(50);
/// The kernel has no memory, most likely: asking again at once would only burn CPU.
pub(super) const AFTER_ERROR: Duration = Duration::from_millis(100);
/// What the kernel counts for a packet beside its bytes, generously.
const PACKET_OVERHEAD: usize = 900;

pub(super) fn bind(addr: &ListenAddr, read_buffer: Option<usize>) -> io::Result<UdpSocket> {
    let socket = match addr {
        ListenAddr::Any(port) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, *port)).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
            _ => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, *port)),
        }),
        ListenAddr::Tcp(addr) => UdpSocket::bind(addr),
        ListenAddr::Named(host, port) => UdpSocket::bind((host.as_str(), *port)),
        ListenAddr::Unix(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "expected an address with a port")),
    }?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(read_buffer.unwrap_or(READ_BUFFER))?;
    Ok(socket)
}

pub(super) async fn read(
    socket: UdpSocket,
    input: Input,
    shared: Arc<Shared>,
    mut closing: Closing,
) -> Result<(), Failure> {
    let room = SockRef::from(&socket).recv_buffer_size().unwrap_or(READ_BUFFER);
    let failed = |error: io::Error| Failure::bug(format!("udp socket: {error}"));
    let socket = tokio::net::UdpSocket::from_std(socket).map_err(failed)?;
    let mut batch = Batch::new(input, PACKETS);
    let mut nap = LONGEST_NAP;
    loop {
        tokio::select! {
            ready = socket.readable() => ready.map_err(failed)?,
            () = closed(&mut closing) => return Ok(()),
        }
        loop {
            // Nothing there is an error of its own, after which the socket is waited for.
            let received = match socket.try_io(Interest::READABLE, || batch.drain(&socket, &shared)) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    events::not_received("udp", &error);
                    tokio::time::sleep(AFTER_ERROR).await;
                    break;
                }
            };
            shared.traffic.udp_packets.add(received.packets as u64);
            nap = next_nap(nap, received, room);
            // Of this thread alone, which has nothing else to do.
            std::thread::sleep(nap);
        }
        if *closing.borrow() {
            return Ok(());
        }
    }
}

/// So long that an eighth of the buffer fills meanwhile, at the pace of the last nap.
fn next_nap(last: Duration, received: Received, room: usize) -> Duration {
    let filled = (received.packets * PACKET_OVERHEAD + received.bytes) as f64 / room as f64;
    let wanted = last.mul_f64((0.125 / filled.max(1e-6)).min(1.5));
    wanted.clamp(SHORTEST_NAP, LONGEST_NAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naps_are_as_long_as_the_buffer_allows() {
        let room = 400_000;
        let after = |last, packets| next_nap(last, Received { packets, bytes: packets * 30 }, room);
        assert_eq!(after(LONGEST_NAP, 1), LONGEST_NAP);
        assert!(after(LONGEST_NAP, 400) < Duration::from_micros(400));
        assert!(after(Duration::from_micros(100), 10) > Duration::from_micros(140));
        assert_eq!(after(SHORTEST_NAP, 100_000), SHORTEST_NAP);
    }
}
