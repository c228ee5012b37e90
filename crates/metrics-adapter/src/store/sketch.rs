//! The shape of many observations in little memory, for quantiles.
//!
//! A few different values are kept as they are. More of them are put into bins whose width is a part of their value,
//! like those of a logarithmic scale; when there are too many bins, all of them become twice as wide. So the bins are as
//! fine as the values allow: a narrow distribution is seen as sharply as a wide one.

/// So many different values are kept exactly.
const MOST_EXACT: usize = 32;
const MOST_BINS: usize = 192;
/// So many are made room for at a time.
const ROOM: usize = 32;
/// Bits of a double's fraction that a bin's key can have.
const FRACTION_BITS: u32 = 20;

#[derive(Clone, Debug)]
pub struct Sketch {
    kept: Kept,
    least: f64,
    greatest: f64,
}

#[derive(Clone, Debug)]
enum Kept {
    /// Sorted by value.
    Exact(Vec<(f64, u32)>),
    /// Sorted by key.
    Binned { bins: Vec<(u32, u32)>, bits: u32 },
}

impl Default for Sketch {
    fn default() -> Self {
        Self { kept: Kept::Exact(Vec::new()), least: f64::INFINITY, greatest: f64::NEG_INFINITY }
    }
}

impl Sketch {
    pub fn add(&mut self, value: f64, weight: u32) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        match &mut self.kept {
            Kept::Exact(values) => {
                match values.binary_search_by(|(known, _)| known.total_cmp(&value)) {
                    Ok(at) => values[at].1 = values[at].1.saturating_add(weight),
                    Err(at) => values.insert(at, (value, weight)),
                }
                if values.len() > MOST_EXACT {
                    self.kept = binned(values);
                }
            }
            Kept::Binned { bins, bits } => {
                let find =
                    |bins: &[(u32, u32)], bits| bins.binary_search_by_key(&key(value, bits), |(known, _)| *known);
                let mut place = find(bins, *bits);
                while place.is_err() && bins.len() >= MOST_BINS && *bits > 0 {
                    widen(bins, bits);
                    place = find(bins, *bits);
                }
                match place {
                    Ok(at) => bins[at].1 = bins[at].1.saturating_add(weight),
                    Err(at) => {
                        if bins.len() == bins.capacity() {
                            bins.reserve_exact(ROOM);
                        }
                        bins.insert(at, (key(value, *bits), weight));
                    }
                }
            }
        }
    }

    /// What it takes, in bytes.
    pub fn footprint(&self) -> usize {
        match &self.kept {
            Kept::Exact(values) => values.capacity() * size_of::<(f64, u32)>(),
            Kept::Binned { bins, .. } => bins.capacity() * size_of::<(u32, u32)>(),
        }
    }

    /// Gives back what it will not need when nothing is added any more.
    pub fn close(&mut self) {
        match &mut self.kept {
            Kept::Exact(values) => values.shrink_to_fit(),
            Kept::Binned { bins, .. } => bins.shrink_to_fit(),
        }
    }

    fn spans(&self, into: &mut Vec<Span>) {
        match &self.kept {
            Kept::Exact(values) => into.extend(values.iter().map(|&(value, count)| Span::point(value, count))),
            Kept::Binned { bins, bits } => into.extend(bins.iter().map(|&(key, count)| Span {
                from: bound(key).max(self.least),
                to: bound(next(key, *bits)).min(self.greatest),
                count: u64::from(count),
            })),
        }
    }
}

/// Observations between two values.
#[derive(Clone, Copy)]
struct Span {
    from: f64,
    to: f64,
    count: u64,
}

impl Span {
    fn point(value: f64, count: u32) -> Self {
        Self { from: value, to: value, count: u64::from(count) }
    }
}

/// The quantiles of all that is in some sketches together: the value of the observation with the rank `ceil(q * n)`. Not
/// a number where there is nothing.
pub fn quantiles<'s>(sketches: impl Iterator<Item = &'s Sketch>, asked: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut spans = Vec::new();
    sketches.for_each(|sketch| sketch.spans(&mut spans));
    spans.sort_by(|one, other| one.from.total_cmp(&other.from));
    let total: u64 = spans.iter().map(|span| span.count).sum();
    let value = |quantile: f64| {
        let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        for span in &spans {
            if below + span.count >= rank {
                let within = (rank - below) as f64 / span.count as f64;
                return span.from + (span.to - span.from) * within;
            }
            below += span.count;
        }
        f64::NAN
    };
    asked.map(value).collect()
}

