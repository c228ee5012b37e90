//! Numbers that are different each time: ids of requests and traces, and shares of a split. Not for secrets.

use std::{
    cell::Cell,
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
    hex(high >> 32, 8, &mut id);
    id.push('-');
    hex(high >> 16, 4, &mut id);
    id.push('-');
    hex(0x4000 | (high & 0x0fff), 4, &mut id);
    id.push('-');
    hex(0x8000 | (low >> 48 & 0x3fff), 4, &mut id);
    id.push('-');
    hex(low, 12, &mut id);
    id
}

/// W3C trace context, level 1: a new trace, sampled by nobody yet.
pub fn traceparent() -> String {
    let mut parent = String::with_capacity(55);
    parent.push_str("00-");
    hex(number() | 1, 16, &mut parent);
    hex(number(), 16, &mut parent);
    parent.push('-');
    hex(number() | 1, 16, &mut parent);
    parent.push_str("-00");
    parent
}

/// The lowest `digits` of them. In every request: formatting would take most of the time of an id.
fn hex(number: u64, digits: u32, out: &mut String) {
    for at in (0..digits).rev() {
        out.push(char::from(b"0123456789abcdef"[(number >> (4 * at) & 15) as usize]));
    }
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
