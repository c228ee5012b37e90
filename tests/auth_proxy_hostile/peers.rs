//! The same table on the real oauth2-proxy, and what the page says of it.

use std::{fmt::Write, path::PathBuf};

use crate::{
    case::Outcome,
    rig::Target,
    table::{PAGE, cases, key, rows, run, sum},
};

/// Where the rows begin.
const HEAD: &str = "| what is tried | known from | ours | oauth2-proxy 7.15.3 | oauth2-proxy 7.5.1 |";

/// In the table: one word, or one word and what somebody got.
fn cell(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Holds => "holds".into(),
        Outcome::Falls(_) => "**falls**".into(),
        Outcome::Absent(why) => format!("- ({why})"),
    }
}

/// The page is what this has written: `target/auth-proxy-hostile.md` is the new one.
#[test]
fn the_page_shows_what_the_real_oauth2_proxy_does() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let peers: Vec<Vec<Outcome>> = ["7.15.3", "7.5.1"]
        .iter()
        .map(|version| run(Target::Peer(root.join(format!("target/servers/oauth2-proxy-{version}")))))
        .collect();
    let (ours, cases) = (run(Target::Ours), cases());
    let mut table = format!("{HEAD}\n|---|---|---|---|---|\n");
    let mut notes = String::new();
    for (nth, case) in cases.iter().enumerate() {
        let all = [&ours[nth], &peers[0][nth], &peers[1][nth]];
        let cells: Vec<_> = all.iter().map(|outcome| cell(outcome)).collect();
        writeln!(table, "| {} | {} | {} |", key(case), case.known, cells.join(" | ")).unwrap();
        for (who, outcome) in ["ours", "7.15.3", "7.5.1"].iter().zip(all) {
            if let Outcome::Falls(what) = outcome {
                writeln!(notes, "{who}: {}: {what}", key(case)).unwrap();
            }
        }
    }
    let count = |outcomes: &[Outcome]| outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Falls(_))).count();
    let sum = sum(cases.len(), [count(&ours), count(&peers[0]), count(&peers[1])]);
    let before = PAGE.split("**").next().unwrap();
    std::fs::write(root.join("target/auth-proxy-hostile.md"), format!("{before}{sum}\n\n{table}")).unwrap();
    println!("{sum}\n{notes}");
    assert_eq!(rows(PAGE), rows(&table), "target/auth-proxy-hostile.md is the page as it should be; {sum}");
}
