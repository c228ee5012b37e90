//! All metrics, written in steps: the store is locked for each of them anew, and lines go on coming in between.

mod parts;

use std::{borrow::Cow, sync::Arc};

use parking_lot::MutexGuard;

use exposition::{Bucket, Encoder, Family, Head, Kind, Labels, Native, Point, Sample, Shape};

use crate::{
    expose::Scrape,
    relabel,
    shared::Shared,
    store::{
        Store,
        clock::Tick,
        families::{self, Type},
        histogram::{self, Histogram},
        series::{Series, Value},
    },
};

/// So much is written under one lock: some hundred microseconds.
const COST_OF_STEP: usize = 1000;
/// A quantile is read from many numbers, a counter is one.
const COST_OF_OBSERVATIONS: usize = 20;
/// A scrape that is being answered.
pub struct Body {
    shared: Arc<Shared>,
    now: Tick,
    /// Places of the names that are still to come, the next one last.
    families: Vec<u32>,
    /// Where in the next of them.
    series: usize,
    /// Which part of it, if it is written in parts.
    part: usize,
    /// What is not in the store. It comes at the end.
    others: Vec<Family>,
    /// Lines there were when this began.
    lines: u64,
    scratch: Scratch,
}

/// Exemplars, and the places of their buckets.
type Noted<'s> = &'s [(usize, exposition::Exemplar)];

/// Memory for one series, used again for the next.
#[derive(Default)]
struct Scratch {
    buckets: Vec<Bucket>,
    positive: Vec<(i32, f64)>,
    negative: Vec<(i32, f64)>,
}

impl Body {
    pub fn new(shared: &Arc<Shared>, others: Vec<Family>) -> Self {
        let now = shared.clock.now();
        let mut store = shared.store.lock();
        let mut families = store.begin_reading(now);
        let lines = store.counts().lines;
        let rules = Arc::clone(&store.rules().output);
        let others = relabel::families(others, &rules, |name| store.has_like(name));
        drop(store);
        families.reverse();
        Self {
            shared: Arc::clone(shared),
            now,
            families,
            series: 0,
            part: 0,
            others,
            lines,
            scratch: Scratch::default(),
        }
    }
}

impl Scrape for Body {
    fn more(&mut self, encoder: &mut Encoder) -> bool {
        if self.families.is_empty() {
            std::mem::take(&mut self.others).iter().for_each(|family| family.write_to(encoder));
            return false;
        }
        let shared = Arc::clone(&self.shared);
        let store = shared.store.lock();
        self.step(&store, encoder);
        // To those who wait, not to ourselves again.
        MutexGuard::unlock_fair(store);
        true
    }

    fn done(&mut self) {
        self.shared.scrapes.done(self.lines);
    }
}

impl Body {
    fn step(&mut self, store: &Store, encoder: &mut Encoder) {
        let is_open = encoder.format().shape == Shape::OpenMetrics;
        let mut cost = 0;
        while cost < COST_OF_STEP
            && let Some(at) = self.families.last()
        {
            let Some(family) = store.families().get(*at) else {
                self.next_family();
                continue;
            };
            let is_apart = is_open && (family.below_zero || store.families().has_created(&family.name));
            let parts = if is_apart { parts::of(family.kind) } else { &[] };
            let part = parts.get(self.part).copied();
            if self.series == 0 {
                let (name, kind) = match part {
                    Some(part) => (part.name(&family.name), Kind::Unknown),
                    None => (Cow::Borrowed(&*family.name), kind(store, family, is_open)),
                };
                encoder.family(&Head { name: &name, help: Some(&family.help), unit: None, kind });
            }
            let says_created = encoder.format().shape != Shape::Text && part.is_none();
            while cost < COST_OF_STEP
                && let Some(at) = family.series.get(self.series)
            {
                self.series += 1;
                let Some(series) = store.series(*at) else { continue };
                cost += match part {
                    Some(part) => part.write(series, self.now, encoder),
                    None => {
                        let created = says_created.then(|| self.shared.clock.seconds(series.created));
                        let exemplars = if says_created { store.exemplars(*at) } else { &[] };
                        self.scratch.write(series, self.now, created, exemplars, encoder)
                    }
                };
            }
            if self.series >= family.series.len() {
                self.series = 0;
                self.part += 1;
                if self.part >= parts.len() {
                    self.next_family();
                }
            }
        }
    }

