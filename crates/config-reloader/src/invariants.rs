//! What holds for every input, however odd: the fuzz targets call these, and the tests below do on every `cargo test`.

use std::{collections::BTreeMap, path::Path};

use regex_lite::{Captures, Regex};

use crate::{
    act::processes::{Process, matches, parse},
    args::Environment,
    config::{Processes, Undefined},
    dialect::inotifyd::Watched,
    prepare::{substitute::substitute, template::render},
    snapshot::{Change, How, hex},
    state, yaml,
};

/// What a template or a substitution may come to.
const LARGEST: u64 = 64 * 1024;

/// The value of a variable, which no problem may tell.
const SECRET: &str = "hunter2 hunter2";

fn variables() -> BTreeMap<String, String> {
    let pairs =
        [("HOST", "db"), ("EMPTY", ""), ("LOOP", "$(LOOP)$(HOST)"), ("LINES", "a\nb\n"), ("1", "one"), ("KEY", SECRET)];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What is no reference passes untouched; what is one is replaced once, as a regular expression would do it.
pub fn substitution(input: &[u8]) {
    let kept = substitute(input, &BTreeMap::new(), Undefined::Keep, LARGEST);
    let Ok((same, references)) = kept else {
        assert!(input.len() as u64 > LARGEST, "{kept:?}");
        return;
    };
    assert_eq!(same, input, "without variables nothing changes");
    let (keep, missing) = match substitute(input, &variables(), Undefined::Keep, LARGEST) {
        Ok(kept) => kept,
        Err(problem) => return assert!(problem.contains("larger than"), "{problem}"),
    };
    assert!(missing <= references);
    assert_eq!(
        substitute(input, &variables(), Undefined::Error, LARGEST).ok(),
        (missing == 0).then(|| (keep.clone(), 0))
    );
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(reference) = Regex::new(r"\$\(([a-zA-Z_0-9]+)\)")
    {
        let variables = variables();
        let replaced = |found: &Captures<'_>| variables.get(&found[1]).cloned().unwrap_or_else(|| found[0].to_owned());
        assert_eq!(String::from_utf8_lossy(&keep), reference.replace_all(text, replaced), "{text:?}");
    }
}

/// The result is bounded and the same each time, text without braces is itself, and a problem is one line with the
/// number of one that exists.
pub fn template(text: &str) {
    for undefined in [Undefined::Error, Undefined::Keep] {
        let rendered = render(text, &variables(), &BTreeMap::new(), undefined, LARGEST);
        assert_eq!(rendered, render(text, &variables(), &BTreeMap::new(), undefined, LARGEST), "{text:?}");
        match rendered {
            Ok(bytes) => {
                assert!(bytes.len() as u64 <= LARGEST, "{text:?}: {} bytes", bytes.len());
                assert!(text.contains('{') || bytes == text.as_bytes(), "{text:?}");
            }
            Err(problem) => {
                assert!(!problem.contains(char::is_control), "{problem:?}");
                assert!(!problem.contains(SECRET) || text.contains(SECRET), "{problem:?}");
                if let Some(rest) = problem.strip_prefix("line ") {
                    let line = rest.split_once(':').and_then(|(line, _)| line.parse().ok());
                    let lines = text.split('\n').count();
                    assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{problem:?} of {lines} lines");
                }
            }
        }
    }
}

/// A whole settings file: every problem is one line that names a line of the file, and a config that is good has
/// something to do.
pub fn settings(text: &str) {
    let read = common::config::parse("f", text, |root| {
        root.ignore("sidecar");
        yaml::config(root, &Environment(variables()))
    });
    match read {
        Ok(config) => assert!(!config.sources().is_empty(), "{text:?}"),
        Err(failure) => {
            let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
            for problem in failure.problems {
                let line = problem.strip_prefix("f:").and_then(|rest| rest.split_once(": ")?.0.parse().ok());
                assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{problem:?} of {lines} lines");
                assert!(!problem.contains(char::is_control), "{problem:?}");
            }
        }
    }
}

/// What is watched is what was typed, and what is said about a change was asked for.
pub fn inotifyd_file(text: &str) {
    let Ok(watched) = text.parse::<Watched>() else { return };
    let path = watched.path.to_string_lossy();
    assert!(!path.is_empty());
    assert!(text == path || text == format!("{path}:{}", watched.mask), "{text:?} is read as {watched:?}");
    for how in [How::Added, How::Changed, How::Removed] {
        for path in [watched.path.clone(), watched.path.join("f"), Path::new("elsewhere").join(&watched.path)] {
            let Some(words) = watched.words(&Change { path: path.clone(), how }) else { continue };
            assert!(watched.mask.contains(&words[0]), "{watched:?}: {words:?}");
            let named: std::path::PathBuf = words[1..].iter().collect();
            assert_eq!(named, path, "{watched:?}: {words:?}");
        }
    }
}

/// Whatever its name is, a process is read as the kernel wrote it and found by that name; anything may come from
/// elsewhere without harm.
pub fn process(name: &str, anything: &str) {
    parse(1, anything, anything, anything);
    let zeros = "0 ".repeat(17);
    let stat = format!("7 ({name}) S 42 {zeros}1234 0 0\n");
    let read = parse(7, &stat, "Name:\tx\nUid:\t1\t65532\t3\t4\n", "/usr/bin/x\0-c\0\0");
    let expected = Process {
        pid: 7,
        parent: 42,
        started: 1234,
        name: name.to_owned(),
        command_line: "/usr/bin/x -c".into(),
        uid: Some(65532),
    };
    assert_eq!(read.as_ref(), Some(&expected), "{stat:?}");
    assert!(matches(&Processes::Name(name.to_owned()), &expected), "{name:?}");
    // As the kernel keeps it.
    let kept = String::from_utf8_lossy(&name.as_bytes()[..name.len().min(15)]).into_owned();
    assert!(matches(&Processes::Name(name.to_owned()), &Process { name: kept, ..expected }), "{name:?}");
}

/// What is accepted is what would be written.
pub fn state_file(text: &str) {
    if let Some(hash) = state::parse(text) {
        assert_eq!(text.trim().to_ascii_lowercase(), format!("told {}", hex(&hash)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::RngSeed};

    proptest! {
        // The same inputs in every run: finding new ones is what fuzzing is for.
        #![proptest_config(ProptestConfig {
            cases: 300,
            rng_seed: RngSeed::Fixed(0),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn substitutions(text in r"(\$|\(|\)|\$\(|HOST|EMPTY|LOOP|LINES|1|_|-|(?s:.)){0,20}") {
            super::substitution(text.as_bytes());
        }

        #[test]
        fn templates(text in r"(\{\{ ?|\}\}|\{% ?|%\}|env\.HOST|env\.KEY|env\.NO|if |endif|for a in |range\(|\)|endfor|'x'|\||indent\(|replace\(|[0-9]|~|\*|\n|.){0,12}") {
            super::template(&text);
        }

        #[test]
        fn settings(text in "((watch|prepare|from|to|tell|http|url|exec|signal|retry|settle|poll|check|x|- |'|\\[|\\]|\\{|\\}|,|1s|/a|http://a|.):? ?\n?( |  |    )?){0,20}") {
            super::settings(&text);
        }

        #[test]
        fn inotifyd_files(text in "(/|a|:|[wcnydma0reDMuox]{1,3}|.){0,6}") {
            super::inotifyd_file(&text);
        }

        #[test]
        fn processes(name in r"(\(|\) ?|S|a{1,16}|(?s:.)){0,6}", anything in r"([0-9]{1,3} |\(|\) |S |Z |Uid:\t|.){0,24}") {
            super::process(&name, &anything);
        }

        #[test]
        fn state_files(text in " ?told ?([0-9a-fA-F]{62,66}|(\\+?[0-9a-f]|[0-9a-f]{2}){32})\n?") {
            super::state_file(&text);
        }
    }
}
