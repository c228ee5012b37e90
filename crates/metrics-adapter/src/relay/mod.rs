//! Passing raw lines on to another statsd server.
//!
//! Lines are put together to packets where they come in, which never waits: what the other side does not take in time
//! is thrown away and counted. One task sends them, resolves the name again, and connects again after a failure.

mod target;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use common::Failure;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use target::Target;

use crate::{
    listen::{Closing, closed},
    shared::Count,
};
use target::Connection;

/// Where lines are passed on to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub target: Target,
    /// Packets are no longer than this.
    pub packet: usize,
}

/// What waits for the other side may take this much.
const MOST_WAITING: usize = 1 << 20;
/// A packet that is not full waits so long for more.
const FLUSH: Duration = Duration::from_secs(1);
/// After this the name is resolved again.
const RESOLVE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Relay {
    config: Config,
    waiting: Mutex<Waiting>,
    wake: Notify,
    pub packets: Count,
    pub lines: Count,
    pub long_lines: Count,
    pub lost_packets: Count,
}

#[derive(Debug, Default)]
struct Waiting {
    full: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The packet that is being filled.
    open: Vec<u8>,
}

impl Relay {
    pub fn new(config: Config) -> Arc<Self> {
        Arc::new(Self {
            config,
            waiting: Mutex::default(),
            wake: Notify::new(),
            packets: Count::default(),
            lines: Count::default(),
            long_lines: Count::default(),
            lost_packets: Count::default(),
        })
    }

    pub fn target(&self) -> &Target {
        &self.config.target
    }

    /// Takes a line, without its end. It never waits.
    pub fn pass(&self, line: &[u8]) {
        if line.len() + 1 > self.config.packet {
            self.long_lines.add(1);
            return;
        }
        self.lines.add(1);
        let mut waiting = self.waiting.lock();
        let is_full = waiting.open.len() + line.len() + 1 > self.config.packet;
        let begins = waiting.open.is_empty() || is_full;
        if is_full {
            self.close(&mut waiting);
        }
        waiting.open.extend_from_slice(line);
        waiting.open.push(b'\n');
        drop(waiting);
        if begins {
            self.wake.notify_one();
        }
    }

    fn close(&self, waiting: &mut Waiting) {
        let packet = std::mem::take(&mut waiting.open);
        if waiting.bytes + packet.len() > MOST_WAITING {
            self.lost_packets.add(1);
            // The memory of the one is good for the next.
            waiting.open = packet;
            waiting.open.clear();
            return;
        }
        waiting.bytes += packet.len();
        waiting.full.push_back(packet);
    }

    /// The next packet; with `all` also one that is not full.
    fn next(&self, all: bool) -> Option<Vec<u8>> {
        let mut waiting = self.waiting.lock();
        if let Some(packet) = waiting.full.pop_front() {
            waiting.bytes -= packet.len();
            return Some(packet);
        }
        if all && !waiting.open.is_empty() { Some(std::mem::take(&mut waiting.open)) } else { None }
    }

    fn is_idle(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.full.is_empty() && waiting.open.is_empty()
    }

    /// Sends until `closing` says that it is over, and then what is left, once.
    pub async fn run(self: Arc<Self>, closing: Closing) -> Result<(), Failure> {
        let mut sender = Sender { relay: &self, connection: None, trouble: None };
        let mut over = closing;
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = closed(&mut over) => break,
            }
            let flush = tokio::time::Instant::now() + FLUSH;
            while !self.is_idle() {
                while let Some(packet) = self.next(false) {
                    sender.send(&packet).await;
                }
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep_until(flush) => {
                        if let Some(packet) = self.next(true) {
                            sender.send(&packet).await;
                        }
                        break;
                    }
                    () = closed(&mut over) => break,
                }
            }
            if !self.is_idle() {
                self.wake.notify_one();
            }
            if *over.borrow() {
                break;
            }
        }
        while let Some(packet) = self.next(true) {
            if !sender.try_send(&packet).await {
                break;
            }
        }
        Ok(())
    }
}

struct Sender<'r> {
    relay: &'r Relay,
    connection: Option<(Connection, Instant)>,
    /// As it was logged last.
    trouble: Option<String>,
}

impl Sender<'_> {
    /// Sends a packet, or loses it. After a failure it waits a little, while others fill the queue.
    async fn send(&mut self, packet: &[u8]) {
        // What a connected UDP socket says is about the packet before: the second try is the first for this one.
        if self.try_send(packet).await || self.try_send(packet).await {
            return;
        }
        self.relay.lost_packets.add(1);
        tokio::time::sleep(RETRY).await;
    }

    async fn try_send(&mut self, packet: &[u8]) -> bool {
        let is_old = self
            .connection
            .as_ref()
            .is_some_and(|(connection, since)| connection.is_datagram() && since.elapsed() > RESOLVE);
        if is_old {
            self.connection = None;
        }
        let sent = match &mut self.connection {
            Some((connection, _)) => connection.send(packet).await,
            None => match Connection::open(&self.relay.config.target).await {
                Ok(mut connection) => {
                    let sent = connection.send(packet).await;
                    self.connection = Some((connection, Instant::now()));
                    sent
                }
                Err(error) => Err(error),
            },
        };
        match sent {
            Ok(()) => {
                self.relay.packets.add(1);
                if self.trouble.take().is_some() {
                    tracing::info!(target = %self.relay.config.target, "lines are passed on again");
                }
                true
            }
            Err(error) => {
                self.connection = None;
                let why = error.to_string();
                if self.trouble.as_ref() != Some(&why) {
                    tracing::warn!(target = %self.relay.config.target, why, "lines cannot be passed on");
                    self.trouble = Some(why);
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(packet: usize) -> Arc<Relay> {
        Relay::new(Config { target: "127.0.0.1:9".parse().unwrap(), packet })
    }

    #[test]
    fn packets_are_as_long_as_they_may_be() {
        let relay = relay(12);
        for line in ["aaaa", "bbbb", "cccccc", "far too long for it"] {
            relay.pass(line.as_bytes());
        }
        assert_eq!(relay.next(false).as_deref(), Some(&b"aaaa\nbbbb\n"[..]));
        assert_eq!(relay.next(false), None);
        assert_eq!(relay.next(true).as_deref(), Some(&b"cccccc\n"[..]));
        assert_eq!((relay.lines.get(), relay.long_lines.get(), relay.is_idle()), (3, 1, true));
    }

    #[test]
    fn who_does_not_take_lines_costs_no_memory() {
        let relay = relay(1400);
        (0..100_000).for_each(|_| relay.pass(&[b'x'; 100]));
        let waiting = relay.waiting.lock();
        assert!(waiting.bytes <= MOST_WAITING && relay.lost_packets.get() > 1000);
    }
}
