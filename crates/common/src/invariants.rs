//! What holds for every input, however odd: the fuzz targets call these, and the tests below do on every `cargo test`.

use std::{ffi::OsString, time::Duration};

use clap::CommandFactory;
use values::{ByteSize, Span};

use crate::{
    Defaults, Usage,
    args::typed,
    config::{Node, Section, Value, parse, tree},
    go_flags::from_go_style,
    probe,
};

/// Every problem of a file is one line that names a line of the file, in order; and what is read from a file that is
/// printed from what was read is the same.
pub fn config(text: &str) {
    if let Err(failure) = parse("f", text, ask) {
        let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
        let mut before = 0;
        assert!(!failure.problems.is_empty(), "{text:?}");
        for problem in &failure.problems {
            let line = problem.strip_prefix("f:").and_then(|rest| rest.split_once(": ")?.0.parse().ok());
            assert!(line.is_some_and(|line| line >= before.max(1) && line <= lines), "{problem:?} of {lines} lines");
            before = line.unwrap_or_default();
            assert!(!problem.contains(char::is_control), "{problem:?}");
        }
    }
    if let Ok(node) = tree(text) {
        let printed = print(&node);
        let again = tree(&printed).map(|node| print(&node));
        assert_eq!(again.as_ref(), Ok(&printed), "{text:?}");
    }
}

/// Asks as a sidecar does, for every shape there is.
fn ask(section: &mut Section) {
    section.parsed::<Span>("settle");
    section.required::<String>("to");
    section.list::<ByteSize>("largest");
    section.pairs("files");
    section.sections_or_text("watch", "path").iter_mut().for_each(|item| drop(item.required::<String>("path")));
    section.sections("prepare").iter_mut().for_each(ask);
    if let Some(mut inner) = section.section("retry") {
        ask(&mut inner);
    }
    if let Some(mut inner) = section.section_or("exec", "command") {
        inner.list::<String>("command");
    }
}

fn print(node: &Node) -> String {
    match &node.value {
        Value::Null => "~".into(),
        Value::Text(text) => quoted(text),
        Value::List(nodes) => format!("[{}]", nodes.iter().map(print).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            // `?`: without it a key may not be long.
            let entry = |(key, node): &(String, Node)| format!("? {} : {}", quoted(key), print(node));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\U{:08x}", c as u32) };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

#[derive(clap::Parser, Debug)]
#[command(name = "tested")]
struct Tested {
    #[arg(long)]
    value: Vec<String>,
    #[arg(long, overrides_with = "switch")]
    switch: bool,
    #[arg(long)]
    settle: Option<Span>,
}

/// What Go's flag package reads, clap reads from the translation, to the letter.
pub fn go_flags(words: &[&str]) {
    let argv: Vec<OsString> = ["tested"].iter().chain(words).map(OsString::from).collect();
    let translated = from_go_style(&argv, &Tested::command());
    assert_eq!(from_go_style(&translated, &Tested::command()), translated, "{words:?}");
    let read = flags(&translated);
    if let Some(meant) = as_go_reads(words) {
        assert_eq!(read, Some(meant), "{words:?} is translated to {translated:?}");
    }
}

/// The values and the switch, as `flag.Parse` has them. None for what it refuses, and for positional arguments.
fn as_go_reads(words: &[&str]) -> Option<(Vec<String>, bool)> {
    let (mut values, mut switch) = (Vec::new(), false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = word.strip_prefix('-').filter(|name| !name.is_empty() && *name != "-")?;
        match name.strip_prefix('-').unwrap_or(name).split_once('=') {
            Some(("value", value)) => values.push(value.to_owned()),
            Some(_) => return None,
            None if name.trim_start_matches('-') == "switch" && !name.starts_with("--") => switch = true,
            None if name.trim_start_matches('-') == "value" && !name.starts_with("--") => {
                values.push((*words.next()?).to_owned());
            }
            None => return None,
        }
    }
    Some((values, switch))
}

/// Every mistake is one line, there are not endlessly many, and none is said twice.
fn flags(argv: &[OsString]) -> Option<(Vec<String>, bool)> {
    match typed::<Tested>(argv, Defaults { admin_port: 1, drain_delay: Duration::ZERO }) {
        Ok(tested) => Some((tested.value, tested.switch)),
        Err(Usage::Asked(_)) => None,
        Err(Usage::Wrong(problems)) => {
            assert!((1..=20).contains(&problems.len()), "{argv:?}: {problems:?}");
            for (at, problem) in problems.iter().enumerate() {
                assert!(!problem.contains(char::is_control) && !problem.is_empty(), "{argv:?}: {problem:?}");
                assert!(!problems[..at].contains(problem), "{argv:?}: {problems:?}");
            }
            None
        }
    }
}

/// More of an answer never changes what its status is.
pub fn answer(bytes: &[u8]) {
    let status = (0..bytes.len()).find_map(|length| probe::status_of(&bytes[..length]));
    assert!(status.is_none() || status == probe::status_of(bytes), "{:?}", String::from_utf8_lossy(bytes));
}

/// What is waited for is named as it would be typed.
pub fn wait_target(text: &str) {
    if let Ok(target) = text.parse::<probe::Target>() {
        let printed = target.to_string();
        let again = printed.parse::<probe::Target>().map(|target| target.to_string());
        assert_eq!(again.as_ref(), Ok(&printed), "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

    proptest! {
        // The same inputs in every run: finding new ones is what fuzzing is for.
        #![proptest_config(ProptestConfig {
            cases: 400,
            rng_seed: RngSeed::Fixed(0),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn configs(text in "((settle|to|largest|files|watch|path|prepare|retry|exec|x|&a|\\*a|<<|\"|'|~|- |\\? |\\[|\\]|\\{|\\}|,|#|\\||>|\\.):? ?\n?( |  |\t)?){0,20}") {
            super::config(&text);
        }

        #[test]
        fn flags(words in vec("(-{0,3}(value|switch|settle|valu|help|h|version)?(=.{0,3})?|.{0,3})", 0..8)) {
            super::go_flags(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }

        #[test]
        fn answers(text in "(HTTP/1\\.[01] ?)?([0-9]{3} |\r?\n|.){0,6}") {
            super::answer(text.as_bytes());
        }

        #[test]
        fn wait_targets(text in "(tcp|http|https|file|unix)?:?/{0,3}(:|host|[0-9]{1,6}|/|.){0,4}") {
            super::wait_target(&text);
        }
    }
}
