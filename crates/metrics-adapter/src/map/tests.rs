//! Rules and names: which one applies, and what it makes of them.

use super::*;

fn rule(name: &str, labels: &[(&str, &str)]) -> Rule {
    Rule {
        spelled: String::new(),
        kind: None,
        action: Action::Map,
        name: name.into(),
        labels: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        honor_labels: false,
        help: None,
        ttl: std::time::Duration::ZERO,
        scale: None,
        observer: Observer::Summary(Summary::default()),
    }
}

fn glob(glob: &str, name: &str) -> Entry {
    Entry { matcher: Matcher::Glob(glob.into()), rule: rule(name, &[]) }
}

fn regex(regex: &str, name: &str) -> Entry {
    Entry { matcher: Matcher::Regex(regex.into()), rule: rule(name, &[]) }
}

fn mapping(ordering: Ordering, entries: Vec<Entry>) -> Mapping {
    Mapping::new(Defaults::default(), ordering, entries).unwrap()
}

fn named(mapping: &Mapping, name: &str) -> Option<String> {
    mapping.find(name, Kind::Counter).map(|found| found.name)
}

#[test]
fn no_rules_match_nothing() {
    assert!(Mapping::default().find("a.b", Kind::Gauge).is_none());
}

#[test]
fn the_first_glob_of_the_file_wins() {
    let rules = || vec![glob("a.*.*", "first_${1}_$2"), glob("a.*.c", "second_$1"), glob("a.b.c", "third")];
    let ordered = mapping(Ordering::FirstWins, rules());
    assert_eq!(named(&ordered, "a.b.c").as_deref(), Some("first_b_c"));
    let specific = mapping(Ordering::MostSpecific, rules());
    assert_eq!(named(&specific, "a.b.c").as_deref(), Some("third"));
    assert_eq!(named(&specific, "a.x.c").as_deref(), Some("second_x"));
    assert_eq!(named(&specific, "a.x.y").as_deref(), Some("first_x_y"));
    assert_eq!(named(&specific, "a.x"), None);
    assert_eq!(named(&specific, "a.x.y.z"), None);
}

#[test]
fn a_walk_turns_back() {
    for ordering in [Ordering::FirstWins, Ordering::MostSpecific] {
        let rules = vec![glob("backtrack.*.bbb", "b_$1"), glob("backtrack.justatest.aaa", "a")];
        let found = mapping(ordering, rules);
        assert_eq!(named(&found, "backtrack.justatest.bbb").as_deref(), Some("b_justatest"));
        assert_eq!(named(&found, "backtrack.justatest.aaa").as_deref(), Some("a"));
        assert_eq!(named(&found, "backtrack.justatest.ccc"), None);
    }
}

#[test]
fn globs_come_before_regexes_which_come_in_order() {
    let mut rules = vec![regex("^a", "regex"), glob("a.*", "glob"), regex(".*x$", "later")];
    rules.extend((0..8).map(|nth| regex(&format!("^never{nth}$"), "never")));
    let found = mapping(Ordering::FirstWins, rules);
    assert_eq!(named(&found, "a.x").as_deref(), Some("glob"));
    assert_eq!(named(&found, "a.b.x").as_deref(), Some("regex"));
    assert_eq!(named(&found, "b.x").as_deref(), Some("later"));
    assert_eq!(named(&found, "b"), None);
}

#[test]
fn a_rule_for_one_kind_is_for_that_kind() {
    let only = |entry: Entry, kind| Entry { rule: Rule { kind: Some(kind), ..entry.rule }, ..entry };
    let rules = vec![
        only(glob("a.*", "counter"), Kind::Counter),
        only(glob("a.*", "gauge"), Kind::Gauge),
        only(regex("^a", "observer"), Kind::Observer),
    ];
    let found = mapping(Ordering::FirstWins, rules);
    for (kind, expected) in [(Kind::Counter, "counter"), (Kind::Gauge, "gauge"), (Kind::Observer, "observer")] {
        assert_eq!(found.find("a.b", kind).unwrap().name, expected);
    }
    assert_eq!(found.unreachable(), []);
}

#[test]
fn captures_go_to_names_and_labels() {
    let entry = Entry {
        matcher: Matcher::Regex(r"(.*)\.(.*)-(.*)\.(.*)".into()),
        rule: rule("${2}_$1", &[("all", "$0"), ("job", "$1"), ("none", "$1x"), ("fixed", "yes")]),
    };
    let found = mapping(Ordering::FirstWins, vec![entry]);
    let found = found.find("foo.bar-baz.qux", Kind::Counter).unwrap();
    assert_eq!(found.name, "bar_foo");
    let labels = [("all", "foo.bar-baz.qux"), ("job", "foo"), ("none", ""), ("fixed", "yes")];
    assert_eq!(found.labels, labels.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn a_rule_that_nothing_reaches_is_known() {
    let rules = vec![
        glob("a.*.c", "wide"),
        glob("a.b.c", "shadowed"),
        glob("x.*", "once"),
        glob("x.*", "again"),
        // The peer's corner: its place exists, as a part of the others.
        glob("a", "a_part"),
        glob("b", "fine"),
    ];
    assert_eq!(mapping(Ordering::FirstWins, rules).unreachable(), [(1, Some(0)), (3, Some(2)), (4, None)]);
}

#[test]
fn stars_in_a_name_cost_no_more_than_letters() {
    let many = "*.".repeat(40) + "*";
    let found = mapping(Ordering::FirstWins, vec![glob(&many, "x$41"), glob(&("*.".repeat(40) + "a"), "y")]);
    assert_eq!(named(&found, &many).as_deref(), Some("x"));
}

#[test]
fn every_regex_that_does_not_compile_is_named() {
    let entries = vec![regex("(", "a"), regex("a", "b"), regex("*", "c")];
    let problems = Mapping::new(Defaults::default(), Ordering::FirstWins, entries).unwrap_err();
    assert_eq!(problems.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn what_is_a_glob() {
    for text in ["*", "a", "a.*", "*.*", "_a-b.0c", "a.0", "a--b", "*.a.*"] {
        assert!(is_glob(text), "{text}");
    }
    for text in ["", ".", "a.", ".a", "0a", "-a", "a.-b", "a.b*", "**", "a b", "bad!!x.*", "a..b", "é"] {
        assert!(!is_glob(text), "{text}");
    }
}
