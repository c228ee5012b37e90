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
        found.map(|(_, verb)| *verb).ok_or_else(|| format!("unknown relabel action, expected one of {}", names()))
    }
}

impl Verb {
    fn name(self) -> &'static str {
        VERBS.iter().find(|(_, verb)| *verb == self).map_or("replace", |(name, _)| name)
    }
}

/// A name that a label may have.
struct LabelName(String);

impl FromStr for LabelName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_plain_label(text) { Ok(Self(text.to_owned())) } else { Err("is not a valid label name") }
    }
}

/// As it is written, with what is said where nothing is.
struct Spelled {
    verb: Verb,
    source: Option<Vec<String>>,
    separator: Option<String>,
    regex: Option<String>,
    modulus: u64,
    target: String,
    replacement: Option<String>,
}

fn rule(section: &mut Section) -> Option<Rule> {
    let verb = section.parsed("action");
    let has_source = section.has("source_labels");
    let source = section.list("source_labels").into_iter().map(|LabelName(name)| name).collect();
    let spelled = Spelled {
        verb: verb.unwrap_or(Verb::Replace),
        source: has_source.then_some(source),
        separator: section.parsed("separator"),
        regex: section.parsed("regex"),
        modulus: section.parsed("modulus").map_or(0, |Modulus(number)| number),
        target: section.parsed("target_label").unwrap_or_default(),
        replacement: section.parsed("replacement"),
    };
    let action = spelled.action().map_err(|problem| section.problem(problem)).ok()?;
    let separator = spelled.separator.unwrap_or_else(|| SEPARATOR.to_owned());
    Some(Rule { source: Source { labels: spelled.source.unwrap_or_default(), separator }, action })
}

struct Modulus(u64);

impl FromStr for Modulus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "expected a whole number")
    }
}

/// What is wrong is said in Prometheus' words: that is what people search for.
impl Spelled {
    fn action(&self) -> Result<Action, String> {
        self.check()?;
        // Also where nothing asks for it: a mistake in it is one.
        let regex = self.regex()?;
        let target = self.target.clone();
        let value = || self.replacement.clone().unwrap_or_else(|| REPLACEMENT.to_owned());
        Ok(match self.verb {
            Verb::Replace => Action::Replace { regex, target, value: value() },
            Verb::Keep => Action::Keep(regex),
            Verb::Drop => Action::Drop(regex),
            Verb::KeepEqual => Action::KeepEqual(target),
            Verb::DropEqual => Action::DropEqual(target),
            Verb::HashMod => Action::HashMod { target, modulus: self.modulus },
            Verb::LabelMap => Action::LabelMap { regex, name: value() },
            Verb::LabelDrop => Action::LabelDrop(regex),
            Verb::LabelKeep => Action::LabelKeep(regex),
            Verb::Lowercase => Action::Lowercase(target),
            Verb::Uppercase => Action::Uppercase(target),
        })
    }

    fn check(&self) -> Result<(), String> {
        let (verb, target) = (self.verb.name(), &self.target);
        if self.verb == Verb::HashMod && self.modulus == 0 {
            return Err("relabel configuration for hashmod requires non-zero modulus".into());
        }
        if self.needs_target() && target.is_empty() {
            return Err(format!("relabel configuration for {verb} action requires 'target_label' value"));
        }
        let is_target = match self.verb {
            Verb::Replace => is_plain_label(target) || is_template(target),
            _ => !self.needs_target() || is_plain_label(target),
        };
        if !is_target {
            return Err(format!("\"{target}\" is invalid 'target_label' for {verb} action"));
        }
        let is_comparison = matches!(self.verb, Verb::KeepEqual | Verb::DropEqual);
        let is_case = matches!(self.verb, Verb::Lowercase | Verb::Uppercase);
        if (is_comparison || is_case) && self.has_replacement() {
            return Err(format!("'replacement' can not be set for {verb} action"));
        }
        let replacement = self.replacement.as_deref().unwrap_or(REPLACEMENT);
        if self.verb == Verb::LabelMap && !is_template(replacement) {
            return Err(format!("\"{replacement}\" is invalid 'replacement' for {verb} action"));
        }
        let has_more = self.modulus > 0 || self.has_separator();
        if is_comparison && (self.regex.is_some() || has_more) {
            return Err(format!("{verb} action requires only 'source_labels' and 'target_label', and no other fields"));
        }
        if matches!(self.verb, Verb::LabelDrop | Verb::LabelKeep)
            && (self.source.is_some() || !target.is_empty() || has_more || self.has_replacement())
        {
            return Err(format!("{verb} action requires only 'regex', and no other fields"));
        }
        Ok(())
    }

    /// Over the whole text, where a dot is any character.
    fn regex(&self) -> Result<Regex, String> {
        let spec = self.regex.as_deref().unwrap_or(REGEX);
        go_regex(spec).map_err(|problem| format!("regex: {problem}"))?;
        let (regex, _) = go_regex(&format!("^(?s:{spec})$")).map_err(|problem| format!("regex: {problem}"))?;
        Ok(regex)
    }

    fn needs_target(&self) -> bool {
        !matches!(self.verb, Verb::Keep | Verb::Drop | Verb::LabelMap | Verb::LabelDrop | Verb::LabelKeep)
    }

    fn has_replacement(&self) -> bool {
        self.replacement.as_deref().is_some_and(|text| text != REPLACEMENT)
    }

    fn has_separator(&self) -> bool {
        self.separator.as_deref().is_some_and(|separator| separator != SEPARATOR)
    }
}

/// The name of a label in which captures may stand, `$1` or `${name}`, also at its beginning.
fn is_template(text: &str) -> bool {
    let mut rest = text;
    let mut is_first = true;
    while let Some(char) = rest.chars().next() {
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        rest = match char {
            '$' => {
                let after = &rest[1..];
                let (name, end) = match after.strip_prefix('{') {
                    Some(name) => (name, "}"),
                    None => (after, ""),
                };
                let length = name.find(|char| !is_word(char)).unwrap_or(name.len());
                match name[length..].strip_prefix(end) {
                    Some(after) if length > 0 => after,
                    _ => return false,
                }
            }
            char if is_word(char) && !(is_first && char.is_ascii_digit()) => &rest[1..],
            _ => return false,
        };
        is_first = false;
    }
    !text.is_empty()
}
