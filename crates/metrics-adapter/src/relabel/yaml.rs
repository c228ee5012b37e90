//! How rules are written: a list of mappings, each with its `action`, as in Prometheus' own configuration.

use std::str::FromStr;

use common::config::Section;
use exposition::is_plain_label;
use regex::Regex;

use super::{Action, Relabeling, Rule, Source};
use crate::map::go_regex;

const SEPARATOR: &str = ";";
const REGEX: &str = "(.*)";
const REPLACEMENT: &str = "$1";

/// The rules under a key.
pub fn read(root: &mut Section, key: &str) -> Relabeling {
    Relabeling { rules: root.sections(key).iter_mut().filter_map(rule).collect() }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const VERBS: [(&str, Verb); 11] = [
    ("replace", Verb::Replace),
    ("keep", Verb::Keep),
    ("drop", Verb::Drop),
    ("keepequal", Verb::KeepEqual),
    ("dropequal", Verb::DropEqual),
    ("hashmod", Verb::HashMod),
    ("labelmap", Verb::LabelMap),
    ("labeldrop", Verb::LabelDrop),
    ("labelkeep", Verb::LabelKeep),
    ("lowercase", Verb::Lowercase),
    ("uppercase", Verb::Uppercase),
];

impl FromStr for Verb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = VERBS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        let names = || VERBS.map(|(name, _)| name).join(", ");
        found.map(|(_, verb)| *verb).ok_or_else(|| format!("expected one of {}", names()))
    }
}

/// As it is written, with what is said where nothing is.
struct Spelled {
    verb: Verb,
    source: Vec<String>,
    separator: Option<String>,
    regex: Option<String>,
    modulus: Option<u64>,
    target: Option<String>,
    replacement: Option<String>,
}

fn rule(section: &mut Section) -> Option<Rule> {
    let verb = section.parsed("action");
    let spelled = Spelled {
        verb: verb.unwrap_or(Verb::Replace),
        source: section.list("source_labels"),
        separator: section.parsed("separator"),
        regex: section.parsed("regex"),
        modulus: section.parsed::<Modulus>("modulus").map(|Modulus(number)| number),
        target: section.parsed("target_label"),
        replacement: section.parsed("replacement"),
    };
    let action = spelled.action().map_err(|problem| section.problem(problem)).ok()?;
    let separator = spelled.separator.unwrap_or_else(|| SEPARATOR.to_owned());
    Some(Rule { source: Source { labels: spelled.source, separator }, action })
}

struct Modulus(u64);

impl FromStr for Modulus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "expected a whole number")
    }
}

impl Spelled {
    fn action(&self) -> Result<Action, String> {
        let name = VERBS.iter().find(|(_, verb)| *verb == self.verb).map_or("replace", |(name, _)| name);
        if matches!(self.verb, Verb::KeepEqual | Verb::DropEqual) && self.says_more_than_labels() {
            return Err(format!("{name} takes only source_labels and target_label"));
        }
        if matches!(self.verb, Verb::LabelDrop | Verb::LabelKeep) && self.says_more_than_regex() {
            return Err(format!("{name} takes only regex"));
        }
        if matches!(self.verb, Verb::Lowercase | Verb::Uppercase) && self.has_replacement() {
            return Err(format!("{name} takes no replacement"));
        }
        let target = || self.target_label(name);
        Ok(match self.verb {
            Verb::Replace => {
                let target = self.target.clone().filter(|target| !target.is_empty());
                let target = target.ok_or_else(|| format!("{name} needs target_label"))?;
                if !target.contains('$') && !is_plain_label(&target) {
                    return Err(no_label("target_label", &target));
                }
                let value = self.replacement.clone().unwrap_or_else(|| REPLACEMENT.to_owned());
                Action::Replace { regex: self.regex()?, target, value }
            }
            Verb::Keep => Action::Keep(self.regex()?),
            Verb::Drop => Action::Drop(self.regex()?),
            Verb::KeepEqual => Action::KeepEqual(target()?),
            Verb::DropEqual => Action::DropEqual(target()?),
            Verb::HashMod => {
                let modulus = self.modulus.filter(|modulus| *modulus > 0);
                Action::HashMod { target: target()?, modulus: modulus.ok_or("hashmod needs a modulus above 0")? }
            }
            Verb::LabelMap => {
                let name = self.replacement.clone().unwrap_or_else(|| REPLACEMENT.to_owned());
                if !name.contains('$') && !is_plain_label(&name) {
                    return Err(no_label("replacement", &name));
                }
                Action::LabelMap { regex: self.regex()?, name }
            }
            Verb::LabelDrop => Action::LabelDrop(self.regex()?),
            Verb::LabelKeep => Action::LabelKeep(self.regex()?),
            Verb::Lowercase => Action::Lowercase(target()?),
            Verb::Uppercase => Action::Uppercase(target()?),
        })
    }

    /// Over the whole text, where a dot is any character.
    fn regex(&self) -> Result<Regex, String> {
        let spec = self.regex.as_deref().unwrap_or(REGEX);
        go_regex(spec).map_err(|problem| format!("regex: {problem}"))?;
        let (regex, _) = go_regex(&format!("^(?s:{spec})$")).map_err(|problem| format!("regex: {problem}"))?;
        Ok(regex)
    }

    fn target_label(&self, name: &str) -> Result<String, String> {
        let target = self.target.clone().ok_or_else(|| format!("{name} needs target_label"))?;
        if is_plain_label(&target) { Ok(target) } else { Err(no_label("target_label", &target)) }
    }

    fn has_replacement(&self) -> bool {
        self.replacement.as_deref().is_some_and(|text| text != REPLACEMENT)
    }

    fn says_more_than_labels(&self) -> bool {
        self.regex.as_deref().is_some_and(|regex| regex != REGEX)
            || self.modulus.is_some_and(|modulus| modulus > 0)
            || self.separator.as_deref().is_some_and(|separator| separator != SEPARATOR)
            || self.has_replacement()
    }

    fn says_more_than_regex(&self) -> bool {
        !self.source.is_empty()
            || self.target.as_deref().is_some_and(|target| !target.is_empty())
            || self.modulus.is_some_and(|modulus| modulus > 0)
            || self.separator.as_deref().is_some_and(|separator| separator != SEPARATOR)
            || self.has_replacement()
    }
}

fn no_label(key: &str, name: &str) -> String {
    format!("{key}: \"{name}\": expected a name of a label: letters, digits and _, and no digit first")
}
