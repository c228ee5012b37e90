//! Go's flag package takes `-name` for `--name`, and the word after a flag for its value, whatever it looks like.

use std::ffi::OsString;

use clap::Command;

/// The same command line as clap takes it: `-name=VALUE` as `--name=VALUE`, and `-name VALUE` so as well, because VALUE
/// may begin with a dash. Single letters stay as they are.
pub fn from_go_style(argv: &[OsString], command: &Command) -> Vec<OsString> {
    let mut words = argv.iter().cloned();
    // The name of the program is no flag, even if it looks like one.
    let mut translated: Vec<OsString> = words.next().into_iter().collect();
    while let Some(word) = words.next() {
        if word == "--" {
            translated.push(word);
            break;
        }
        let mut word = with_two_dashes(word);
        if takes_next(&word, command)
            && let Some(value) = words.next()
        {
            word.push("=");
            word.push(value);
        }
        translated.push(word);
    }
    // What is left is positional.
    translated.extend(words);
    translated
}

fn with_two_dashes(word: OsString) -> OsString {
    let bytes = word.as_encoded_bytes();
    if bytes.len() < 3 || bytes[0] != b'-' || bytes[1] == b'-' {
        return word;
    }
    let mut longer = OsString::from("-");
    longer.push(word);
    longer
}

/// Whether this is a flag whose value is the next word.
fn takes_next(word: &OsString, command: &Command) -> bool {
    let Some(name) = word.to_str().and_then(|word| word.strip_prefix("--")) else { return false };
    command.get_arguments().any(|arg| arg.get_long() == Some(name) && arg.get_action().takes_values())
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    fn translated(words: &[&str]) -> Vec<String> {
        let value = Arg::new("value").long("value");
        let switch = Arg::new("switch").long("switch").action(ArgAction::SetTrue);
        let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
        let argv = from_go_style(&argv, &Command::new("x").args([value, switch]));
        argv.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn flags_get_their_second_dash() {
        for (typed, read) in [
            (
                &["x", "-value=/a", "--b", "-c", "-", "--", "-d"][..],
                &["x", "--value=/a", "--b", "-c", "-", "--", "-d"][..],
            ),
            (&["-x", "-switch", "-unknown", "word"], &["-x", "--switch", "--unknown", "word"]),
        ] {
            assert_eq!(translated(typed), read, "{typed:?}");
        }
    }

    #[test]
    fn values_stay_as_they_are() {
        for (typed, read) in [
            (&["x", "-value", "-10"][..], &["x", "--value=-10"][..]),
            (&["x", "--value", "--value"], &["x", "--value=--value"]),
            (&["x", "-value", "--", "-switch"], &["x", "--value=--", "--switch"]),
            (&["x", "-switch", "-value"], &["x", "--switch", "--value"]),
        ] {
            assert_eq!(translated(typed), read, "{typed:?}");
        }
    }
}