    fn next_family(&mut self) {
        self.families.pop();
        self.series = 0;
        self.part = 0;
    }
}

/// OpenMetrics calls the counter `a_total` by the name `a`. Where there is another `a`, it keeps its own name.
fn kind(store: &Store, family: &families::Family, is_open: bool) -> Kind {
    match family.kind {
        Type::Counter => {
            let base = is_open.then(|| family.name.strip_suffix("_total")).flatten();
            let is_shared = base.is_some_and(|base| store.families().find(base).is_some());
            if is_shared || (is_open && store.families().has_created(&family.name)) {
                Kind::Unknown
            } else {
                Kind::Counter
            }
        }
        Type::Gauge => Kind::Gauge,
        Type::Summary => Kind::Summary,
        Type::Histogram => Kind::Histogram,
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.shared.store.lock().end_reading();
    }
}

impl Scratch {
    /// What it cost, in counters.
    fn write(
        &mut self,
        series: &Series,
        now: Tick,
        created: Option<f64>,
        exemplars: Noted<'_>,
        encoder: &mut Encoder,
    ) -> usize {
        let Series { labels, value, .. } = series;
        let mut sample = |point, created| encoder.sample(&Sample { labels, point, created, timestamp: None });
        match value {
            Value::Counter(total) => {
                let exemplar = exemplars.first().map(|(_, exemplar)| exemplar);
                sample(Point::Number { value: *total, exemplar }, created);
            }
            Value::Gauge(value) => sample(Point::number(*value), None),
            Value::Distinct(distinct) => sample(Point::number(distinct.count(now) as f64), None),
            Value::Summary(summary) => {
                let quantiles = summary.quantiles(now);
                let (count, sum) = (Some(summary.count() as f64), Some(summary.sum()));
                sample(Point::Summary { count, sum, quantiles: &quantiles }, created);
            }
            Value::Histogram(histogram) => self.histogram(histogram, labels, created, exemplars, encoder),
        }
        match value {
            Value::Counter(_) | Value::Gauge(_) => 1,
            _ => COST_OF_OBSERVATIONS,
        }
    }

    fn histogram(
        &mut self,
        histogram: &Histogram,
        labels: &Labels,
        created: Option<f64>,
        exemplars: Noted<'_>,
        encoder: &mut Encoder,
    ) {
        let bucket = |(upper, count)| Bucket { upper, cumulative: count as f64, exemplar: None };
        self.buckets.clear();
        self.buckets.extend(histogram.cumulative().map(bucket));
        self.buckets.push(bucket((f64::INFINITY, histogram.count())));
        for (at, exemplar) in exemplars {
            if let Some(bucket) = self.buckets.get_mut(*at) {
                bucket.exemplar = Some(Box::new(exemplar.clone()));
            }
        }
        self.positive.clear();
        self.negative.clear();
        let number = |(at, count): &(i32, u64)| (*at, *count as f64);
        let native = histogram.native().map(|native| {
            self.positive.extend(native.positive.iter().map(number));
            self.negative.extend(native.negative.iter().map(number));
            Native {
                schema: native.schema,
                zero_threshold: histogram::ZERO_THRESHOLD,
                zero_count: native.zero as f64,
                positive: &self.positive,
                negative: &self.negative,
            }
        });
        let point = Point::Histogram(exposition::Histogram {
            count: Some(histogram.count() as f64),
            sum: Some(histogram.sum()),
            buckets: &self.buckets,
            native,
        });
        encoder.sample(&Sample { labels, point, created, timestamp: None });
    }
}
