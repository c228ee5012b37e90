//! What the files of both peers come to: a list of sections with keys, each with its place.
//!
//! A section is asked for its keys one by one. What nobody asked for by the time it is dropped is a mistake, or a
//! setting that we do not know: it is reported with the nearest key there is. All problems are collected.

use std::{cell::RefCell, collections::BTreeSet, fmt, fmt::Display, rc::Rc, str::FromStr, sync::Arc};

use common::{Exit, Failure};

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    /// 0 for what was typed.
    pub line: usize,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// What is wrong, and what has no effect.
#[derive(Clone, Debug, Default)]
pub struct Findings(Rc<RefCell<Found>>);

#[derive(Debug, Default)]
struct Found {
    problems: Vec<(Place, String)>,
    no_effect: BTreeSet<String>,
    warnings: Vec<String>,
}

impl Findings {
    pub fn problem(&self, place: &Place, problem: impl Display) {
        self.0.borrow_mut().problems.push((place.clone(), problem.to_string()));
    }

    /// Not wrong, but the operator should know.
    pub fn warning(&self, place: &Place, text: impl Display) {
        self.0.borrow_mut().warnings.push(format!("{place}: {text}"));
    }

    fn has_no_effect(&self, key: String) {
        self.0.borrow_mut().no_effect.insert(key);
    }

    /// All of it: as a failure, or as lines of the log.
    pub fn conclude(self) -> Result<(), Failure> {
        let Found { mut problems, no_effect, warnings } = self.0.take();
        problems.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut problems: Vec<_> = problems.into_iter().map(|(place, problem)| format!("{place}: {problem}")).collect();
        problems.dedup();
        if !problems.is_empty() {
            return Err(Failure { exit: Exit::Config, problems });
        }
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        if !no_effect.is_empty() {
            let keys: Vec<_> = no_effect.into_iter().collect();
            tracing::info!(
                keys = keys.join(", "),
                "accepted, and without effect here: see docs/log-shipper-dialects.md"
            );
        }
        Ok(())
    }
}

/// A key with its value as it is written.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub value: String,
    pub place: Place,
}

#[derive(Debug)]
pub struct Section {
    /// As it is written: `[OUTPUT]`, `<match app.**>`.
    pub title: String,
    /// What kind it is, in lower case: `output`, `match`.
    pub kind: String,
    /// What stands behind the kind: `app.**`.
    pub argument: String,
    pub place: Place,
    pub entries: Vec<Entry>,
    pub children: Vec<Section>,
    asked: Vec<String>,
    findings: Findings,
    /// Nobody is to be told what was not asked for.
    is_done: bool,
}

