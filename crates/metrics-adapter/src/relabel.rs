//! Relabeling: Prometheus' `relabel_configs`, as a function of a set of labels.
//!
//! The name of the metric is the label `__name__`. Labels that begin with two underscores serve as scratch paper between
//! rules; what is left of them at the end is taken away, because nothing may be exposed under such names.

#[cfg(test)]
mod tests;
mod yaml;

pub use yaml::read;

use exposition::is_plain_label;
use md5::{Digest, Md5};
use regex::Regex;

use crate::map::expand;

/// The metric's name among its labels.
pub const NAME: &str = "__name__";

/// Rules in order. No rules cost nothing.
#[derive(Debug, Default)]
pub struct Relabeling {
    rules: Vec<Rule>,
}

/// What a rule looks at: the values of some labels, joined.
#[derive(Debug)]
struct Source {
    labels: Vec<String>,
    separator: String,
}

#[derive(Debug)]
struct Rule {
    source: Source,
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// Sets a label to what the expression captured. Target and value may have captures in them.
    Replace {
        regex: Regex,
        target: String,
        value: String,
    },
    Keep(Regex),
    Drop(Regex),
    /// Keeps what has the source's value in this label too.
    KeepEqual(String),
    DropEqual(String),
    /// Sets a label to the source's hash, modulo a number.
    HashMod {
        target: String,
        modulus: u64,
    },
    /// Copies labels to names made of theirs.
    LabelMap {
        regex: Regex,
        name: String,
    },
    LabelDrop(Regex),
    LabelKeep(Regex),
    Lowercase(String),
    Uppercase(String),
}

type Labels = Vec<(String, String)>;

impl Relabeling {
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the series is kept; if so, `labels` are its new ones, sorted.
    pub fn apply(&self, labels: &mut Labels) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        if !self.rules.iter().all(|rule| rule.apply(labels)) {
            return false;
        }
        labels.retain(|(name, value)| !value.is_empty() && (name == NAME || !name.starts_with("__")));
        labels.sort();
        true
    }
}

impl Rule {
    fn apply(&self, labels: &mut Labels) -> bool {
        match &self.action {
            Action::Keep(regex) => return regex.is_match(&self.source.of(labels)),
            Action::Drop(regex) => return !regex.is_match(&self.source.of(labels)),
            Action::KeepEqual(target) => return value(labels, target) == self.source.of(labels),
            Action::DropEqual(target) => return value(labels, target) != self.source.of(labels),
            Action::Replace { regex, target, value } => {
                let source = self.source.of(labels);
                if let Some(captures) = regex.captures(&source) {
                    let (mut name, mut text) = (String::new(), String::new());
                    expand(target, &captures, &mut name);
                    expand(value, &captures, &mut text);
                    if is_plain_label(&name) {
                        set(labels, &name, text);
                    }
                }
            }
            Action::HashMod { target, modulus } => {
                let hash = Md5::digest(self.source.of(labels));
                // The last eight bytes, as Prometheus takes them.
                let number = hash[8..].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                set(labels, target, (number % modulus).to_string());
            }
            Action::LabelMap { regex, name } => {
                for (old, value) in labels.clone() {
                    if let Some(captures) = regex.captures(&old) {
                        let mut new = String::new();
                        expand(name, &captures, &mut new);
                        if is_plain_label(&new) {
                            set(labels, &new, value);
                        }
                    }
                }
            }
            Action::LabelDrop(regex) => labels.retain(|(name, _)| !regex.is_match(name)),
            Action::LabelKeep(regex) => labels.retain(|(name, _)| regex.is_match(name)),
            Action::Lowercase(target) => set(labels, target, self.source.of(labels).to_lowercase()),
            Action::Uppercase(target) => set(labels, target, self.source.of(labels).to_uppercase()),
        }
        true
    }
}

impl Source {
    fn of(&self, labels: &Labels) -> String {
        let values: Vec<_> = self.labels.iter().map(|name| value(labels, name)).collect();
        values.join(&self.separator)
    }
}

/// A label that is not there is empty.
fn value<'l>(labels: &'l Labels, name: &str) -> &'l str {
    labels.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
}

/// A label that becomes empty is not there.
fn set(labels: &mut Labels, name: &str, value: String) {
    let found = labels.iter().position(|(own, _)| own == name);
    match found {
        Some(at) if value.is_empty() => {
            labels.remove(at);
        }
        Some(at) => labels[at].1 = value,
        None if value.is_empty() => {}
        None => labels.push((name.to_owned(), value)),
    }
}
