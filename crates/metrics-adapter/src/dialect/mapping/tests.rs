//! Mapping files: the peer's own tables, and what is said about bad ones.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    invariants::{
        made::{Keys, file},
        mapping_file,
    },
    map::{Observer, Quantile},
};

fn problems(text: &str) -> Vec<String> {
    parse("m.yaml", text).map_or_else(|failure| failure.problems, |_| Vec::new())
}

fn kind(name: &str) -> Kind {
    match name {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        _ => Kind::Observer,
    }
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array().map(|all| all.iter().filter_map(Value::as_f64).collect())
}

/// What a lookup of the peer's own tables expects, where it says something.
fn lookup(mapping: &Mapping, lookup: &Value) -> Result<(), String> {
    let name = lookup["statsd_metric"].as_str().unwrap_or_default();
    let found = mapping.find(name, kind(lookup["lookup_type"].as_str().unwrap_or("counter")));
    if lookup["not_present"].as_bool() == Some(true) {
        return found.map_or(Ok(()), |found| Err(format!("{name}: found {}", found.name)));
    }
    let Some(found) = found else {
        // What nothing maps keeps its name, as far as it may be exposed.
        let kept = lookup["name"].as_str().is_none_or(|expected| expected == crate::map::escape(name));
        return if kept { Ok(()) } else { Err(format!("{name}: not found")) };
    };
    let same = |what: &str, is: String, should: String| {
        if is == should { Ok(()) } else { Err(format!("{name}: {what}: {is}, expected {should}")) }
    };
    if let Some(expected) = lookup["name"].as_str() {
        same("name", found.name.clone(), expected.to_owned())?;
    }
    if let Some(expected) = lookup["labels"].as_object() {
        let expected: BTreeMap<_, _> =
            expected.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())).collect();
        let is: BTreeMap<_, _> = found.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        same("labels", format!("{is:?}"), format!("{expected:?}"))?;
    }
    if let Some(expected) = lookup["scale"].as_f64().filter(|scale| *scale != 0.0) {
        same("scale", format!("{:?}", found.rule.scale), format!("{:?}", Some(expected)))?;
    }
    match &found.rule.observer {
        Observer::Summary(summary) => {
            let quantiles = lookup["quantiles"].as_array().filter(|quantiles| !quantiles.is_empty());
            if let Some(expected) = quantiles {
                let number = |value: &Value, at: usize, key: &str| {
                    value.as_f64().or(value[at].as_f64()).or(value[key].as_f64()).unwrap_or(f64::NAN)
                };
                let of = |value: &Value| Quantile {
                    quantile: number(value, 0, "quantile"),
                    error: number(value, 1, "error"),
                };
                let expected: Vec<_> = expected.iter().map(of).collect();
                same("quantiles", format!("{:?}", summary.quantiles), format!("{expected:?}"))?;
            }
        }
        Observer::Histogram(histogram) => {
            if let Some(expected) = numbers(&lookup["buckets"]).filter(|buckets| !buckets.is_empty()) {
                same("buckets", format!("{:?}", histogram.buckets), format!("{expected:?}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn the_peers_own_tables_are_answered_alike() {
    let file = include_str!("../../../../../tests/fixtures/metrics-adapter/statsd_exporter.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let (mut wrong, mut files, mut lookups) = (Vec::new(), 0, 0);
    for case in file["upstream"].as_array().unwrap() {
        let Some(text) = case["mapping"].as_str() else { continue };
        files += 1;
        let loaded = parse("m.yaml", text);
        let bad = case["config_bad"].as_bool() == Some(true);
        if loaded.is_err() != bad {
            wrong.push(format!("{}: bad is {bad}, but {:?}", case["id"], loaded.map_err(|failure| failure.problems)));
            continue;
        }
        let (Ok(loaded), Some(all)) = (loaded, case["expect_lookups"].as_array()) else { continue };
        for one in all.iter().filter(|one| one["statsd_metric"].is_string()) {
            lookups += 1;
            wrong.extend(lookup(&loaded.mapping, one).err().map(|problem| format!("{}: {problem}", case["id"])));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files >= 86 && lookups >= 78, "{files} files, {lookups} lookups");
}

#[test]
fn every_problem_of_a_file_is_named_with_its_line() {
    let text = "\
defaults:
  observer_type: wrong
  ttl: 5
mappings:
- match: a.b*
  name: 0foo
- match: (
  match_type: regex
  name: fine
  labels: {x: a, '1a': b, __reserved: c, good: $1}
- match: a.*
  nam: foo
  observer_type: histogram
  summary_options: {max_age: 1m}
  histogram_options: {buckets: [1, 3, 2], native_histogram_max_buckets: -1}
- match: b.*
  name: b
  scale: fast
  honor_labels: maybe
  summary_options:
    quantiles:
    - {quantile: 1.5, error: 0.1}
    - {quantile: 0.5}
    - {quantile: 0.5}
";
    let found = problems(text);
    let expected = [
        "m.yaml:2: defaults.observer_type: \"wrong\": expected summary or histogram",
        "m.yaml:3: defaults.ttl: \"5\": missing unit, did you mean \"5s\"?",
        "m.yaml:5: mappings[0]: match: \"a.b*\": expected a glob",
        "m.yaml:6: mappings[0].name: \"0foo\": expected letters",
        "m.yaml:7: mappings[1]: match: `(`:",
        "m.yaml:10: mappings[1].labels.x: \"x\" is no name of a label",
        "m.yaml:10: mappings[1].labels.1a:",
        "m.yaml:10: mappings[1].labels.__reserved: \"__reserved\": names that begin with __",
        "m.yaml:11: mappings[2]: name: required",
        "m.yaml:11: mappings[2]: summary_options: the observer is a histogram",
        "m.yaml:12: mappings[2].nam: unknown key, did you mean name?",
        "m.yaml:15: mappings[2].histogram_options: buckets: 2 comes after 3, expected them to ascend",
        "m.yaml:15: mappings[2].histogram_options.native_histogram_max_buckets: \"-1\": expected a whole number",
        "m.yaml:18: mappings[3].scale: \"fast\": expected a number",
        "m.yaml:19: mappings[3].honor_labels: \"maybe\": expected true or false",
        "m.yaml:21: mappings[3].summary_options: quantiles: 0.5 is there twice",
        "m.yaml:22: mappings[3].summary_options.quantiles[0].quantile: \"1.5\": expected a number from 0 to 1",
    ];
    for expected in expected {
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}\nin\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
}

#[test]
fn what_yaml_allows_is_allowed() {
    let text = "\
mappings:
- &base
  match: a.*
  name: a
  honor_labels: Yes
  ttl: 1m
  labels: {code: 200, empty: , on_off: on}
- <<: *base
  match: b.*
  honor_labels: off
";
    let Loaded { mapping, warnings } = parse("m.yaml", text).unwrap();
    assert_eq!(warnings, [""; 0]);
    let [one, other] = ["a.x", "b.x"].map(|name| mapping.find(name, Kind::Gauge).unwrap());
    assert!(one.rule.honor_labels && !other.rule.honor_labels);
    assert_eq!(other.rule.ttl, Duration::from_secs(60));
    let labels = [("code", "200"), ("empty", ""), ("on_off", "on")];
    assert_eq!(other.labels, labels.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn a_rule_says_over_the_defaults() {
    let text = "\
defaults:
  observer_type: histogram
  ttl: 10s
  histogram_options: {buckets: [1, 2, .inf], native_histogram_bucket_factor: 1.5}
  summary_options: {max_age: 1m, age_buckets: 3}
mappings:
- {match: a, name: a}
- {match: b, name: b, observer_type: summary, summary_options: {age_buckets: 7}, ttl: 1s}
- {match: c, name: c, histogram_options: {native_histogram_bucket_factor: 1, buckets: [5]}}
- {match: d, name: d, buckets: [7]}
";
    let Loaded { mapping, warnings } = parse("m.yaml", text).unwrap();
    let rule = |name| mapping.find(name, Kind::Observer).unwrap().rule.clone();
    let native = Some(crate::map::Native { factor: 1.5, most_buckets: 256 });
    assert_eq!(rule("a").observer, Observer::Histogram(crate::map::Histogram { buckets: vec![1.0, 2.0], native }));
    assert_eq!(rule("a").ttl, Duration::from_secs(10));
    let Observer::Summary(summary) = rule("b").observer else { panic!("a summary") };
    assert_eq!((summary.max_age, summary.age_buckets), (Duration::from_secs(60), 7));
    assert_eq!(rule("b").ttl, Duration::from_secs(1));
    assert_eq!(rule("c").observer, Observer::Histogram(crate::map::Histogram { buckets: vec![5.0], native: None }));
    assert_eq!(rule("d").observer, Observer::Histogram(crate::map::Histogram { buckets: vec![7.0], native }));
    assert_eq!(warnings, ["match d: buckets is an old spelling of histogram_options.buckets"]);
    assert!(matches!(&mapping.defaults().observer, Observer::Histogram(histogram) if histogram.buckets == [1.0, 2.0]));
}

#[test]
fn a_rule_that_nothing_reaches_is_warned_about() {
    let text = "mappings:\n- {match: a.*, name: x}\n- {match: a.b, name: y}\n- {match: c.d.e, name: z}\n- {match: c.d, name: w}\n";
    assert_eq!(
        parse("m.yaml", text).unwrap().warnings,
        [
            "mapping 2: match a.b is never reached: a.* comes first",
            "mapping 4: match c.d is never reached: it is the beginning of a longer one above it",
        ]
    );
}

#[test]
fn a_file_may_have_a_rule_for_each_of_very_many_names() {
    let rule = |nth| {
        format!("- match: app{nth}.*.requests\n  name: app_requests_total\n  labels: {{name: app{nth}, path: $1}}\n")
    };
    let text = format!("mappings:\n{}", (0..20_000).map(rule).collect::<String>());
    let Loaded { mapping, .. } = parse("m.yaml", &text).unwrap();
    let found = mapping.find("app19999.x.requests", Kind::Counter).unwrap();
    assert_eq!(found.labels[1], ("path", "x".to_owned()));
    assert!(mapping.find("app20000.x.requests", Kind::Counter).is_none());
}

#[test]
fn an_empty_file_maps_nothing() {
    for text in ["", "---\n", "mappings:\n", "mappings: []\n", "# nothing\n", "defaults: {}\n"] {
        assert_eq!(parse("m.yaml", text).unwrap().mapping.rules(), 0, "{text:?}");
    }
}

const MAPPING_KEYS: Keys = &[
    ("match", &["a.*", "'*.*'", "a.b", "'.*'", "'(.*)\\.(.*)'", "'[a-c]{1,2}$'", "'(?i)A.*'", "a.b.c"]),
    ("match_type", &["glob", "regex", "''"]),
    ("name", &["x", "x_$1", "'${1}'", "$2", "0x"]),
    ("labels", &["{aa: $1}", "{aa: '${2}x', bb: $10}", "{a: b}", "{__x: y}"]),
    ("match_metric_type", &["counter", "gauge", "observer", "timer"]),
    ("observer_type", &["summary", "histogram"]),
    ("summary_options", &["{max_age: 1m, age_buckets: 3}", "{quantiles: [{quantile: 0.5, error: 0.1}]}"]),
    ("histogram_options", &["{buckets: [1, 2]}", "{buckets: [2, 1]}", "{native_histogram_bucket_factor: 1.1}"]),
    ("ttl", &["1m", "0", "5"]),
    ("scale", &["0.001", "1e-6"]),
    ("action", &["drop", "map"]),
];

proptest! {
    #[test]
    fn any_file_is_read_or_refused_with_a_place(text in file("mappings:\n", MAPPING_KEYS)) {
        mapping_file(&text);
    }
}
