//! Who guesses has to wait. Guesses are counted for a pair of user and source, so that nobody can lock out another.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// So many wrong ones are slips of the hand.
const FREE: u32 = 5;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// After so long without a guess, all is forgotten.
const FORGET: Duration = Duration::from_secs(900);
const MOST: usize = 4096;

#[derive(Default)]
pub(crate) struct Lockout(HashMap<([u8; 32], Source), Guesses>);

struct Guesses {
    wrong: u32,
    last: Instant,
}

/// An IPv6 client has a whole network to guess from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(Option<IpAddr>);

impl Source {
    pub(crate) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
            v4 => v4,
        }))
    }
}

impl Lockout {
    /// How long this one has to wait. None: not at all.
    pub(crate) fn left(&self, user: [u8; 32], source: Source, now: Instant) -> Option<Duration> {
        let guesses = self.0.get(&(user, source))?;
        let over = guesses.wrong.checked_sub(FREE)?;
        let wait = FIRST.saturating_mul(1 << over.min(16)).min(LONGEST);
        (guesses.last + wait).checked_duration_since(now).filter(|left| !left.is_zero())
    }

    pub(crate) fn wrong(&mut self, user: [u8; 32], source: Source, now: Instant) {
        if self.0.len() >= MOST {
            self.0.retain(|_, guesses| now.duration_since(guesses.last) < FORGET);
        }
        if self.0.len() >= MOST && !self.0.contains_key(&(user, source)) {
            // Full of guessers: the one that was quiet longest makes room.
            let oldest = self.0.iter().min_by_key(|(_, guesses)| guesses.last).map(|(key, _)| *key);
            oldest.map(|key| self.0.remove(&key));
        }
        let guesses = self.0.entry((user, source)).or_insert(Guesses { wrong: 0, last: now });
        if now.duration_since(guesses.last) >= FORGET {
            guesses.wrong = 0;
        }
        guesses.wrong = guesses.wrong.saturating_add(1);
        guesses.last = now;
    }

    pub(crate) fn right(&mut self, user: [u8; 32], source: Source) {
        self.0.remove(&(user, source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_longer_each_time_and_nobody_else_does() {
        let (mut lockout, now) = (Lockout::default(), Instant::now());
        let source = |text: &str| Source::of(Some(text.parse().unwrap()));
        let (here, there) = (source("10.0.0.1"), source("10.0.0.2"));
        for _ in 0..FREE - 1 {
            lockout.wrong([1; 32], here, now);
        }
        assert_eq!(lockout.left([1; 32], here, now), None);
        lockout.wrong([1; 32], here, now);
        assert_eq!(lockout.left([1; 32], here, now), Some(FIRST));
        lockout.wrong([1; 32], here, now);
        assert_eq!(lockout.left([1; 32], here, now), Some(FIRST * 2));
        assert_eq!(lockout.left([1; 32], there, now), None, "the user himself, elsewhere");
        assert_eq!(lockout.left([2; 32], here, now), None, "his neighbour");
        assert_eq!(lockout.left([1; 32], here, now + FIRST * 2), None, "it passes");
        for _ in 0..1000 {
            lockout.wrong([1; 32], here, now);
        }
        assert_eq!(lockout.left([1; 32], here, now), Some(LONGEST));
        lockout.right([1; 32], here);
        assert_eq!(lockout.left([1; 32], here, now), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_guesser_and_the_table_stays_small() {
        let (mut lockout, now) = (Lockout::default(), Instant::now());
        let source = |last: u16| Source::of(Some(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last).into()));
        for last in 0..10 {
            lockout.wrong([1; 32], source(last), now);
        }
        assert!(lockout.left([1; 32], source(99), now).is_some());
        for number in 0..u32::try_from(MOST * 2).unwrap() {
            lockout.wrong([0; 32], Source::of(Some(IpAddr::V4(number.into()))), now);
        }
        assert_eq!(lockout.0.len(), MOST);
    }
}
