//! What lines add up to, and what they cannot do.

use std::time::Duration;

use super::*;
use crate::map::{Defaults, Entry, Matcher, Observer, Ordering, Rule};

fn limits() -> Limits {
    Limits { series: None, series_per_name: None, label_values: None, memory: 1 << 20 }
}

fn store(mapping: Mapping, limits: Limits) -> Store {
    let rules = Rules { mapping: Arc::new(mapping), ..Rules::default() };
    Store::new(rules, limits, Reserved::new(["own_metric".to_owned()].into_iter(), Vec::new()))
}

fn plain() -> Store {
    store(Mapping::default(), limits())
}

/// Everything there is, one series in a line.
fn shown(store: &Store, now: Tick) -> Vec<String> {
    let mut shown = Vec::new();
    for family in store.families().in_order().filter_map(|at| store.families().get(at)) {
        for series in family.series.iter().filter_map(|at| store.series(*at)) {
            let value = match &series.value {
                Value::Counter(value) | Value::Gauge(value) => value.to_string(),
                Value::Summary(summary) => format!("{}/{}", summary.sum(), summary.count()),
                Value::Histogram(histogram) => format!("{}/{}", histogram.sum(), histogram.count()),
                Value::Distinct(distinct) => distinct.count(now).to_string(),
            };
            shown.push(format!("{}{{{}}} {value}", family.name, series.labels.text()));
        }
    }
    shown
}

fn refused(store: &Store, refused: Refused) -> u64 {
    store.counts().refused[refused as usize]
}

