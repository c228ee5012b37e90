//! What a seed may differ in from its document: lines that are marked, and say why.

use std::{fs, path::Path};

use crate::seed;

/// These lost their indentation on the page.
const FLAT: &str = "001-";

#[test]
fn seeds_are_their_documents_but_for_what_is_marked() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/seeds");
    let mut names: Vec<_> = fs::read_dir(fixtures.join("../../../manifests/seeds"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        let document = fs::read_to_string(fixtures.join(format!("{name}.txt"))).unwrap();
        let problems = unmarked(&lines(&document, &name), &lines(&fs::read_to_string(seed(&name)).unwrap(), &name));
        assert!(problems.is_empty(), "{name}: not as in the document, and not marked:\n{}", problems.join("\n"));
    }
}

fn lines(text: &str, name: &str) -> Vec<String> {
    let line = |line: &str| if name.starts_with(FLAT) { line.trim().to_owned() } else { line.trim_end().to_owned() };
    text.lines().map(line).collect()
}

/// Differences without a comment in them that begins with CHANGED or NEW. What is before the first line of the document
/// is a heading.
fn unmarked(document: &[String], seed: &[String]) -> Vec<String> {
    let begins = seed.iter().position(|line| *line == document[0]).unwrap_or(0);
    assert!(seed[..begins].iter().all(|line| line.starts_with('#')), "the heading is a comment");
    let seed = &seed[begins..];
    let is_marked = |added: &[&String]| {
        added.iter().any(|line| line.trim().starts_with("# CHANGED") || line.trim().starts_with("# NEW"))
    };
    let mut problems = Vec::new();
    for (gone, added) in differences(document, seed) {
        let nothing = gone.iter().chain(&added).all(|line| line.trim().is_empty());
        if !nothing && !is_marked(&added) {
            problems.extend(gone.iter().map(|line| format!("- {line}")));
            problems.extend(added.iter().map(|line| format!("+ {line}")));
        }
    }
    problems
}

/// By the longest common subsequence: what is gone and what came instead, place by place.
fn differences<'a>(old: &'a [String], new: &'a [String]) -> Vec<(Vec<&'a String>, Vec<&'a String>)> {
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for (i, before) in old.iter().enumerate().rev() {
        for (j, after) in new.iter().enumerate().rev() {
            common[i][j] =
                if before == after { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut found, mut open) = (0, 0, Vec::new(), (Vec::new(), Vec::new()));
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
            found.push(std::mem::take(&mut open));
        } else if j < new.len() && (i == old.len() || common[i][j + 1] >= common[i + 1][j]) {
            open.1.push(&new[j]);
            j += 1;
        } else {
            open.0.push(&old[i]);
            i += 1;
        }
    }
    found.push(open);
    found
}

#[test]
fn what_is_not_marked_is_found() {
    let text = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let document = text("a: 1\nimage: x\nb: 2");
    assert_eq!(unmarked(&document, &text("# heading\na: 1\n# CHANGED, was `x`.\nimage: y\nb: 2")), [""; 0]);
    assert_eq!(unmarked(&document, &text("a: 1\nimage: y\nb: 2")), ["- image: x", "+ image: y"]);
    assert_eq!(unmarked(&document, &text("a: 1\n# CHANGED\nimage: y\nb: 2\nc: 3")), ["+ c: 3"]);
}