fn binned(values: &[(f64, u32)]) -> Kept {
    let mut bits = FRACTION_BITS;
    let mut bins: Vec<(u32, u32)> = Vec::with_capacity(MOST_EXACT + ROOM);
    for &(value, count) in values {
        let key = key(value, bits);
        match bins.last_mut() {
            Some(last) if last.0 == key => last.1 = last.1.saturating_add(count),
            _ => bins.push((key, count)),
        }
    }
    while bins.len() > MOST_BINS && bits > 0 {
        widen(&mut bins, &mut bits);
    }
    Kept::Binned { bins, bits }
}

/// The upper half of the value's bits, turned so that it sorts as the value does, with `bits` bits of fraction.
fn key(value: f64, bits: u32) -> u32 {
    let raw = value.to_bits();
    let sorted = if raw >> 63 == 1 { !raw } else { raw | 1 << 63 };
    (sorted >> 32) as u32 & mask(bits)
}

fn mask(bits: u32) -> u32 {
    u32::MAX << (FRACTION_BITS - bits)
}

fn next(key: u32, bits: u32) -> u32 {
    key.saturating_add(1 << (FRACTION_BITS - bits))
}

/// The least value of a bin.
fn bound(key: u32) -> f64 {
    let sorted = u64::from(key) << 32;
    let raw = if sorted >> 63 == 1 { sorted & !(1 << 63) } else { !sorted };
    f64::from_bits(raw)
}

fn widen(bins: &mut Vec<(u32, u32)>, bits: &mut u32) {
    *bits -= 1;
    let mask = mask(*bits);
    bins.iter_mut().for_each(|bin| bin.0 &= mask);
    bins.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 = earlier.1.saturating_add(later.1);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = f64>) -> Sketch {
        let mut sketch = Sketch::default();
        values.for_each(|value| sketch.add(value, 1));
        sketch
    }

    /// How far the rank of the answer is from what was asked for.
    fn rank_error(sorted: &[f64], quantile: f64, answer: f64) -> f64 {
        let below = sorted.partition_point(|value| *value < answer) as f64 / sorted.len() as f64;
        let to = sorted.partition_point(|value| *value <= answer) as f64 / sorted.len() as f64;
        if quantile < below { below - quantile } else { (quantile - to).max(0.0) }
    }

    #[test]
    fn few_values_are_exact() {
        let sketch = of([0.01, 20.0, 0.0005, 3.0, 0.12, 0.00001].into_iter());
        assert_eq!(quantiles([&sketch].into_iter(), [0.5, 0.9, 0.99].into_iter()), [0.01, 20.0, 20.0]);
        assert!(quantiles([&Sketch::default()].into_iter(), [0.5].into_iter())[0].is_nan());
    }

    #[test]
    fn ranks_are_as_near_as_promised() {
        let steps = 40_000;
        let unit = |n: u32| (f64::from(n.wrapping_mul(2_654_435_761) % 1_000_003) + 0.5) / 1_000_003.0;
        let exponential = |n: u32| -unit(n).ln() * 0.02;
        let narrow = |n: u32| 1000.0 + unit(n);
        let wide = |n: u32| 10_f64.powf(unit(n) * 6.0 - 4.0);
        let negative = |n: u32| unit(n) * 2.0 - 1.0;
        let shapes: [(&str, &dyn Fn(u32) -> f64); 4] =
            [("exponential", &exponential), ("narrow", &narrow), ("wide", &wide), ("both signs", &negative)];
        for (name, shape) in shapes {
            let mut all: Vec<f64> = (0..steps).map(shape).collect();
            let sketch = of(all.iter().copied());
            all.sort_by(f64::total_cmp);
            for (quantile, error) in [(0.5, 0.05), (0.9, 0.01), (0.99, 0.001)] {
                let answer = quantiles([&sketch].into_iter(), [quantile].into_iter())[0];
                let off = rank_error(&all, quantile, answer);
                assert!(off <= error, "{name} {quantile}: {answer} is {off} off");
            }
            assert!(sketch.footprint() <= 4096, "{name}: {}", sketch.footprint());
        }
    }

    #[test]
    fn values_of_any_size_keep_it_small() {
        let sketch =
            of((0..5000)
                .map(|n: u32| 10_f64.powi(n as i32 % 600 - 300) * if n.is_multiple_of(2) { 1.0 } else { -1.0 }));
        assert!(sketch.footprint() <= 65_536);
        let answers = quantiles([&sketch].into_iter(), [0.0, 1.0].into_iter());
        assert!(answers.iter().all(|answer| answer.is_finite()), "{answers:?}");
    }

    #[test]
    fn sketches_are_read_together() {
        let (one, other) = (of((0..50).map(f64::from)), of((50..100).map(f64::from)));
        let both = quantiles([&one, &other].into_iter(), [0.5, 0.99].into_iter());
        assert!((both[0] - 49.0).abs() < 0.5 && (both[1] - 98.0).abs() < 0.5, "{both:?}");
    }
}
