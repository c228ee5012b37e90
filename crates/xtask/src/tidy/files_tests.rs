//! Each rule on files seen to be fine, and on files seen to break it.

use super::*;

fn file(path: &str, text: &str) -> Text {
    Text { path: path.into(), text: text.into() }
}

#[test]
fn long_files_and_missing_pages_are_named() {
    let texts = [file("crates/a/src/b.rs", &"\n".repeat(801)), file("README.md", &"\n".repeat(150))];
    let problems = ["crates/a/src/b.rs: 801 lines, expected at most 800", "ARCHITECTURE.md: missing"];
    assert_eq!(too_long(&texts), problems);
}

#[test]
fn a_main_that_is_no_table_of_contents_is_named() {
    let texts = [file("crates/a/src/main.rs", &"\n".repeat(61)), file("crates/demo/src/main.rs", &"\n".repeat(61))];
    assert_eq!(long_mains(&texts, &["a"]).len(), 1);
}

#[test]
fn a_module_without_a_sentence_is_named() {
    let texts = [
        file("src/a.rs", "//! What it is.\n"),
        file("src/b.rs", "use std::fs;\n"),
        file("src/c.rs", "//!\n"),
        file("src/d.rs", ""),
        file("tests/fixtures/e.rs", ""),
    ];
    let paths: Vec<_> = without_opening(&texts).iter().map(|problem| problem[..8].to_owned()).collect();
    assert_eq!(paths, ["src/b.rs", "src/c.rs", "src/d.rs"]);
}

#[test]
fn the_keyword_is_for_the_heap_only() {
    let block = "//! x\nfn f() { unsafe { g() } }\n";
    let texts = [file("crates/heap/src/lib.rs", block), file("crates/a/src/lib.rs", block)];
    assert_eq!(unsafe_code(&texts), ["crates/a/src/lib.rs:2: `unsafe`: expected in crates/heap only"]);
}

#[test]
fn places_of_one_machine_are_named() {
    let place = PLACES[0];
    for (line, expected) in [
        (format!("cd {place}/main"), 1),
        (format!("\"{place}\""), 1),
        (format!("in {place}."), 1),
        (format!("target{place}/x"), 0),
        (format!("{place}ers"), 0),
        (format!("https://{}/simple", HOSTS[0]), 1),
    ] {
        assert_eq!(foreign_words(&[file("docs/a.md", &line)]).len(), expected, "{line}");
    }
}
