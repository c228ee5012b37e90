//! The invariants, with families and bodies made at random.

use proptest::prelude::*;

use super::*;
use crate::{Bucket, Exemplar, Kind, Labels, NativeBuckets, Series, Value};

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), (0_u32..1_000_000).prop_map(f64::from), 0.0..1e-3_f64, 0.0..1e15_f64, Just(f64::INFINITY),]
}

fn count() -> impl Strategy<Value = f64> {
    (0_u64..1 << 53).prop_map(|count| count as f64)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,6}", "[ \\\\\"\n#{},=a-zé]{0,8}", "\\PC{0,5}"]
}

fn labels() -> impl Strategy<Value = Labels> {
    let name = prop_oneof!["[a-z_][a-z0-9_]{0,5}", "[a-z.\"\\\\ é]{1,4}"];
    prop::collection::btree_map(name, text(), 0..4).prop_map(|mut pairs| {
        pairs.retain(|name, _| !matches!(name.as_str(), "le" | "quantile" | "__name__"));
        Labels::new(pairs)
    })
}

fn exemplar() -> impl Strategy<Value = Option<Exemplar>> {
    let labels = prop::collection::btree_map("[a-z]{1,3}", "[a-zé]{0,6}", 0..3).prop_map(Labels::new);
    let made = (labels, number(), prop::option::of((0_u32..2_000_000_000).prop_map(f64::from)));
    prop::option::of(made.prop_map(|(labels, value, timestamp)| Exemplar { labels, value, timestamp }))
}

fn native() -> impl Strategy<Value = Option<NativeBuckets>> {
    let whole = prop::collection::btree_map(-500_i32..500, (1_u64..1000).prop_map(|count| count as f64), 0..12);
    let side = whole.prop_map(|buckets| buckets.into_iter().collect::<Vec<_>>());
    let made = (-4_i32..9, prop_oneof![Just(0.0), Just(1e-128)], 0_u64..100, side.clone(), side, any::<bool>());
    prop::option::of(made.prop_map(|(schema, zero_threshold, zero, positive, negative, halves)| {
        let half = |count: f64| if halves { count + 0.5 } else { count };
        let side = |side: Vec<(i32, f64)>| side.into_iter().map(|(place, count)| (place, half(count))).collect();
        NativeBuckets {
            schema,
            zero_threshold,
            zero_count: half(zero as f64),
            positive: side(positive),
            negative: side(negative),
        }
    }))
}

fn value(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Counter => (number(), exemplar()).prop_map(|(value, exemplar)| Value::Number { value, exemplar }).boxed(),
        Kind::Summary => {
            let quantiles = prop::collection::btree_map(0_u32..=1000, number(), 0..4);
            let pairs = quantiles.prop_map(|all| all.into_iter().map(|(at, v)| (f64::from(at) / 1000.0, v)).collect());
            let made = (count(), number(), pairs);
            made.prop_map(|(count, sum, quantiles)| Value::Summary { count: Some(count), sum: Some(sum), quantiles })
                .boxed()
        }
        Kind::Histogram => {
            let bounds = prop::collection::btree_map(0_u32..100_000, (0_u32..1000, exemplar()), 0..6);
            let made = (bounds, 0_u32..1000, number(), native());
            made.prop_map(|(bounds, more, sum, native)| {
                let mut total = 0.0;
                let mut buckets: Vec<_> = bounds
                    .into_iter()
                    .map(|(upper, (count, exemplar))| {
                        total += f64::from(count);
                        Bucket { upper: f64::from(upper) / 64.0, cumulative: total, exemplar: exemplar.map(Box::new) }
                    })
                    .collect();
                total += f64::from(more);
                buckets.push(Bucket { upper: f64::INFINITY, cumulative: total, exemplar: None });
                Value::Histogram { count: Some(total), sum: Some(sum), buckets, native }
            })
            .boxed()
        }
        _ => (number(), any::<bool>())
            .prop_map(|(value, minus)| Value::Number { value: if minus { -value } else { value }, exemplar: None })
            .boxed(),
    }
}

fn family(nth: usize) -> impl Strategy<Value = Family> {
    let kind = prop::sample::select(vec![Kind::Counter, Kind::Gauge, Kind::Summary, Kind::Histogram, Kind::Unknown]);
    let strategy = kind.prop_flat_map(move |kind| {
        let created = prop::option::of((0_u32..2_000_000_000).prop_map(f64::from));
        let timestamp = prop::option::of(0_i64..2_000_000_000_000);
        let series = prop::collection::btree_map(labels(), (value(kind), created, timestamp), 1..4);
        let name = prop_oneof!["[a-z_:][a-z0-9_:]{0,6}", "[a-z.é \"\\\\]{1,5}"];
        (Just(kind), name, prop::option::of(text()), any::<bool>(), series)
    });
    strategy.prop_map(move |(kind, name, help, has_unit, series)| {
        let unit = has_unit.then(|| "seconds".to_owned());
        let mut name = format!("{name}x{nth}");
        if has_unit {
            name.push_str("_seconds");
        }
        if kind == Kind::Counter {
            name.push_str("_total");
        }
        let may_begin = matches!(kind, Kind::Counter | Kind::Summary | Kind::Histogram);
        // The order of labels is that of the text; as sets they must differ, which a sorted map of them does not say.
        let series = series.into_iter().map(|(labels, (value, created, timestamp))| Series {
            labels,
            value,
            created: created.filter(|_| may_begin),
            timestamp,
        });
        Family { name, help, unit, kind, series: series.collect() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_read_back(one in family(1), two in family(2), three in family(3)) {
        families_are_read_as_they_were_written(&[one, two, three]);
    }

    #[test]
    fn anything_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        a_body_is_read_or_refused(&body);
    }

    #[test]
    fn lines_are_read_or_refused(
        lines in prop::collection::vec("(# (TYPE|HELP|UNIT) )?[abx]{1,2}(_total|_sum|_count|_bucket|_info)?([{](le|quantile|a|\"b\")=\"(1|0.5|\\+Inf|x)\"[}])? (counter|gauge|summary|histogram|info|stateset|-?1|0.5|NaN|\\+Inf)( 1)?( # [{][}] 1)?", 0..8),
        eof in any::<bool>(),
    ) {
        let body = lines.join("\n") + if eof { "\n# EOF\n" } else { "\n" };
        a_body_is_read_or_refused(body.as_bytes());
    }
}
