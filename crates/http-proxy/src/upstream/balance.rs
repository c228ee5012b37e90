//! Which endpoint gets the next request.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::cluster::Balance;

use super::member::Member;

/// Not one of `tried`. Those that cannot be reached are taken when there is nobody else, and so are backups.
pub(crate) fn choose(
    members: &[Arc<Member>],
    balance: Balance,
    hash: Option<u64>,
    tried: &[Arc<Member>],
) -> Option<Arc<Member>> {
    // The usual cluster beside an app.
    if let [only] = members {
        return tried.is_empty().then(|| Arc::clone(only));
    }
    let now = Instant::now();
    let left: Vec<&Arc<Member>> =
        members.iter().filter(|member| !tried.iter().any(|other| Arc::ptr_eq(other, member))).collect();
    for (backup, down) in [(false, false), (true, false), (false, true), (true, true)] {
        let group: Vec<&Arc<Member>> =
            left.iter().copied().filter(|member| member.backup == backup && member.is_down(now) == down).collect();
        let found = match (balance, hash) {
            (Balance::LeastRequest, _) => least(&group),
            (Balance::Random, _) => random(&group),
            (Balance::Hash, Some(hash)) => by_hash(&group, hash),
            (Balance::RoundRobin | Balance::Hash, _) => next(&group),
        };
        if let Some(found) = found {
            return Some(Arc::clone(found));
        }
    }
    None
}

/// Smooth weighted round robin: nobody gets two in a row while another is due.
fn next<'a>(group: &[&'a Arc<Member>]) -> Option<&'a Arc<Member>> {
    let total: i64 = group.iter().map(|member| i64::from(member.weight)).sum();
    for member in group {
        member.turn.fetch_add(member.weight.into(), Relaxed);
    }
    // The first of equals.
    let found = group.iter().rev().copied().max_by_key(|member| member.turn.load(Relaxed))?;
    found.turn.fetch_sub(total, Relaxed);
    Some(found)
}

/// The fewest requests for its weight; equals take turns.
fn least<'a>(group: &[&'a Arc<Member>]) -> Option<&'a Arc<Member>> {
    let load = |member: &Member| (member.active.load(Relaxed) as f64 + 1.0) / f64::from(member.weight);
    let least = group.iter().map(|member| load(member)).min_by(f64::total_cmp)?;
    let equals: Vec<_> = group.iter().copied().filter(|member| load(member) <= least).collect();
    next(&equals)
}

fn random<'a>(group: &[&'a Arc<Member>]) -> Option<&'a Arc<Member>> {
    let total: u64 = group.iter().map(|member| u64::from(member.weight)).sum();
    // Every RandomState is keyed differently, from the system's randomness.
    let mut drawn = RandomState::new().hash_one(0).checked_rem(total)?;
    group.iter().copied().find(|member| {
        let weight = u64::from(member.weight);
        let is_it = drawn < weight;
        drawn = drawn.saturating_sub(weight);
        is_it
    })
}

/// Rendezvous hashing: each endpoint has a score for the key, the highest wins; when one goes, only its keys move.
fn by_hash<'a>(group: &[&'a Arc<Member>], key: u64) -> Option<&'a Arc<Member>> {
    let score = |member: &Member| {
        let mut hasher = DefaultHasher::new();
        (&member.label, key).hash(&mut hasher);
        let unit = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -f64::from(member.weight) / unit.ln()
    };
    group.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::cluster::Address;

    fn members(weights: &[u32]) -> Vec<Arc<Member>> {
        let one = |(port, weight): (usize, &u32)| {
            let address = Address::Tcp { host: "127.0.0.1".into(), port: port as u16 + 1 };
            Arc::new(Member::new(&address, *weight, false, Duration::ZERO))
        };
        weights.iter().enumerate().map(one).collect()
    }

    fn counts(members: &[Arc<Member>], balance: Balance, rounds: u64) -> Vec<usize> {
        let mut counts = vec![0; members.len()];
        for round in 0..rounds {
            let found = choose(members, balance, Some(round), &[]).unwrap();
            counts[members.iter().position(|member| Arc::ptr_eq(member, &found)).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn weights_are_kept() {
        assert_eq!(counts(&members(&[1, 1, 1]), Balance::RoundRobin, 9), [3, 3, 3]);
        assert_eq!(counts(&members(&[5, 1, 1]), Balance::RoundRobin, 70), [50, 10, 10]);
        for balance in [Balance::Random, Balance::Hash] {
            let seen = counts(&members(&[3, 1]), balance, 4000);
            assert!((2700..3300).contains(&seen[0]), "{balance:?} {seen:?}");
        }
    }

    #[test]
    fn the_least_busy_is_next() {
        let members = members(&[1, 1, 1]);
        members[0].active.store(5, Relaxed);
        members[2].active.store(1, Relaxed);
        assert_eq!(counts(&members, Balance::LeastRequest, 3), [0, 3, 0]);
    }

    #[test]
    fn few_keys_move() {
        let all = members(&[1, 1, 1, 1]);
        let place = |members: &[Arc<Member>]| -> HashMap<u64, Arc<str>> {
            (0..1000)
                .map(|key| (key, Arc::clone(&choose(members, Balance::Hash, Some(key), &[]).unwrap().label)))
                .collect()
        };
        let (before, after) = (place(&all), place(&all[..3]));
        assert!(before.iter().all(|(key, label)| label == &after[key] || *label == all[3].label));
    }

    #[test]
    fn who_is_down_is_asked_last() {
        let all = members(&[1, 1]);
        all[0].went_down(Duration::from_secs(60), true);
        assert_eq!(counts(&all, Balance::RoundRobin, 4), [0, 4]);
        let second = choose(&all, Balance::RoundRobin, None, &all[1..]).unwrap();
        assert!(Arc::ptr_eq(&second, &all[0]));
        assert!(choose(&all, Balance::RoundRobin, None, &all).is_none());
    }
}
