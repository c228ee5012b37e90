//! Unix datagrams: the kernel queues some ten of them and then makes the app wait, so none is lost and naps would cost
//! the app time.

use std::{io, os::unix::net::UnixDatagram, sync::Arc};

use common::Failure;
use tokio::io::Interest;

use super::{Closing, batch::Batch, closed, file::Bound, udp::AFTER_ERROR};
use crate::{events, shared::Shared, store::Input};

const PACKETS: usize = 32;

pub(super) async fn read(
    bound: Bound<UnixDatagram>,
    input: Input,
    shared: Arc<Shared>,
    mut closing: Closing,
) -> Result<(), Failure> {
    let Bound { socket, path: _path } = bound;
    let failed = |error: io::Error| Failure::bug(format!("unix datagram socket: {error}"));
    let socket = tokio::net::UnixDatagram::from_std(socket).map_err(failed)?;
    let mut batch = Batch::new(input, PACKETS);
    loop {
        tokio::select! {
            ready = socket.readable() => ready.map_err(failed)?,
            () = closed(&mut closing) => return Ok(()),
        }
        // That nothing is there has to be seen once: then the socket is waited for.
        match socket.try_io(Interest::READABLE, || batch.drain(&socket, &shared)) {
            Ok(received) => shared.traffic.unixgram_packets.add(received.packets as u64),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                events::not_received("unixgram", &error);
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}
