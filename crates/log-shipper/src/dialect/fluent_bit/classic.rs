//! The format of `fluent-bit.conf`: sections in brackets, a key and its value on each line.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::dialect::section::{Findings, Place, Section};

/// No config is larger.
const LARGEST: u64 = 4 << 20;
/// So many files include each other at most.
const DEEPEST: usize = 16;

/// Everything that the files say, in their order.
pub(super) struct Document {
    pub(super) sections: Vec<Section>,
    /// Where files that are named without a directory are.
    pub(super) root: PathBuf,
    variables: Variables,
    findings: Findings,
    open: Vec<PathBuf>,
}

/// What `${NAME}` stands for: what `@SET` says, then the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    pub(super) set: BTreeMap<String, String>,
    pub(super) environment: BTreeMap<String, String>,
}

impl Variables {
    /// The text with all variables in it, and the names of those that there are not.
    pub(super) fn expand(&self, text: &str) -> (String, Vec<String>) {
        let (mut out, mut missing) = (String::new(), Vec::new());
        let mut rest = text;
        while let Some((before, (name, after))) =
            rest.split_once("${").and_then(|(before, inside)| Some((before, inside.split_once('}')?)))
        {
            out.push_str(before);
            match self.set.get(name).or_else(|| self.environment.get(name)) {
                Some(value) => out.push_str(value),
                None => missing.push(name.to_owned()),
            }
            rest = after;
        }
        out.push_str(rest);
        (out, missing)
    }
}

impl Document {
    pub(super) fn new(root: &Path, variables: Variables, findings: &Findings) -> Self {
        Self { sections: Vec::new(), root: root.into(), variables, findings: findings.clone(), open: Vec::new() }
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.variables.set.insert(name.into(), value.into());
    }

    pub(super) fn findings(&self) -> &Findings {
        &self.findings
    }

    /// A file that is named in the config, from where it is named.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The text of a file. That it cannot be read is a problem of the place that names it.
    pub(super) fn text_of(&self, path: &Path, named_at: Option<&Place>) -> Option<String> {
        let typed = Place { file: "-c".into(), line: 0 };
        let text = values::read_text(path, LARGEST);
        text.map_err(|problem| self.findings.problem(named_at.unwrap_or(&typed), problem)).ok()
    }

    /// Adds a key, with its variables put in.
    pub(super) fn add(&self, section: &mut Section, key: &str, value: &str, place: &Place) {
        let (value, missing) = self.variables.expand(value);
        for name in missing {
            self.findings.warning(place, format_args!("{} {key}: ${{{name}}} is not set", section.title));
        }
        section.add(key, value.trim(), place);
    }

    pub(super) fn read(&mut self, path: &Path, named_at: Option<&Place>) {
        let known = path.canonicalize().unwrap_or_else(|_| path.into());
        if self.open.contains(&known) || self.open.len() == DEEPEST {
            let place = named_at.cloned().unwrap_or(Place { file: path.display().to_string().into(), line: 0 });
            self.findings.problem(&place, format_args!("@INCLUDE {}: it is included already", path.display()));
            return;
        }
        let Some(text) = self.text_of(path, named_at) else { return };
        self.open.push(known);
        self.read_text(&path.display().to_string(), &text);
        self.open.pop();
    }

