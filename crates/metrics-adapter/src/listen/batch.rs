//! Many packets with one system call.

use std::{
    io::{self, IoSliceMut},
    os::fd::AsRawFd,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, recvmmsg},
};

use crate::{shared::Shared, store::Input};

/// The largest packet there can be. Pages of it that no packet ever reached take no memory.
const LARGEST: usize = 65_536;

/// Buffers for so many packets at once.
pub(super) struct Batch {
    buffer: Vec<u8>,
    headers: MultiHeaders<()>,
    most: usize,
    input: Input,
}

/// What was received in one go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub packets: usize,
    pub bytes: usize,
}

impl Batch {
    pub(super) fn new(input: Input, most: usize) -> Self {
        Self { buffer: vec![0; most * LARGEST], headers: MultiHeaders::preallocate(most, None), most, input }
    }

    /// Takes everything that waits in the socket. Nothing there is an error.
    pub(super) fn drain(&mut self, socket: &impl AsRawFd, shared: &Shared) -> io::Result<Received> {
        let mut all = Received::default();
        loop {
            let batch = match self.receive(socket, shared) {
                Ok(batch) => batch,
                Err(Errno::EAGAIN) if all.packets > 0 => return Ok(all),
                // Of a packet that we sent, as some kernels say it; or a signal came.
                Err(Errno::ECONNREFUSED | Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            all.packets += batch.packets;
            all.bytes += batch.bytes;
            if batch.packets < self.most {
                return Ok(all);
            }
        }
    }

    fn receive(&mut self, socket: &impl AsRawFd, shared: &Shared) -> Result<Received, Errno> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffer.chunks_exact_mut(LARGEST).map(|packet| [IoSliceMut::new(packet)]).collect();
        let messages =
            recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut received = Received::default();
        shared.take(
            self.input,
            messages.map(|message| {
                received.packets += 1;
                received.bytes += message.bytes;
                message.iovs().next().unwrap_or_default()
            }),
        );
        Ok(received)
    }
}
