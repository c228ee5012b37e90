//! A set: how many different members were seen lately.
//!
//! Hashes of the members are kept with the time they were seen last. When there are too many, only those that end in one
//! more zero bit stay, and each then stands for twice as many: with 2,048 or more left, the answer is within some 3 %.

use hashbrown::HashMap;

use super::clock::Tick;

const MOST: usize = 4096;
/// Members that were not seen for so long are not counted: one minute.
const WINDOW: u32 = 600;

#[derive(Debug, Default)]
pub struct Distinct {
    seen: HashMap<u64, Tick>,
    /// How many low bits of a hash must be zero.
    level: u32,
}

impl Distinct {
    pub fn add(&mut self, hash: u64, now: Tick) {
        if hash.trailing_zeros() < self.level {
            return;
        }
        self.seen.insert(hash, now);
        if self.seen.len() > MOST {
            self.seen.retain(|_, seen| now.since(*seen) < WINDOW);
        }
        while self.seen.len() > MOST {
            self.level += 1;
            let level = self.level;
            self.seen.retain(|hash, _| hash.trailing_zeros() >= level);
        }
    }

    pub fn count(&self, now: Tick) -> u64 {
        let lately = self.seen.values().filter(|seen| now.since(**seen) < WINDOW).count();
        (lately as u64) << self.level
    }

    pub fn footprint(&self) -> usize {
        size_of::<Self>() + self.seen.capacity() * (size_of::<(u64, Tick)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes())
    }

    #[test]
    fn few_are_counted_exactly_and_forgotten() {
        let mut set = Distinct::default();
        for n in [1, 2, 2, 3] {
            set.add(hash(n), Tick(10));
        }
        set.add(hash(3), Tick(500));
        assert_eq!((set.count(Tick(500)), set.count(Tick(700)), set.count(Tick(1200))), (3, 1, 0));
    }

    #[test]
    fn many_are_estimated_in_little_memory() {
        let mut set = Distinct::default();
        (0..100_000).for_each(|n| set.add(hash(n), Tick(10)));
        let off = (set.count(Tick(10)) as f64 - 100_000.0).abs() / 100_000.0;
        assert!(off < 0.06, "{}", set.count(Tick(10)));
        assert!(set.footprint() < 200_000, "{}", set.footprint());
    }
}
