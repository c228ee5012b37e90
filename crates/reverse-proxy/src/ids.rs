//! Numbers that are different each time: ids of requests and traces, and shares of a split. Not for secrets.

use std::{
    cell::Cell,
    fmt::Write,
    hash::{BuildHasher, RandomState},
};

thread_local! {
    /// SplitMix64, begun somewhere else in each thread by what the standard library seeds its maps with.
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(std::process::id()));
}

pub fn number() -> u64 {
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// In the shape of a random UUID (RFC 9562, version 4).
pub fn request_id() -> String {
    let (high, low) = (number(), number());
    let mut id = String::with_capacity(36);
    let variant = 0x8000 | (low >> 48 & 0x3fff);
    let version = 0x4000 | (high & 0x0fff);
    // Writing to a String cannot fail.
    let _ = write!(id, "{:08x}-{:04x}-{version:04x}-{variant:04x}-", high >> 32, high >> 16 & 0xffff);
    let _ = write!(id, "{:012x}", low & 0xffff_ffff_ffff);
    id
}

/// W3C trace context, level 1: a new trace, sampled by nobody yet.
pub fn traceparent() -> String {
    format!("00-{:016x}{:016x}-{:016x}-00", number() | 1, number(), number() | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_shape_and_differ() {
        let ids: std::collections::HashSet<String> = (0..1000).map(|_| request_id()).collect();
        assert_eq!(ids.len(), 1000);
        let id = request_id();
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'));
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert_eq!(traceparent().len(), 55);
    }
}
