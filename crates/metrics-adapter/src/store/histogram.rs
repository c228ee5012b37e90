//! A histogram: buckets with bounds that were given, and beside them buckets that grow by a factor.

use std::sync::Arc;

use crate::map;

/// What many series share.
#[derive(Debug, PartialEq)]
pub struct Spec {
    pub bounds: Vec<f64>,
    native: Option<NativeSpec>,
}

#[derive(Debug, PartialEq)]
struct NativeSpec {
    schema: i32,
    most_buckets: usize,
    /// Bounds between 0.5 and 1, where the fraction of a double is.
    fractions: Vec<f64>,
}

/// Values nearer to zero than this are zero.
pub const ZERO_THRESHOLD: f64 = f64::from_bits((1023 - 128) << 52);
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

impl Spec {
    pub fn new(model: &map::Histogram) -> Self {
        Self { bounds: model.buckets.clone(), native: model.native.map(NativeSpec::new) }
    }
}

impl NativeSpec {
    /// The widest buckets that grow by no more than the factor.
    fn new(model: map::Native) -> Self {
        let schema = -(model.factor.log2().log2().floor() as i32);
        let schema = schema.clamp(*SCHEMAS.start(), *SCHEMAS.end());
        let steps = 1_u32 << schema.max(0);
        let fractions = (0..steps).map(|step| 0.5 * 2_f64.powf(f64::from(step) / f64::from(steps))).collect();
        Self { schema, most_buckets: model.most_buckets as usize, fractions }
    }

    /// The bucket of a value at the finest schema.
    fn key(&self, value: f64) -> i32 {
        let (fraction, exponent) = parts(value.abs());
        if self.schema > 0 {
            let steps = self.fractions.len() as i32;
            return self.fractions.partition_point(|bound| *bound < fraction) as i32 + (exponent - 1) * steps;
        }
        let key = if fraction == 0.5 { exponent - 1 } else { exponent };
        wider(key, -self.schema as u32)
    }
}

/// `value = fraction * 2^exponent`, the fraction from 0.5 to below 1.
fn parts(value: f64) -> (f64, i32) {
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = value.to_bits();
    match (bits >> 52) as i32 {
        0 if value > 0.0 => {
            let (fraction, exponent) = parts(value * 2_f64.powi(54));
            (fraction, exponent - 54)
        }
        exponent => (f64::from_bits(bits & FRACTION | 1022 << 52), exponent - 1022),
    }
}

/// The bucket that contains this one when buckets have become twice as wide, `times` times.
fn wider(key: i32, times: u32) -> i32 {
    (key + (1 << times) - 1) >> times
}

#[derive(Debug)]
pub struct Histogram {
    spec: Arc<Spec>,
    count: u64,
    sum: f64,
    /// One for each bound, and one for what is above all of them. Not cumulative.
    buckets: Box<[u64]>,
    native: Option<Box<Native>>,
}

/// The buckets that exist because something is in them.
#[derive(Debug, Default)]
pub struct Native {
    pub schema: i32,
    pub zero: u64,
    pub positive: Vec<(i32, u64)>,
    pub negative: Vec<(i32, u64)>,
}

impl Histogram {
    pub fn new(spec: Arc<Spec>) -> Self {
        let native = spec.native.as_ref().map(|native| Box::new(Native { schema: native.schema, ..Native::default() }));
        Self { count: 0, sum: 0.0, buckets: vec![0; spec.bounds.len() + 1].into(), native, spec }
    }

    pub fn observe(&mut self, value: f64, weight: u32) {
        let weight = u64::from(weight);
        self.count = self.count.saturating_add(weight);
        self.sum += value * weight as f64;
        let at = self.bucket(value);
        self.buckets[at] = self.buckets[at].saturating_add(weight);
        if let (Some(native), Some(spec)) = (&mut self.native, &self.spec.native) {
            native.observe(value, weight, spec);
        }
    }