    pub(super) fn read_text(&mut self, name: &str, text: &str) {
        let file: Arc<str> = name.into();
        let mut current: Option<Section> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let place = Place { file: Arc::clone(&file), line: number };
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            if let Some(directive) = line.strip_prefix('@') {
                self.directive(directive, &place);
            } else if let Some(header) = trimmed.strip_prefix('[') {
                self.sections.extend(current.take());
                match header.split_once(']') {
                    Some((kind, _)) if !kind.trim().is_empty() => {
                        let title = format!("[{}]", kind.trim());
                        current = Some(Section::new(title, kind.trim(), "", place, &self.findings));
                    }
                    _ => {
                        self.findings
                            .problem(&place, format_args!("\"{trimmed}\": expected a section such as [INPUT]"));
                    }
                }
            } else {
                let (key, value) = trimmed.split_once([' ', '\t']).unwrap_or((trimmed, ""));
                match &mut current {
                    Some(section) if value.trim().is_empty() => {
                        self.findings.problem(&place, format_args!("{} {key}: expected a value", section.title));
                    }
                    Some(section) => self.add(section, key, value.trim(), &place),
                    None => self
                        .findings
                        .problem(&place, format_args!("{key}: expected a section such as [INPUT] before it")),
                }
            }
        }
        self.sections.extend(current);
    }

    fn directive(&mut self, text: &str, place: &Place) {
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let (rest, _) = self.variables.expand(rest.trim());
        match word.to_ascii_lowercase().as_str() {
            "include" => self.include(&rest, place),
            "set" => match rest.split_once('=') {
                Some((name, value)) => self.set(name.trim(), value.trim()),
                None => self.findings.problem(place, format_args!("@SET {rest}: expected NAME=VALUE")),
            },
            _ => self.findings.problem(place, format_args!("@{word}: expected @INCLUDE or @SET")),
        }
    }

    pub(super) fn include(&mut self, path: &str, place: &Place) {
        let target = self.resolve(path);
        if !path.contains(['*', '?', '[']) {
            return self.read(&target, Some(place));
        }
        let mut found = file_watch::Found::default();
        found.add(&file_watch::Target { path: target, recursive: false });
        for real in found.files.values() {
            self.read(real, Some(place));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_keys_and_comments() {
        let findings = Findings::default();
        let environment = [("HOST".to_owned(), "es".to_owned())].into();
        let variables = Variables { environment, ..Variables::default() };
        let mut document = Document::new(Path::new("/etc"), variables, &findings);
        let text = "# a comment\n@SET port=9200\n[OUTPUT]\n    Name   es\n    # no\n\tHost\t${HOST}.x  \n  Port ${port}\r\n\
                    \n[service]\nflush 1 # not a comment\n";
        document.read_text("a.conf", text);
        let told: Vec<_> = document
            .sections
            .iter()
            .flat_map(|s| s.entries.iter().map(|e| format!("{} {}={} {}", s.kind, e.key, e.value, e.place)))
            .collect();
        let wanted = [
            "output Name=es a.conf:4",
            "output Host=es.x a.conf:6",
            "output Port=9200 a.conf:7",
            "service flush=1 # not a comment a.conf:10",
        ];
        assert_eq!(told, wanted);
        std::mem::take(&mut document.sections).into_iter().for_each(Section::forget);
        assert!(findings.conclude().is_ok());
    }

    #[test]
    fn what_is_no_section_is_said() {
        let findings = Findings::default();
        let mut document = Document::new(Path::new("/etc"), Variables::default(), &findings);
        document.read_text("a.conf", "Name es\n[OUTPUT\n[OUTPUT]\n  Name\n@NOTHING x\n");
        std::mem::take(&mut document.sections).into_iter().for_each(Section::forget);
        let problems = findings.conclude().unwrap_err().problems;
        assert_eq!(
            problems,
            [
                "a.conf:1: Name: expected a section such as [INPUT] before it",
                "a.conf:2: \"[OUTPUT\": expected a section such as [INPUT]",
                "a.conf:4: [OUTPUT] Name: expected a value",
                "a.conf:5: @NOTHING: expected @INCLUDE or @SET",
            ]
        );
    }

    proptest! {
        #[test]
        fn anything_is_read_to_its_end(text in "([\\[\\]@#${}= \\t\\na-zé]|INPUT|Name)*") {
            let findings = Findings::default();
            let mut document = Document::new(Path::new("/nowhere"), Variables::default(), &findings);
            document.read_text("a.conf", &text);
            std::mem::take(&mut document.sections).into_iter().for_each(Section::forget);
        }
    }
}
