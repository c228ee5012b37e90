//! A summary: count, sum, and quantiles of what was observed lately.

use std::sync::Arc;

use super::{
    clock::Tick,
    sketch::{self, Sketch},
};
use crate::map;

/// What many series share.
#[derive(Debug, PartialEq)]
pub struct Spec {
    pub quantiles: Vec<f64>,
    step: u32,
    steps: usize,
}

impl Spec {
    pub fn new(model: &map::Summary) -> Self {
        let steps = model.age_buckets.max(1);
        Self {
            quantiles: model.quantiles.iter().map(|quantile| quantile.quantile).collect(),
            step: (Tick::span(model.max_age) / steps).max(1),
            steps: steps as usize,
        }
    }
}

#[derive(Debug)]
pub struct Summary {
    spec: Arc<Spec>,
    count: u64,
    sum: f64,
    /// The oldest first. What is older than all steps together does not count any more.
    ages: Vec<(Tick, Sketch)>,
}

impl Summary {
    pub fn new(spec: Arc<Spec>) -> Self {
        Self { spec, count: 0, sum: 0.0, ages: Vec::new() }
    }

    pub fn observe(&mut self, value: f64, weight: u32, now: Tick) {
        self.count = self.count.saturating_add(u64::from(weight));
        self.sum += value * f64::from(weight);
        match self.ages.last_mut() {
            Some((begun, sketch)) if now.since(*begun) < self.spec.step => sketch.add(value, weight),
            _ => self.begin(value, weight, now),
        }
    }

    fn begin(&mut self, value: f64, weight: u32, now: Tick) {
        if let Some((_, sketch)) = self.ages.last_mut() {
            sketch.close();
        }
        self.ages.retain(|(begun, _)| self.spec.counts(*begun, now));
        let mut sketch = Sketch::default();
        sketch.add(value, weight);
        self.ages.push((now, sketch));
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Each quantile and its value; nothing observed lately is not a number.
    pub fn quantiles(&self, now: Tick) -> Vec<(f64, f64)> {
        let young = self.ages.iter().filter(|(begun, _)| self.spec.counts(*begun, now));
        let asked = &self.spec.quantiles;
        let values = sketch::quantiles(young.map(|(_, sketch)| sketch), asked.iter().copied());
        asked.iter().copied().zip(values).collect()
    }

    pub fn footprint(&self) -> usize {
        let ages = self.ages.capacity() * size_of::<(Tick, Sketch)>();
        size_of::<Self>() + ages + self.ages.iter().map(|(_, sketch)| sketch.footprint()).sum::<usize>()
    }
}

impl Spec {
    fn counts(&self, begun: Tick, now: Tick) -> bool {
        (now.since(begun) / self.step) < self.steps as u32
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn quantiles_forget_and_sums_do_not() {
        let model = map::Summary { max_age: Duration::from_secs(10), age_buckets: 5, ..map::Summary::default() };
        let mut summary = Summary::new(Arc::new(Spec::new(&model)));
        summary.observe(1.0, 1, Tick(0));
        summary.observe(3.0, 2, Tick(50));
        assert_eq!(summary.quantiles(Tick(60))[0], (0.5, 3.0));
        assert_eq!(summary.quantiles(Tick(60)).len(), 3);
        assert_eq!(summary.quantiles(Tick(120))[0], (0.5, 3.0));
        assert!(summary.quantiles(Tick(200))[0].1.is_nan());
        assert_eq!((summary.count(), summary.sum()), (3, 7.0));
    }
}