impl Section {
    pub fn new(title: impl Into<String>, kind: &str, argument: &str, place: Place, findings: &Findings) -> Self {
        Self {
            title: title.into(),
            kind: kind.to_ascii_lowercase(),
            argument: argument.into(),
            place,
            entries: Vec::new(),
            children: Vec::new(),
            asked: Vec::new(),
            findings: findings.clone(),
            is_done: false,
        }
    }

    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>, place: &Place) {
        self.entries.push(Entry { key: key.into(), value: value.into(), place: place.clone() });
    }

    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// All values of a key, in their order.
    pub fn all(&mut self, key: &str) -> Vec<Entry> {
        self.asked.push(key.to_owned());
        let (found, rest) =
            std::mem::take(&mut self.entries).into_iter().partition(|entry| entry.key.eq_ignore_ascii_case(key));
        self.entries = rest;
        found
    }

    /// All keys that begin so, in their order.
    pub fn all_beginning(&mut self, prefix: &str) -> Vec<Entry> {
        let begins = |entry: &Entry| entry.key.get(..prefix.len()).is_some_and(|key| key.eq_ignore_ascii_case(prefix));
        let (found, rest) = std::mem::take(&mut self.entries).into_iter().partition(begins);
        self.entries = rest;
        found
    }

    /// The value of a key; where there are several, the last counts. One that is empty is none.
    pub fn entry(&mut self, key: &str) -> Option<Entry> {
        self.all(key).pop().filter(|entry| !entry.value.is_empty())
    }

    pub fn text(&mut self, key: &str) -> Option<String> {
        self.entry(key).map(|entry| entry.value)
    }

    pub fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        self.read(key, str::parse)
    }

    pub fn read<T, E: Display>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let entry = self.entry(key)?;
        read(&entry.value).map_err(|expected| self.wrong(&entry, expected)).ok()
    }

    /// `on` and `off`, and all other words for them.
    pub fn switch(&mut self, key: &str) -> Option<bool> {
        self.read(key, |text| match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok(true),
            "off" | "false" | "no" | "0" => Ok(false),
            _ => Err("expected on or off"),
        })
    }

    /// The list that a value with commas is.
    pub fn list(&mut self, key: &str) -> Vec<String> {
        let values = self.all(key).into_iter();
        let split = |entry: Entry| entry.value.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>();
        values.flat_map(split).filter(|item| !item.is_empty()).collect()
    }

    /// The section of this kind that is inside, if there is one.
    pub fn child(&mut self, kind: &str) -> Option<Section> {
        let mut found = self.children_of(kind);
        let child = found.pop();
        for other in found {
            other.problem("there is another one: expected one");
        }
        child
    }

    pub fn children_of(&mut self, kind: &str) -> Vec<Section> {
        let (found, rest) = std::mem::take(&mut self.children).into_iter().partition(|child| child.kind == kind);
        self.children = rest;
        found
    }

    /// Keys that are known, and do nothing here.
    pub fn no_effect(&mut self, keys: &[&str]) {
        for key in keys {
            let title = self.title.clone();
            for entry in self.all(key) {
                self.findings.has_no_effect(format!("{title} {}", entry.key));
            }
        }
    }

    /// As [`Section::no_effect`], for all that begin so.
    pub fn no_effect_beginning(&mut self, prefix: &str) {
        let title = self.title.clone();
        for entry in self.all_beginning(prefix) {
            self.findings.has_no_effect(format!("{title} {}", entry.key));
        }
    }

    /// Keys that would change what is delivered, and cannot be honoured.
    pub fn refused(&mut self, keys: &[&str], why: &str) {
        for key in keys {
            for entry in self.all(key) {
                self.say(&entry, why);
            }
        }
    }

    /// Switches that only one way can be honoured; the other way is what happens anyway.
    pub fn refused_unless(&mut self, key: &str, wanted: bool, why: &str) {
        let place = self.place.clone();
        let entry = self.entries.iter().rev().find(|entry| entry.key.eq_ignore_ascii_case(key)).cloned();
        if self.switch(key).is_some_and(|said| said != wanted) {
            match entry {
                Some(entry) => self.say(&entry, why),
                None => self.findings.problem(&place, why),
            }
        }
    }

    /// Reports that a value is not what was expected.
    pub fn wrong(&self, entry: &Entry, expected: impl Display) {
        self.findings
            .problem(&entry.place, format_args!("{} {} \"{}\": {expected}", self.title, entry.key, entry.value));
    }

    /// Reports what is wrong with a key whatever its value is.
    pub fn say(&self, entry: &Entry, problem: impl Display) {
        self.findings.problem(&entry.place, format_args!("{} {}: {problem}", self.title, entry.key));
    }

    pub fn problem(&self, problem: impl Display) {
        self.findings.problem(&self.place, format_args!("{}: {problem}", self.title));
    }

    /// Leaves all that is left unread, because the section itself was refused.
    pub fn forget(mut self) {
        self.forget_all();
    }

    fn forget_all(&mut self) {
        self.is_done = true;
        self.children.iter_mut().for_each(Self::forget_all);
    }
}

impl Drop for Section {
    /// On drop, so that no reader can forget it: a silently ignored key is a hole.
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        for entry in &self.entries {
            match values::nearest(&entry.key.to_ascii_lowercase(), self.asked.iter().map(String::as_str)) {
                Some(near) => self.say(entry, format_args!("not known here, did you mean {near}?")),
                None => self.say(entry, "not known here"),
            }
        }
        for child in &mut self.children {
            child.problem(format_args!("not known in {}", self.title));
            child.forget_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(findings: &Findings) -> Section {
        let place = |line| Place { file: "a.conf".into(), line };
        let mut section = Section::new("[OUTPUT]", "OUTPUT", "", place(1), findings);
        section.add("Host", "a", &place(2));
        section.add("host", "b", &place(3));
        section.add("Port", "92OO", &place(4));
        section.add("Pot", "1", &place(5));
        section.add("Workers", "2", &place(6));
        section
    }

    #[test]
    fn every_problem_is_said_with_its_place() {
        let findings = Findings::default();
        let mut output = section(&findings);
        assert_eq!(output.text("host"), Some("b".into()));
        assert_eq!(output.parsed::<u16>("port"), None);
        output.no_effect(&["workers"]);
        drop(output);
        let problems = findings.conclude().unwrap_err().problems;
        assert_eq!(
            problems,
            [
                "a.conf:4: [OUTPUT] Port \"92OO\": invalid digit found in string",
                "a.conf:5: [OUTPUT] Pot: not known here, did you mean port?",
            ]
        );
    }

    #[test]
    fn what_has_no_effect_is_no_problem() {
        let findings = Findings::default();
        let mut output = section(&findings);
        output.no_effect(&["host", "port", "pot", "workers"]);
        drop(output);
        assert!(findings.conclude().is_ok());
    }
}
