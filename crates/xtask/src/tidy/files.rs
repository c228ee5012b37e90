//! How long a file may be, how it begins, and words that have no place in it.

use super::{Text, source::Code};

const RUST_LINES: usize = 800;
const MAIN_LINES: usize = 60;

/// What people read first has to stay readable.
const PAGES: [(&str, usize); 2] = [("README.md", 150), ("ARCHITECTURE.md", 200)];

pub fn too_long(texts: &[Text]) -> Vec<String> {
    let rust = texts.iter().filter(|file| file.is_rust());
    let over = |path: &str, text: &str, most: usize| {
        let lines = text.lines().count();
        (lines > most).then(|| format!("{path}: {lines} lines, expected at most {most}"))
    };
    let mut problems: Vec<_> = rust.filter_map(|file| over(&file.path, &file.text, RUST_LINES)).collect();
    for (page, most) in PAGES {
        match texts.iter().find(|file| file.path == page) {
            Some(file) => problems.extend(over(page, &file.text, most)),
            None => problems.push(format!("{page}: missing")),
        }
    }
    problems
}

/// main.rs of a sidecar is a table of contents.
pub fn long_mains(texts: &[Text], crates: &[&str]) -> Vec<String> {
    let is_main = |path: &str| crates.iter().any(|name| path == format!("crates/{name}/src/main.rs"));
    let mains = texts.iter().filter(|file| is_main(&file.path));
    let long = mains.map(|file| (&file.path, file.text.lines().count())).filter(|(_, lines)| *lines > MAIN_LINES);
    long.map(|(path, lines)| format!("{path}: {lines} lines, expected a table of contents of at most {MAIN_LINES}"))
        .collect()
}

/// Every module says in a sentence what it is.
pub fn without_opening(texts: &[Text]) -> Vec<String> {
    let rust = texts.iter().filter(|file| file.is_rust() && !file.path.contains("/fixtures/"));
    let bare = rust.filter(|file| {
        let sentence = file.text.lines().next().and_then(|line| line.strip_prefix("//!"));
        sentence.is_none_or(|sentence| sentence.trim().is_empty())
    });
    bare.map(|file| format!("{}:1: expected a `//!` line that says what the module is", file.path)).collect()
}

/// A system call that no safe crate offers goes to crates/heap, or to a small crate of its own.
pub fn unsafe_code(texts: &[Text]) -> Vec<String> {
    let watched = texts.iter().filter(|file| file.is_rust() && !file.path.starts_with("crates/heap/"));
    let lines = watched.flat_map(|file| {
        Code::of(&file.text).lines_with_word("unsafe").into_iter().map(move |line| (&file.path, line))
    });
    lines.map(|(path, line)| format!("{path}:{line}: `unsafe`: expected in crates/heap only")).collect()
}

/// Paths and hosts of the machines that this was written on mean nothing to anybody else. Spelled in two halves, so
/// that this file does not find itself.
const PLACES: [&str; 3] = [concat!("/wo", "rk"), concat!("/root/.car", "go"), concat!("/tmp/bash", "_jobs")];
const HOSTS: [&str; 7] = [
    concat!("art", "ifactory"),
    concat!("index.cr", "ates.io"),
    concat!("files.python", "hosted.org"),
    concat!("registry.np", "mjs.org"),
    concat!("proxy.go", "lang.org"),
    concat!("repo.maven.", "apache.org"),
    concat!("deb.deb", "ian.org"),
];

pub fn foreign_words(texts: &[Text]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in texts {
        for (number, line) in (1..).zip(file.text.lines()) {
            let place = PLACES.iter().filter(|place| names_path(line, place));
            let host = HOSTS.iter().filter(|host| line.contains(**host));
            let found = place.chain(host);
            problems.extend(found.map(|word| {
                format!("{}:{number}: names {word}: expected nothing of the machine it was made on", file.path)
            }));
        }
    }
    problems
}

/// `target/work/x` and `/workers` are something else.
fn names_path(line: &str, path: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | '*');
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(|c| is_name(c) && c != '.')
    })
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
