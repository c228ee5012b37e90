//! Lines that belong together, such as the traces of an exception: which line begins a record, and which goes on.

mod builtin;

use std::{collections::BTreeSet, sync::Arc};

use ::regex::bytes::Regex;

use super::pattern;

/// What to do with a line. The caller keeps the bytes; what it holds at a time is one record, or nothing.
///
/// After a pause, or when it holds enough, the caller may give away what it holds without asking. A line that goes on
/// (`Continue`, `End`) while it holds nothing begins a record all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What is held is a record. This line begins the next one.
    Start,
    /// This line belongs to what is held.
    Continue,
    /// This line belongs to what is held, which is a record then.
    End,
    /// What is held is a record, and so is this line.
    Alone,
}

/// How lines are put together.
#[derive(Clone, Debug)]
pub enum Grouping {
    Rules(Rules),
    /// What does not match this goes on.
    Start(Regex),
    /// What matches this goes on.
    Continue(Regex),
}

impl Grouping {
    pub fn start(pattern: &str) -> Result<Self, String> {
        pattern::of_bytes(pattern).map(Self::Start)
    }

    pub fn continues(pattern: &str) -> Result<Self, String> {
        pattern::of_bytes(pattern).map(Self::Continue)
    }
}

/// The state in which no record has begun.
pub const START: &str = "start_state";

/// In any of the states `from`, a line that matches is taken, and leads to the state `to`. From [`START`], it begins a
/// record. A line that could lead back to [`START`] ends one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub from: Vec<String>,
    pub pattern: String,
    pub to: String,
}

/// A machine made of [`Rule`]s. In a record, rules that go on are tried before those that begin one, in their order.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Compiled>);

#[derive(Clone, Debug)]
struct Compiled {
    regex: Regex,
    begins: bool,
    /// The rules that may go on after this one.
    next: Vec<usize>,
    /// Whether a record may end with this line: then it does.
    ends: bool,
}

impl Rules {
    /// Says all that is wrong with them.
    pub fn new(rules: &[Rule]) -> Result<Self, String> {
        let begins = |rule: &Rule| rule.from.iter().any(|state| state == START);
        let known: BTreeSet<&str> = rules.iter().flat_map(|rule| &rule.from).map(String::as_str).collect();
        let mut problems = Vec::new();
        let mut compiled = Vec::new();
        if !rules.iter().any(begins) {
            problems.push(format!("no rule begins a record, expected one from {START}"));
        }
        for rule in rules {
            if !known.contains(rule.to.as_str()) {
                problems.push(format!("`{}` leads to `{}`, expected a state with rules", rule.pattern, rule.to));
            }
            let after = || rules.iter().enumerate().filter(|(_, after)| after.from.contains(&rule.to));
            let next = after().filter(|(_, rule)| !begins(rule)).map(|(index, _)| index).collect();
            let ends = after().any(|(_, rule)| begins(rule));
            match pattern::of_bytes(&rule.pattern) {
                Ok(regex) => compiled.push(Compiled { regex, begins: begins(rule), next, ends }),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self(compiled)) } else { Err(problems.join("; ")) }
    }

    /// The rules for the traces of a language: java, python, go or ruby.
    pub fn builtin(language: &str) -> Option<Self> {
        builtin::rules(language).and_then(|rules| Self::new(&rules).ok())
    }

    /// Both. Where a line begins a record by either, the first counts.
    pub fn or(mut self, other: Self) -> Self {
        let shift = self.0.len();
        let shifted = other.0.into_iter().map(|rule| {
            let next = rule.next.iter().map(|index| index + shift).collect();
            Compiled { next, ..rule }
        });
        self.0.extend(shifted);
        self
    }
}

/// Where one stream of lines is. Each file has its own, and each stream of a container.
#[derive(Clone, Debug)]
pub struct Grouper {
    grouping: Arc<Grouping>,
    /// The rule that took the last line.
    last: Option<usize>,
    /// Whether a record has begun.
    open: bool,
}

impl Grouper {
    pub fn new(grouping: Arc<Grouping>) -> Self {
        Self { grouping, last: None, open: false }
    }

    /// Lines come in their order, without their line end.
    pub fn step(&mut self, line: &[u8]) -> Step {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let step = match &*self.grouping {
            Grouping::Start(regex) if regex.is_match(line) => Step::Start,
            Grouping::Continue(regex) if !regex.is_match(line) => Step::Start,
            Grouping::Start(_) | Grouping::Continue(_) => Step::Continue,
            Grouping::Rules(Rules(rules)) => {
                let (step, last) = by_rules(rules, self.last, line);
                self.last = last;
                step
            }
        };
        // Nothing has begun that could go on or end.
        let step = match step {
            Step::Continue if !self.open => Step::Start,
            Step::End if !self.open => Step::Alone,
            step => step,
        };
        self.open = matches!(step, Step::Start | Step::Continue);
        step
    }

    /// For a new file, or when lines were passed over.
    pub fn reset(&mut self) {
        (self.last, self.open) = (None, false);
    }
}

fn by_rules(rules: &[Compiled], last: Option<usize>, line: &[u8]) -> (Step, Option<usize>) {
    let after = last.and_then(|last| rules.get(last)).map_or(&[][..], |rule| &rule.next);
    if let Some(index) = after.iter().copied().find(|index| rules[*index].regex.is_match(line)) {
        let step = if rules[index].ends { Step::End } else { Step::Continue };
        return (step, Some(index));
    }
    let mut starts = rules.iter().enumerate().filter(|(_, rule)| rule.begins);
    match starts.find(|(_, rule)| rule.regex.is_match(line)) {
        Some((index, rule)) if rule.ends => (Step::Alone, Some(index)),
        Some((index, _)) => (Step::Start, Some(index)),
        None => (Step::Alone, None),
    }
}

#[cfg(test)]
mod tests;
