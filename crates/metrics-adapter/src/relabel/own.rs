//! Rules on metrics that are made when somebody asks, which are those about this process.
//!
//! Lines are relabelled once, when they are new. These are too few to remember anything about them.

use std::collections::{BTreeMap, BTreeSet};

use exposition::{Family, Labels, Series};

use super::{NAME, Relabeling};
use crate::map::escape;

/// What is left of them. A series whose name or labels are somebody else's by now is left out: two of a name and labels,
/// or of two types, would make all that is exposed unreadable. `is_taken` says it of a new name.
pub fn families(families: Vec<Family>, rules: &Relabeling, is_taken: impl Fn(&str) -> bool) -> Vec<Family> {
    if rules.is_empty() {
        return families;
    }
    let mut kept: BTreeMap<String, Family> = BTreeMap::new();
    let mut known = BTreeSet::new();
    let names: BTreeSet<String> = families.iter().map(|family| family.name.clone()).collect();
    for Family { name, help, unit, kind, series } in families {
        for one in series {
            let Some((new, labels)) = relabelled(&name, &one.labels, rules) else { continue };
            // A name that another of these has already is only free for what is of the same type.
            let is_free = new == name || !is_taken(&new) && !names.iter().any(|name| clashes(name, &new));
            let is_other = kept.get(&new).is_some_and(|family| family.kind != kind);
            if !is_free || is_other || !known.insert((new.clone(), labels.text().to_owned())) {
                continue;
            }
            let empty =
                || Family { name: new.clone(), help: help.clone(), unit: unit.clone(), kind, series: Vec::new() };
            kept.entry(new.clone()).or_insert_with(empty).series.push(Series { labels, ..one });
        }
    }
    kept.into_values().collect()
}

fn relabelled(name: &str, labels: &Labels, rules: &Relabeling) -> Option<(String, Labels)> {
    let mut pairs: Vec<_> = labels.pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    pairs.push((NAME.to_owned(), name.to_owned()));
    if !rules.apply(&mut pairs) {
        return None;
    }
    let at = pairs.iter().position(|(name, _)| name == NAME)?;
    let (_, name) = pairs.remove(at);
    Some((escape(&name).into_owned(), Labels::new(pairs)))
}

pub const SUFFIXES: [&str; 6] = ["_total", "_created", "_sum", "_count", "_bucket", "_info"];

/// What a name is called without what formats append to names.
pub fn base(name: &str) -> &str {
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// Whether samples of two families could have the same name in some format, although the families have not.
fn clashes(name: &str, other: &str) -> bool {
    name != other && base(name) == base(other)
}
