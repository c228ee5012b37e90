//! SPEC.md: a promise that no test or benchmark holds is a wish.

use std::collections::BTreeSet;

use super::{Text, source::Code};

/// A row of a table of promises: `| C-12 | what is promised | tests/a.rs::a_test, bench:startup |`.
struct Row<'a> {
    line: usize,
    id: &'a str,
    holders: Vec<&'a str>,
}

pub fn problems(texts: &[Text]) -> Vec<String> {
    let Some(spec) = texts.iter().find(|file| file.path == "SPEC.md") else {
        return vec!["SPEC.md: missing".into()];
    };
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows(&spec.text) {
        let place = format!("SPEC.md:{}: {}", row.line, row.id);
        if !seen.insert(row.id) {
            problems.push(format!("{place}: expected a number of its own, another promise has it"));
        }
        if row.holders.is_empty() {
            problems.push(format!("{place}: expected a test (tests/NAME.rs::function) or a benchmark (bench:NAME)"));
        }
        let wrong = row.holders.iter().filter_map(|holder| missing(texts, holder));
        problems.extend(wrong.map(|problem| format!("{place}: {problem}")));
    }
    problems
}

fn rows(spec: &str) -> Vec<Row<'_>> {
    (1..).zip(spec.lines()).filter_map(|(line, text)| row(line, text)).collect()
}

/// None for anything that is not a promise: text, the head of a table, other tables.
fn row(line: usize, text: &str) -> Option<Row<'_>> {
    let cells: Vec<_> = text.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [id, .., last] = cells.as_slice() else { return None };
    let (letters, number) = id.split_once('-')?;
    let is_id = !letters.is_empty()
        && letters.chars().all(|c| c.is_ascii_uppercase())
        && number.starts_with(|c: char| c.is_ascii_digit());
    let words = last.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '`'));
    let holders = words.filter(|word| word.starts_with("bench:") || word.contains("::")).collect();
    is_id.then_some(Row { line, id, holders })
}

fn missing(texts: &[Text], holder: &str) -> Option<String> {
    if let Some(name) = holder.strip_prefix("bench:") {
        return (!has_benchmark(texts, name)).then(|| format!("{holder}: expected a benchmark of that name in bench/"));
    }
    let (path, function) = holder.split_once("::")?;
    // Modules between the file and the function are for people.
    let function = function.rsplit("::").next().unwrap_or(function);
    let Some(file) = texts.iter().find(|file| file.path == path) else {
        return Some(format!("{holder}: there is no file {path}"));
    };
    let has_it = if path.ends_with(".py") { defines(&file.text, function) } else { has_function(&file.text, function) };
    (!has_it).then(|| format!("{holder}: expected `fn {function}` in {path}"))
}

/// A check in Python, as those of manifests are.
fn defines(source: &str, name: &str) -> bool {
    let defined = source.lines().filter_map(|line| line.strip_prefix("def ")?.strip_prefix(name));
    defined.into_iter().any(|rest| rest.starts_with('('))
}

fn has_function(source: &str, name: &str) -> bool {
    let bare = Code::of(source).bare;
    bare.match_indices("fn ").any(|(at, found)| {
        let rest = bare[at + found.len()..].trim_start().strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['(', '<', ' ', ',']))
    })
}

/// A file of that name, or the name as a string: how benchmarks are chosen on the command line.
fn has_benchmark(texts: &[Text], name: &str) -> bool {
    let bench = texts.iter().filter(|file| file.path.starts_with("bench/") && file.is_rust());
    let (file_name, quoted) = (format!("/{}.rs", name.replace('-', "_")), format!("\"{name}\""));
    bench.into_iter().any(|file| file.path.ends_with(&file_name) || Code::of(&file.text).spoken.contains(&quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(row: &str) -> Vec<String> {
        let file = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
        let spec = format!("# Promises\n\n| id | promise | held by |\n|---|---|---|\n{row}\n");
        problems(&[
            file("SPEC.md", &spec),
            file("tests/app.rs", "#[test]\nfn stops() {}\n// fn starts() {}\nkit::each!(fn reloads, fn probes);\n"),
            file("tests/check.py", "def check(path):\n    pass\n"),
            file("bench/src/main.rs", "match name { \"startup\" => {} }"),
        ])
    }

    #[test]
    fn a_row_that_names_what_exists_is_fine() {
        assert_eq!(verdict("| C-12 | It is checked. | tests/check.py::check |"), [""; 0]);
        assert_eq!(verdict("| C-12 | It stops. | `tests/app.rs::stops`, bench:startup |"), [""; 0]);
        assert_eq!(verdict("| C-13 | It reloads. | tests/app.rs::module::reloads |"), [""; 0]);
        assert_eq!(verdict("| some other | table |"), [""; 0]);
    }

    #[test]
    fn a_row_that_names_nothing_real_is_told_so() {
        for (row, expected) in [
            ("| C-1 | It starts. | tests/app.rs::starts |", "expected `fn starts` in tests/app.rs"),
            ("| C-1 | It sto. | tests/app.rs::sto |", "expected `fn sto` in tests/app.rs"),
            ("| C-1 | It runs. | tests/gone.rs::runs |", "there is no file tests/gone.rs"),
            ("| C-1 | It is fast. | bench:speed |", "expected a benchmark of that name"),
            ("| C-1 | It is nice. | we believe |", "expected a test"),
            ("| C-1 | a | bench:startup |\n| C-1 | b | bench:startup |", "expected a number of its own"),
        ] {
            let found = verdict(row);
            assert_eq!(found.len(), 1, "{row}: {found:?}");
            assert!(found[0].starts_with("SPEC.md:") && found[0].contains(expected), "{row}: {found:?}");
        }
    }

    #[test]
    fn a_workspace_without_promises_is_told_so() {
        assert_eq!(problems(&[]), ["SPEC.md: missing"]);
    }
}
