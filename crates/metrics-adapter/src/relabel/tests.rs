//! Rules for labels: what each action does, and which are refused.

use proptest::prelude::*;

use super::*;
use crate::invariants::made::{Keys, file};

fn relabeling(text: &str) -> Result<Relabeling, Vec<String>> {
    common::config::parse("r.yaml", &format!("rules:\n{text}"), |root| read(root, "rules"))
        .map_err(|failure| failure.problems)
}

/// Labels as `a=1 b=2`.
fn applied(rules: &str, labels: &str) -> Option<String> {
    let pairs = labels.split(' ').filter_map(|pair| pair.split_once('='));
    let mut labels: Labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let kept = relabeling(rules).unwrap().apply(&mut labels);
    kept.then(|| labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
}

#[test]
fn every_action_does_what_prometheus_does() {
    for (rules, labels, expected) in [
        (
            "- {source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch$1'}",
            "a=foo b=bar",
            Some("a=foo b=bar d=choo-choo"),
        ),
        (
            "- {source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'}",
            "a=foo b=bar",
            Some("a=boobam b=bar"),
        ),
        ("- {source_labels: [a], regex: o, target_label: d, replacement: x}", "a=foo", Some("a=foo")),
        ("- {source_labels: [a], regex: 'f|foo|o', target_label: d, replacement: x}", "a=foo", Some("a=foo d=x")),
        ("- {source_labels: [a], target_label: a, replacement: ''}", "a=foo b=1", Some("b=1")),
        (
            "- {source_labels: [a], regex: '(.*)', target_label: '${1}', replacement: x}",
            "a=good",
            Some("a=good good=x"),
        ),
        (
            "- {source_labels: [a], regex: '(.*)', target_label: '${1}', replacement: x}",
            "a=not-good",
            Some("a=not-good"),
        ),
        ("- {target_label: job, replacement: app}", "a=1", Some("a=1 job=app")),
        (
            "- {source_labels: [a], regex: '.*o.*', action: drop}\n- {source_labels: [a], regex: 'f(.*)', target_label: d}",
            "a=foo",
            None,
        ),
        ("- {source_labels: [a], regex: no, action: drop}", "a=foo", Some("a=foo")),
        ("- {source_labels: [a], regex: foo, action: keep}", "a=foo", Some("a=foo")),
        ("- {source_labels: [a], regex: fo, action: KEEP}", "a=foo", None),
        (
            "- {source_labels: [c], target_label: d, separator: ';', action: hashmod, modulus: 1000}",
            "a=foo b=bar c=baz",
            Some("a=foo b=bar c=baz d=976"),
        ),
        (
            "- {regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}",
            "a=foo b1=bar b2=baz",
            Some("a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz"),
        ),
        ("- {regex: '__meta_(my.*)', action: labelmap}", "__meta_my_bar=aaa x=1", Some("my_bar=aaa x=1")),
        ("- {regex: '(b.*)', action: labeldrop}", "a=foo b1=bar b2=baz", Some("a=foo")),
        ("- {regex: '(b.*)', action: labelkeep}", "a=foo b1=bar b2=baz", Some("b1=bar b2=baz")),
        (
            "- {source_labels: [foo], target_label: up, action: uppercase}\n- {source_labels: [foo], target_label: low, action: lowercase}",
            "foo=bAr123Foo",
            Some("foo=bAr123Foo low=bar123foo up=BAR123FOO"),
        ),
        ("- {source_labels: [p], target_label: q, action: keepequal}", "p=1 q=1", Some("p=1 q=1")),
        ("- {source_labels: [p], target_label: q, action: keepequal}", "p=1 q=2", None),
        ("- {source_labels: [p], target_label: q, action: dropequal}", "p=1 q=1", None),
        ("- {source_labels: [p], target_label: q, action: dropequal}", "p=1 q=2", Some("p=1 q=2")),
        (
            "- {source_labels: [__name__], regex: 'a_(.*)', target_label: __name__}",
            "__name__=a_b x=1",
            Some("__name__=b x=1"),
        ),
        (
            "- {source_labels: [a], target_label: __tmp}\n- {source_labels: [__tmp], target_label: b}",
            "a=1",
            Some("a=1 b=1"),
        ),
        (" []", "b=1 a=2", Some("b=1 a=2")),
    ] {
        assert_eq!(applied(rules, labels).as_deref(), expected, "{rules} on {labels}");
    }
}

#[test]
fn a_rule_that_means_nothing_is_refused_with_its_line() {
    for (rule, expected) in [
        ("{action: nonsense}", "action: \"nonsense\": unknown relabel action, expected one of replace, keep"),
        ("{source_labels: [a]}", "relabel configuration for replace action requires 'target_label' value"),
        ("{source_labels: [a-b], target_label: c}", "source_labels[0]: \"a-b\": is not a valid label name"),
        ("{target_label: 'a-b'}", "\"a-b\" is invalid 'target_label' for replace action"),
        ("{target_label: '${1}-b'}", "\"${1}-b\" is invalid 'target_label' for replace action"),
        ("{target_label: '${1'}", "\"${1\" is invalid 'target_label' for replace action"),
        ("{action: hashmod, target_label: a}", "relabel configuration for hashmod requires non-zero modulus"),
        ("{action: hashmod, modulus: 3}", "relabel configuration for hashmod action requires 'target_label' value"),
        ("{action: hashmod, modulus: many, target_label: a}", "modulus: \"many\": expected a whole number"),
        ("{action: uppercase, target_label: '$1'}", "\"$1\" is invalid 'target_label' for uppercase action"),
        ("{action: keep, regex: '('}", "regex: `(`: "),
        ("{action: keep, regex: 'a)(b'}", "regex: `a)(b`: "),
        ("{action: labelmap, replacement: 'a b'}", "\"a b\" is invalid 'replacement' for labelmap action"),
        ("{action: labeldrop, source_labels: [a]}", "labeldrop action requires only 'regex', and no other fields"),
        (
            "{action: keepequal, source_labels: [a], target_label: b, regex: x}",
            "keepequal action requires only 'source_labels' and 'target_label', and no other fields",
        ),
        (
            "{action: lowercase, source_labels: [a], target_label: b, replacement: x}",
            "'replacement' can not be set for lowercase action",
        ),
        ("{action: drop, sorce_labels: [a]}", "sorce_labels: unknown key, did you mean source_labels?"),
    ] {
        let problems = relabeling(&format!("- {rule}")).unwrap_err();
        assert!(problems.iter().all(|problem| problem.starts_with("r.yaml:2: ")), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{rule}: {problems:?}");
    }
}

/// Random rules on random labels, and what Prometheus made of them: kept with these labels, `dropped`, or refused.
const CASES: &str = include_str!("../../../../tests/fixtures/metrics-adapter/relabel.json");

#[test]
fn random_rules_do_what_prometheus_does() {
    let cases: Vec<serde_json::Value> = serde_json::from_str(CASES).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let rules = case["rules"].as_str().unwrap();
        let ends = case["ends"].as_str();
        let pairs = |key: &str| {
            let labels = case[key].as_object().into_iter().flatten();
            labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect::<Labels>()
        };
        let is_same = match relabeling(rules) {
            // Where Prometheus has words for it, they are the same but for a quote.
            Err(problems) => ends.is_some_and(|ends| {
                let ends = ends.replace('`', "'");
                ends == "refused" || problems.iter().any(|problem| problem.contains(&ends))
            }),
            Ok(rules) => {
                let mut labels = pairs("labels");
                match rules.apply(&mut labels) {
                    true => ends.is_none() && labels == pairs("kept"),
                    false => ends == Some("dropped"),
                }
            }
        };
        if !is_same {
            wrong.push((
                case,
                relabeling(rules).map(|rules| {
                    let mut labels = pairs("labels");
                    rules.apply(&mut labels).then_some(labels)
                }),
            ));
        }
    }
    assert!(cases.len() == 600 && wrong.is_empty(), "{} of {}: {:#?}", wrong.len(), cases.len(), wrong.first());
}

const RULE_KEYS: Keys = &[
    ("action", &["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "dropequal"]),
    ("source_labels", &["[__name__]", "[code, path]", "[none]"]),
    ("target_label", &["code", "'${1}'", "__tmp", "a-b", "__name__"]),
    ("regex", &["'(.*)'", "'(.)(.*)'", "'.*;.*'", "'('", "'__(.*)'"]),
    ("replacement", &["$1", "''", "'${2}x'", "y"]),
    ("modulus", &["7", "0"]),
    ("separator", &["''", "'-'"]),
];

proptest! {
    #[test]
    fn what_is_left_can_be_exposed(text in file("rules:\n", RULE_KEYS)) {
        crate::invariants::relabeling(&text);
    }
}
