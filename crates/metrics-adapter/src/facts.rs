//! What can be said about this process at one moment: taken together once for each reader.

use crate::{
    listen::Drops,
    shared::Shared,
    store::{Size, counts::Counts, families::Type},
};

#[derive(Debug)]
pub struct Facts {
    pub counts: Counts,
    pub size: Size,
    pub memory_limit: usize,
    /// Names of each type.
    pub names: [(&'static str, usize); Type::ALL.len()],
    pub mappings: usize,
    pub udp_packets: u64,
    pub unixgram_packets: u64,
    pub connections: u64,
    pub connection_errors: u64,
    pub long_lines: u64,
    /// Each address, and packets that the kernel threw away there.
    pub drops: Vec<(String, u64)>,
    pub relays: Vec<Passed>,
    pub reloads: u64,
    pub failed_reloads: u64,
}

/// What was passed on to one target.
#[derive(Debug)]
pub struct Passed {
    pub target: String,
    pub packets: u64,
    pub lines: u64,
    pub long_lines: u64,
    pub lost_packets: u64,
}

impl Facts {
    pub fn now(shared: &Shared, drops: &Drops) -> Self {
        let store = shared.store.lock();
        let names = Type::ALL.map(|kind| (kind.name(), store.families().of_type(kind)));
        let counts = store.counts().clone();
        let (size, memory_limit) = (store.size(), store.limits().memory);
        let mappings = store.rules().mapping.rules();
        drop(store);
        let relays = shared.relays.iter().map(|relay| Passed {
            target: relay.target().to_string(),
            packets: relay.packets.get(),
            lines: relay.lines.get(),
            long_lines: relay.long_lines.get(),
            lost_packets: relay.lost_packets.get(),
        });
        let traffic = &shared.traffic;
        Self {
            counts,
            size,
            memory_limit,
            names,
            mappings,
            udp_packets: traffic.udp_packets.get(),
            unixgram_packets: traffic.unixgram_packets.get(),
            connections: traffic.connections.get(),
            connection_errors: traffic.connection_errors.get(),
            long_lines: traffic.long_lines.get(),
            drops: drops.now().into_iter().map(|(addr, lost)| (addr.to_owned(), lost)).collect(),
            relays: relays.collect(),
            reloads: shared.reloads.get(),
            failed_reloads: shared.failed_reloads.get(),
        }
    }
}