#[test]
fn lines_add_up_the_first_time_and_every_other() {
    let mut store = plain();
    for _ in 0..3 {
        for line in
            ["c:1|c|#b:2,a:1", "c:2|c|@0.5|#a:1,b:2", "g:5|g", "g:+2|g", "t:100|ms|@0.1", "s:x|s", "s:y|s", "m:1|c:2|c"]
        {
            store.take(0, line.as_bytes(), Tick(1));
        }
    }
    let expected = [r#"c{a="1",b="2"} 15"#, "g{} 7", "m{} 9", "s{} 2", "t{} 3/30"];
    assert_eq!(shown(&store, Tick(1)), expected);
    assert_eq!(store.counts().samples, 27);
    assert_eq!(store.counts().events, [12, 6, 30, 6]);
    assert_eq!(store.size().keys, 5);
}

#[test]
fn timestamps_do_not_make_keys() {
    let mut store = plain();
    (0..100).for_each(|n| store.take(0, format!("c:1|c|#a:b|T{n}").as_bytes(), Tick(1)));
    assert_eq!((store.size().keys, shown(&store, Tick(1))), (1, vec![r#"c{a="b"} 100"#.to_owned()]));
}

#[test]
fn lines_that_are_ever_different_take_no_memory() {
    let mut store = plain();
    (1..100_000).for_each(|n| store.take(0, format!("c:1|c|@0.{n:06}").as_bytes(), Tick(1)));
    assert!(store.size().keys < 5000 && store.size().series == 1, "{:?}", store.size());
}

#[test]
fn nothing_poisons_what_is_there() {
    let mut store = plain();
    store.take(0, b"c:1|c", Tick(1));
    store.take(0, b"g:1|g", Tick(1));
    store.take(0, b"t:1|h", Tick(1));
    for line in [
        "c:NaN|c",
        "c:+Inf|c",
        "c:-1|c",
        "c:1|g",
        "g:NaN|g",
        "g:1e308|g",
        "g:+1e308|g",
        "t:inf|h",
        "t:1|h|#quantile:5",
        "c:1|c|#__name__:x",
        "foo]a=1[:",
        "own_metric:1|c",
        "own:1|h|#__x:1",
        "c:1|c|@1e-300",
        "t_sum:1|c",
    ] {
        store.take(0, line.as_bytes(), Tick(1));
    }
    assert_eq!(shown(&store, Tick(1))[..1], ["c{} 2"]);
    assert_eq!(store.size().series, 3, "{:?}", shown(&store, Tick(1)));
    assert_eq!(refused(&store, Refused::ReservedLabel), 3);
    assert_eq!(refused(&store, Refused::ReservedName), 1);
    assert_eq!(refused(&store, Refused::Conflict), 2);
    assert_eq!(refused(&store, Refused::NegativeCounter), 1);
    assert_eq!(refused(&store, Refused::Overflow), 1);
}

#[test]
fn a_tiny_rate_costs_no_more_than_another() {
    let mut store = plain();
    store.take(0, b"foo:1|ms|@0.0000001", Tick(1));
    assert_eq!(shown(&store, Tick(1)), ["foo{} 10000/10000000"]);
}

#[test]
fn limits_hold_and_what_is_there_goes_on() {
    let limited = Limits { series: Some(5), series_per_name: Some(2), ..limits() };
    let mut store = store(Mapping::default(), limited);
    for _ in 0..2 {
        (0..4).for_each(|n| store.take(0, format!("a:1|c|#n:{n}").as_bytes(), Tick(1)));
        (0..4).for_each(|n| store.take(0, format!("b{n}:1|c").as_bytes(), Tick(1)));
    }
    assert_eq!(shown(&store, Tick(1)), [r#"a{n="0"} 2"#, r#"a{n="1"} 2"#, "b0{} 2", "b1{} 2", "b2{} 2"]);
    assert_eq!((refused(&store, Refused::SeriesOfName), refused(&store, Refused::Series)), (2, 4));
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut store = plain();
    for n in 0..200_000 {
        store.take(0, format!("name{n}:{n}|ms|#tag:{n}").as_bytes(), Tick(1));
    }
    let size = store.size();
    assert!(size.bytes < (1 << 20) + 4096 && size.series > 1000, "{size:?}");
    assert_eq!(refused(&store, Refused::Memory) as usize, 200_000 - size.series);
}

#[test]
fn values_of_a_label_are_replaced_when_there_are_too_many() {
    let mut store = store(Mapping::default(), Limits { label_values: Some(2), ..limits() });
    (0..5).for_each(|n| store.take(0, format!("a:1|c|#user:{n},app:x").as_bytes(), Tick(1)));
    let expected = [r#"a{app="x",user="0"} 1"#, r#"a{app="x",user="1"} 1"#, r#"a{app="x",user="__other__"} 3"#];
    assert_eq!(shown(&store, Tick(1)), expected);
    assert_eq!(store.counts().replaced.values().sum::<u64>(), 3);
}

#[test]
fn what_nobody_sends_ends_and_frees_its_name() {
    let defaults = Defaults { ttl: Duration::from_secs(1), ..Defaults::default() };
    let mut store = store(Mapping::new(defaults, Ordering::default(), Vec::new()).unwrap(), limits());
    store.take(0, b"a:1|g", Tick(0));
    store.take(0, b"b:1|g|#x:1", Tick(0));
    store.take(0, b"b:1|g|#x:2", Tick(8));
    assert_eq!(store.expire(Tick(10)), 0);
    assert_eq!(store.expire(Tick(12)), 2);
    assert_eq!(shown(&store, Tick(12)), [r#"b{x="2"} 1"#]);
    store.take(0, b"a:1|c", Tick(12));
    store.take(0, b"b:1|g|#x:2", Tick(13));
    assert_eq!(shown(&store, Tick(13)), ["a{} 1", r#"b{x="2"} 1"#]);
    assert_eq!(store.expire(Tick(40)), 2);
    let size = store.size();
    assert_eq!((size.series, size.families, size.keys, size.bytes, size.mortal), (0, 0, 0, 0, 0));
}

#[test]
fn nothing_goes_while_somebody_reads() {
    let defaults = Defaults { ttl: Duration::from_secs(1), ..Defaults::default() };
    let mut store = store(Mapping::new(defaults, Ordering::default(), Vec::new()).unwrap(), limits());
    store.take(0, b"a:1|g", Tick(0));
    assert_eq!(store.begin_reading(Tick(5)).len(), 1);
    assert_eq!(store.expire(Tick(50)), 0);
    store.end_reading();
    assert_eq!(store.expire(Tick(50)), 1);
}

#[test]
fn rules_name_label_scale_and_drop() {
    let rule = |name: &str| Rule {
        spelled: String::new(),
        kind: None,
        action: crate::map::Action::Map,
        name: name.into(),
        labels: vec![("who".into(), "$1".into())],
        honor_labels: false,
        help: None,
        ttl: Duration::ZERO,
        scale: Some(2.0),
        observer: Observer::Histogram(crate::map::Histogram { buckets: vec![1.0], native: None }),
    };
    let entry = |glob: &str, rule| Entry { matcher: Matcher::Glob(glob.into()), rule };
    let dropped = Rule { action: crate::map::Action::Drop, ..rule("x") };
    let entries = vec![entry("app.*.c", rule("app_total")), entry("noise.*", dropped)];
    let mut store = store(Mapping::new(Defaults::default(), Ordering::default(), entries).unwrap(), limits());
    for _ in 0..2 {
        for line in ["app.me.c:3|c|#who:you", "noise.1:1|c", "app.t.c:2000|ms", "plain:1|c"] {
            store.take(0, line.as_bytes(), Tick(1));
        }
    }
    assert_eq!(shown(&store, Tick(1)), [r#"app_total{who="me"} 12"#, "plain{} 2"]);
    let counts = store.counts();
    assert_eq!((counts.mapped, counts.unmapped, counts.dropped), (4, 2, 2));
    assert_eq!(refused(&store, Refused::Conflict), 2);
}

#[test]
fn a_gauge_and_a_set_are_not_the_same() {
    let mut store = plain();
    store.take(0, b"a:1|g", Tick(1));
    store.take(0, b"a:x|s", Tick(1));
    assert_eq!((shown(&store, Tick(1)), refused(&store, Refused::Conflict)), (vec!["a{} 1".to_owned()], 1));
}
