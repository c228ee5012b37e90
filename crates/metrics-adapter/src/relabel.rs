//! Relabeling: Prometheus' `relabel_configs`, as a function of a set of labels.
//!
//! The name of the metric is the label `__name__`. Labels that begin with two underscores serve as scratch paper between
//! rules; what is left of them at the end is taken away, because nothing may be exposed under such names.

mod case;
mod own;
#[cfg(test)]
mod tests;
mod yaml;

pub use own::{SUFFIXES, base, families};
pub use yaml::read;

use exposition::is_plain_label;
use md5::{Digest, Md5};
use regex::Regex;

use crate::map::expand;

/// The metric's name among its labels.
pub const NAME: &str = "__name__";

/// Rules in order. No rules cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Relabeling {
    rules: Vec<Rule>,
}

/// What a rule looks at: the values of some labels, joined.
#[derive(Clone, Debug)]
struct Source {
    labels: Vec<String>,
    separator: String,
}

#[derive(Clone, Debug)]
struct Rule {
    source: Source,
    action: Action,
}

#[derive(Clone, Debug)]
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

/// Labels while rules are applied: first those that no rule has set, in the order of their names, then the others in the
/// order in which they were set. It matters where several labels are mapped to one name, and the last of them wins.
struct Work {
    labels: Labels,
    untouched: usize,
}

impl Relabeling {
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the series is kept; if so, `labels` are its new ones, sorted.
    pub fn apply(&self, labels: &mut Labels) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        labels.sort();
        let mut work = Work { untouched: labels.len(), labels: std::mem::take(labels) };
        if !self.rules.iter().all(|rule| rule.apply(&mut work)) {
            return false;
        }
        *labels = work.labels;
        labels.retain(|(name, value)| !value.is_empty() && (name == NAME || !name.starts_with("__")));
        labels.sort();
        true
    }
}

impl Rule {
    fn apply(&self, labels: &mut Work) -> bool {
        match &self.action {
            Action::Keep(regex) => return regex.is_match(&self.source.of(labels)),
            Action::Drop(regex) => return !regex.is_match(&self.source.of(labels)),
            Action::KeepEqual(target) => return labels.value(target) == self.source.of(labels),
            Action::DropEqual(target) => return labels.value(target) != self.source.of(labels),
            Action::Replace { regex, target, value } => {
                let source = self.source.of(labels);
                if let Some(captures) = regex.captures(&source) {
                    let (mut name, mut text) = (String::new(), String::new());
                    expand(target, &captures, &mut name);
                    expand(value, &captures, &mut text);
                    if is_plain_label(&name) {
                        labels.set(&name, text);
                    }
                }
            }
            Action::HashMod { target, modulus } => {
                let hash = Md5::digest(self.source.of(labels));
                // The last eight bytes, as Prometheus takes them.
                let number = hash[8..].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                labels.set(target, (number % modulus).to_string());
            }
            Action::LabelMap { regex, name } => {
                for (old, value) in labels.labels.clone() {
                    if let Some(captures) = regex.captures(&old) {
                        let mut new = String::new();
                        expand(name, &captures, &mut new);
                        if is_plain_label(&new) {
                            labels.set(&new, value);
                        }
                    }
                }
            }
            Action::LabelDrop(regex) => labels.retain(|name| !regex.is_match(name)),
            Action::LabelKeep(regex) => labels.retain(|name| regex.is_match(name)),
            Action::Lowercase(target) => labels.set(target, case::lower(&self.source.of(labels))),
            Action::Uppercase(target) => labels.set(target, case::upper(&self.source.of(labels))),
        }
        true
    }
}

impl Source {
    fn of(&self, labels: &Work) -> String {
        let values: Vec<_> = self.labels.iter().map(|name| labels.value(name)).collect();
        values.join(&self.separator)
    }
}

impl Work {
    /// A label that is not there is empty.
    fn value(&self, name: &str) -> &str {
        self.labels.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// A label that becomes empty is not there.
    fn set(&mut self, name: &str, value: String) {
        match self.labels.iter().position(|(own, _)| own == name) {
            Some(at) if at >= self.untouched && !value.is_empty() => self.labels[at].1 = value,
            Some(at) => {
                let (name, _) = self.labels.remove(at);
                self.untouched -= usize::from(at < self.untouched);
                if !value.is_empty() {
                    self.labels.push((name, value));
                }
            }
            None if value.is_empty() => {}
            None => self.labels.push((name.to_owned(), value)),
        }
    }

    fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        self.untouched = self.labels[..self.untouched].iter().filter(|(name, _)| stays(name)).count();
        self.labels.retain(|(name, _)| stays(name));
    }
}
