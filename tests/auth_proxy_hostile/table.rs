//! Runs the table, and holds the page against what came of it.

use std::collections::BTreeMap;

use crate::{
    addresses, bypass,
    case::{Case, Outcome},
    cookies, identities, logins, messages, passwords,
    rig::{Rig, Target},
    tokens,
};

pub(crate) const PAGE: &str = include_str!("../../docs/auth-proxy-hostile.md");
pub(crate) fn cases() -> Vec<Case> {
    [
        addresses::cases(),
        bypass::cases(),
        identities::cases(),
        tokens::cases(),
        logins::cases(),
        cookies::cases(),
        passwords::cases(),
        messages::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) fn run(target: Target) -> Vec<Outcome> {
    let mut rig = Rig::new(target);
    cases().iter().map(|case| (case.check)(&mut rig)).collect()
}

pub(crate) fn sum(cases: usize, [ours, new, old]: [usize; 3]) -> String {
    format!("**{cases} attacks. Not defended: ours {ours}, oauth2-proxy 7.15.3 {new}, oauth2-proxy 7.5.1 {old}.**")
}

/// A row for each case, by its name.
pub(crate) fn rows(page: &str) -> BTreeMap<String, Vec<String>> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    let cells =
        lines.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    cells.map(|cells| (cells[0].clone(), cells)).collect()
}

pub(crate) fn key(case: &Case) -> String {
    format!("{}: {}", case.class, case.name)
}

#[test]
fn every_attack_of_the_table_is_defended() {
    let outcomes = run(Target::Ours);
    let cases = cases();
    assert!(cases.len() >= 70, "{}", cases.len());
    let failed: Vec<_> = cases
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome != Outcome::Holds)
        .map(|(case, outcome)| format!("{}: {outcome:?}", key(case)))
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn the_page_has_every_attack_once_and_says_what_we_do() {
    let (rows, cases) = (rows(PAGE), cases());
    let names: Vec<_> = cases.iter().map(key).collect();
    for case in &cases {
        let row = rows.get(&key(case)).unwrap_or_else(|| panic!("{}: not in docs/auth-proxy-hostile.md", key(case)));
        assert_eq!((row[1].as_str(), row[2].as_str()), (case.known, "holds"), "{}", key(case));
    }
    let falls = |column: usize| rows.values().filter(|row| row.len() > 4 && row[column].contains("falls")).count();
    let sum = sum(cases.len(), [falls(2), falls(3), falls(4)]);
    assert!(PAGE.contains(&sum), "expected in docs/auth-proxy-hostile.md: {sum}");
    let strange: Vec<_> = rows.keys().filter(|name| name.contains(": ") && !names.contains(name)).collect();
    assert!(strange.is_empty(), "in the page and not in the table: {strange:?}");
}