    /// The place of the bucket of a value; that of none is after the last bound.
    pub fn bucket(&self, value: f64) -> usize {
        self.spec.bounds.partition_point(|bound| *bound < value)
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn sum(&self) -> f64 {
        self.sum
    }

    pub fn native(&self) -> Option<&Native> {
        self.native.as_deref()
    }

    /// Each bound and how many observations are not above it. The infinite bound is not among them: its count is all.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut below = 0_u64;
        self.spec.bounds.iter().zip(&self.buckets).map(move |(bound, count)| {
            below = below.saturating_add(*count);
            (*bound, below)
        })
    }

    pub fn footprint(&self) -> usize {
        let bucket = size_of::<(i32, u64)>();
        let native = self.native.as_ref().map_or(0, |native| {
            size_of::<Native>() + bucket * (native.positive.capacity() + native.negative.capacity())
        });
        size_of::<Self>() + size_of_val(&*self.buckets) + native
    }
}

impl Native {
    fn observe(&mut self, value: f64, weight: u64, spec: &NativeSpec) {
        if value.abs() <= ZERO_THRESHOLD {
            self.zero = self.zero.saturating_add(weight);
            return;
        }
        let key = wider(spec.key(value), (spec.schema - self.schema) as u32);
        let buckets = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        match buckets.binary_search_by_key(&key, |(known, _)| *known) {
            Ok(at) => buckets[at].1 = buckets[at].1.saturating_add(weight),
            Err(at) => buckets.insert(at, (key, weight)),
        }
        while spec.most_buckets > 0
            && self.positive.len() + self.negative.len() > spec.most_buckets
            && self.schema > *SCHEMAS.start()
        {
            self.schema -= 1;
            double(&mut self.positive);
            double(&mut self.negative);
        }
    }
}

fn double(buckets: &mut Vec<(i32, u64)>) {
    buckets.iter_mut().for_each(|bucket| bucket.0 = wider(bucket.0, 1));
    buckets.dedup_by(|later, earlier| {
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

    fn histogram(native: Option<map::Native>) -> Histogram {
        Histogram::new(Arc::new(Spec::new(&map::Histogram { buckets: vec![1.0, 2.0, 5.0], native })))
    }

    #[test]
    fn buckets_contain_their_bound() {
        let mut histogram = histogram(None);
        for value in [0.5, 1.0, 1.5, 5.0, 6.0] {
            histogram.observe(value, 2);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(1.0, 4), (2.0, 6), (5.0, 8)]);
        assert_eq!((histogram.count(), histogram.sum()), (10, 28.0));
    }

    #[test]
    fn native_buckets_grow_by_the_factor() {
        let mut histogram = histogram(Some(map::Native { factor: 1.1, most_buckets: 0 }));
        for value in [0.0, 1.0, 1.0, 2.0, 1.5, -4.0] {
            histogram.observe(value, 1);
        }
        let native = histogram.native().unwrap();
        // 2^(1/8) is the largest root of two below 1.1; bucket 0 ends at 1, bucket 8 at 2.
        assert_eq!((native.schema, native.zero), (3, 1));
        assert_eq!(native.positive, [(0, 2), (5, 1), (8, 1)]);
        assert_eq!(native.negative, [(16, 1)]);
    }

    #[test]
    fn native_buckets_are_never_too_many() {
        let mut histogram = histogram(Some(map::Native { factor: 1.1, most_buckets: 10 }));
        (1..1000).for_each(|n| histogram.observe(f64::from(n), 1));
        let native = histogram.native().unwrap();
        assert!(native.positive.len() <= 10 && native.schema < 3, "{native:?}");
        assert_eq!(native.positive.iter().map(|bucket| bucket.1).sum::<u64>(), 999);
    }

    #[test]
    fn wide_schemas_and_tiny_values_have_their_buckets() {
        let spec = |factor| NativeSpec::new(map::Native { factor, most_buckets: 0 });
        assert_eq!((spec(2.0).key(1.0), spec(2.0).key(1.1), spec(2.0).key(0.3)), (0, 1, -1));
        assert_eq!((spec(4.0).schema, spec(4.0).key(4.0), spec(4.0).key(4.1)), (-1, 1, 2));
        assert_eq!(parts(f64::from_bits(1)), (0.5, -1073));
        assert_eq!(parts(1.0), (0.5, 1));
    }
}
