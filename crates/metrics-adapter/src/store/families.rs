//! Names and the types they have. A name that is used nowhere any more is free for another type.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
    sync::Arc,
};

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use super::series::Slab;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Counter,
    Gauge,
    Summary,
    Histogram,
}

impl Type {
    pub const ALL: [Self; 4] = [Self::Counter, Self::Gauge, Self::Summary, Self::Histogram];

    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
        }
    }

    /// What its samples are called beside the name itself.
    pub fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter | Self::Gauge => &[],
            Self::Summary => &["_sum", "_count"],
            Self::Histogram => &["_sum", "_count", "_bucket"],
        }
    }
}

pub type Values = BTreeMap<Box<str>, BTreeSet<Box<str>>>;

#[derive(Debug)]
pub struct Family {
    pub name: Arc<str>,
    pub kind: Type,
    pub help: Arc<str>,
    /// Most names of a flood have one.
    pub series: SmallVec<[u32; 2]>,
    /// Series that came, ever: those that grow are found by it.
    pub born: u64,
    /// Something below zero was observed.
    pub below_zero: bool,
    /// How many different values each label has, where that is limited.
    pub values: Option<Box<Values>>,
}

impl Family {
    pub fn note(&mut self, label: &str, value: &str) {
        self.values.get_or_insert_default().entry(label.into()).or_default().insert(value.into());
    }

    /// What it takes beside its series.
    pub fn footprint(&self) -> usize {
        // Its place in the tree, and the allocator's heads.
        size_of::<Self>() + self.name.len() + 96
    }
}

const CREATED: &str = "_created";

#[derive(Debug, Default)]
pub struct Families {
    all: Slab<Family>,
    /// In the order in which they are exposed.
    by_name: BTreeMap<Arc<str>, u32>,
    /// The same, for those who look for one of them: a scrape asks for each name what others it would meet.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// How many names end with what OpenMetrics keeps for itself: none, mostly.
    created: usize,
    of_type: [usize; Type::ALL.len()],
    helps: BTreeSet<Arc<str>>,
}

impl Families {
    pub fn find(&self, name: &str) -> Option<u32> {
        let is = |at: &u32| self.all.get(*at).is_some_and(|family| *family.name == *name);
        self.places.find(self.hasher.hash_one(name), is).copied()
    }

    pub fn get(&self, at: u32) -> Option<&Family> {
        self.all.get(at)
    }

    pub fn get_mut(&mut self, at: u32) -> Option<&mut Family> {
        self.all.get_mut(at)
    }

    /// In the order of their names.
    pub fn in_order(&self) -> impl Iterator<Item = u32> {
        self.by_name.values().copied()
    }

    /// How many names have each type.
    pub fn of_type(&self, kind: Type) -> usize {
        self.of_type[kind as usize]
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn add(&mut self, name: &str, kind: Type, help: &str) -> u32 {
        let (name, help) = (Arc::<str>::from(name), self.shared_help(help));
        let family = Family {
            name: Arc::clone(&name),
            kind,
            help,
            series: SmallVec::new(),
            born: 0,
            below_zero: false,
            values: None,
        };
        let at = self.all.add(family);
        self.of_type[kind as usize] += 1;
        self.created += usize::from(name.ends_with(CREATED));
        let Self { places, all, hasher, .. } = self;
        let hash = |name: &str| hasher.hash_one(name);
        places.insert_unique(hash(&name), at, |at| all.get(*at).map_or(0, |family| hash(&family.name)));
        self.by_name.insert(name, at);
        at
    }

    /// Most names have the same.
    fn shared_help(&mut self, help: &str) -> Arc<str> {
        if let Some(known) = self.helps.get(help) {
            return Arc::clone(known);
        }
        // Those that nobody has any more are from before a reload.
        self.helps.retain(|known| Arc::strong_count(known) > 1);
        let help = Arc::<str>::from(help);
        self.helps.insert(Arc::clone(&help));
        help
    }

    pub fn remove(&mut self, at: u32) -> Option<Family> {
        let name = Arc::clone(&self.all.get(at)?.name);
        if let Ok(place) = self.places.find_entry(self.hasher.hash_one(&*name), |known| *known == at) {
            place.remove();
        }
        let family = self.all.remove(at)?;
        self.by_name.remove(&family.name);
        self.created -= usize::from(family.name.ends_with(CREATED));
        self.of_type[family.kind as usize] -= 1;
        Some(family)
    }

    fn kind(&self, name: &str) -> Option<Type> {
        Some(self.get(self.find(name)?)?.kind)
    }

    /// Whether there is a name that OpenMetrics keeps for the time of this one's creation.
    pub fn has_created(&self, name: &str) -> bool {
        let base = name.strip_suffix("_total").unwrap_or(name);
        self.created > 0 && self.find(&format!("{base}{CREATED}")).is_some()
    }

    /// Whether a name cannot have this type: it has another one, or its samples would have the names of others.
    pub fn conflicts(&self, name: &str, kind: Type) -> bool {
        if let Some(has) = self.kind(name) {
            return has != kind;
        }
        let is_part = |suffix: &&str| {
            let whole = name.strip_suffix(*suffix).and_then(|base| self.kind(base));
            whole.is_some_and(|whole| match kind {
                // The peer is stricter here than it would have to be, and a name that it refuses is no series there.
                Type::Counter | Type::Gauge => whole != Type::Counter,
                Type::Summary | Type::Histogram => whole.suffixes().contains(suffix),
            })
        };
        let has_part = |suffix: &&str| self.find(&format!("{name}{suffix}")).is_some();
        Type::Histogram.suffixes().iter().any(is_part) || kind.suffixes().iter().any(has_part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_families_have_samples_of_one_name() {
        let mut families = Families::default();
        families.add("s", Type::Summary, "");
        families.add("h", Type::Histogram, "");
        families.add("c", Type::Counter, "");
        families.add("x_sum", Type::Gauge, "");
        families.add("y_bucket", Type::Counter, "");
        for (name, kind, conflicts) in [
            ("s", Type::Summary, false),
            ("s", Type::Gauge, true),
            ("s_sum", Type::Gauge, true),
            ("s_bucket", Type::Counter, true),
            ("s_sum", Type::Summary, true),
            ("s_bucket", Type::Histogram, false),
            ("h_bucket", Type::Summary, true),
            ("c_sum", Type::Gauge, false),
            ("x", Type::Summary, true),
            ("x", Type::Counter, false),
            ("y", Type::Summary, false),
            ("y", Type::Histogram, true),
            ("new", Type::Histogram, false),
        ] {
            assert_eq!(families.conflicts(name, kind), conflicts, "{name} {kind:?}");
        }
    }

    #[test]
    fn a_name_that_is_gone_is_free() {
        let mut families = Families::default();
        let at = families.add("a", Type::Gauge, "");
        assert!(families.conflicts("a", Type::Counter));
        families.remove(at);
        assert!(!families.conflicts("a", Type::Counter) && families.is_empty());
    }
}
