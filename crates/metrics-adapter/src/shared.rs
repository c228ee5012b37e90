//! What listeners, readers and the operator share: the store, behind one lock that nobody holds for long.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use memchr::memchr_iter;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    last_scrape::Scrapes,
    relay::Relay,
    reload::Failures,
    store::{
        Input, Store,
        clock::{Clock, Tick},
    },
};

#[derive(Debug)]
pub struct Shared {
    pub store: Mutex<Store>,
    pub clock: Clock,
    pub traffic: Traffic,
    pub relays: Vec<Arc<Relay>>,
    pub reloads: Count,
    pub failed_reloads: Failures,
    pub scrapes: Scrapes,
    /// Told when there are series that can end.
    pub mortal: Notify,
}

/// What came in, before it is lines.
#[derive(Debug, Default)]
pub struct Traffic {
    pub udp_packets: Count,
    pub unixgram_packets: Count,
    pub connections: Count,
    pub connection_errors: Count,
    /// Lines on connections that are longer than lines may be.
    pub long_lines: Count,
}

#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub fn new(store: Store, relays: Vec<Arc<Relay>>, failed_reloads: Failures) -> Arc<Self> {
        Arc::new(Self {
            store: Mutex::new(store),
            clock: Clock::start(),
            traffic: Traffic::default(),
            relays,
            reloads: Count::default(),
            failed_reloads,
            scrapes: Scrapes::default(),
            mortal: Notify::new(),
        })
    }

    /// Takes the lines of some packets, or of a piece of a stream, under one lock.
    pub fn take<'p>(&self, input: Input, packets: impl Iterator<Item = &'p [u8]>) {
        let now = self.clock.now();
        let mut store = self.store.lock();
        let was_immortal = store.size().mortal == 0;
        for packet in packets {
            let mut from = 0;
            for end in memchr_iter(b'\n', packet) {
                self.line(&mut store, input, &packet[from..end], now);
                from = end + 1;
            }
            self.line(&mut store, input, &packet[from..], now);
        }
        if was_immortal && store.size().mortal > 0 {
            self.mortal.notify_one();
        }
    }

    fn line(&self, store: &mut Store, input: Input, line: &[u8], now: Tick) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        store.take(input, line, now);
        if !line.is_empty() {
            self.relays.iter().for_each(|relay| relay.pass(line));
        }
    }
}
