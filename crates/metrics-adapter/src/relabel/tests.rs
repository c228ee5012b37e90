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
        ("{action: nonsense}", "action: \"nonsense\": expected one of replace, keep"),
        ("{source_labels: [a]}", "replace needs target_label"),
        ("{target_label: 'a-b'}", "target_label: \"a-b\": expected a name of a label"),
        ("{action: hashmod, target_label: a}", "hashmod needs a modulus above 0"),
        ("{action: hashmod, modulus: 3}", "hashmod needs target_label"),
        ("{action: hashmod, modulus: many, target_label: a}", "modulus: \"many\": expected a whole number"),
        ("{action: keep, regex: '('}", "regex: `(`: "),
        ("{action: keep, regex: 'a)(b'}", "regex: `a)(b`: "),
        ("{action: labelmap, replacement: 'a b'}", "replacement: \"a b\": expected a name"),
        ("{action: labeldrop, source_labels: [a]}", "labeldrop takes only regex"),
        (
            "{action: keepequal, source_labels: [a], target_label: b, regex: x}",
            "keepequal takes only source_labels and target_label",
        ),
        ("{action: lowercase, source_labels: [a], target_label: b, replacement: x}", "lowercase takes no replacement"),
        ("{action: drop, sorce_labels: [a]}", "sorce_labels: unknown key, did you mean source_labels?"),
    ] {
        let problems = relabeling(&format!("- {rule}")).unwrap_err();
        assert!(problems.iter().all(|problem| problem.starts_with("r.yaml:2: ")), "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{rule}: {problems:?}");
    }
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
