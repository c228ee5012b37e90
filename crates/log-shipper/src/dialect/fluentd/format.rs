//! The format of `fluent.conf`: directives in angle brackets, one inside the other, a parameter on each line.

use std::{collections::BTreeMap, iter::Peekable, path::Path, path::PathBuf, str::Lines, sync::Arc};

use super::ruby::embedded;
use crate::dialect::section::{Findings, Place, Section};

const LARGEST: u64 = 4 << 20;
const DEEPEST: usize = 16;

/// Everything that the files say, in their order.
pub(super) struct Document<'w> {
    pub(super) sections: Vec<Section>,
    environment: &'w BTreeMap<String, String>,
    findings: Findings,
    /// Files that are being read, one included by the other.
    open: Vec<PathBuf>,
}

struct Reader<'t> {
    file: Arc<str>,
    lines: Peekable<std::iter::Zip<std::ops::RangeFrom<usize>, Lines<'t>>>,
    /// Directives that have no end yet.
    nested: Vec<Section>,
}

impl<'w> Document<'w> {
    pub(super) fn new(environment: &'w BTreeMap<String, String>, findings: &Findings) -> Self {
        Self { sections: Vec::new(), environment, findings: findings.clone(), open: Vec::new() }
    }

    pub(super) fn read(&mut self, path: &Path, named_at: Option<&Place>) {
        let typed = Place { file: "-c".into(), line: 0 };
        let place = named_at.unwrap_or(&typed);
        let known = path.canonicalize().unwrap_or_else(|_| path.into());
        if self.open.contains(&known) || self.open.len() == DEEPEST {
            return self.findings.problem(place, format_args!("@include {}: it is included already", path.display()));
        }
        match values::read_text(path, LARGEST) {
            Ok(text) => {
                self.open.push(known);
                self.read_text(&path.display().to_string(), path.parent().unwrap_or(Path::new(".")), &text);
                self.open.pop();
            }
            Err(problem) => self.findings.problem(place, problem),
        }
    }

    pub(super) fn read_text(&mut self, name: &str, root: &Path, text: &str) {
        let mut reader = Reader { file: name.into(), lines: (1..).zip(text.lines()).peekable(), nested: Vec::new() };
        while let Some((number, line)) = reader.lines.next() {
            let place = Place { file: Arc::clone(&reader.file), line: number };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(kind) = line.strip_prefix("</") {
                self.close(&mut reader, kind, &place);
            } else if line.starts_with('<') {
                self.begin(&mut reader, line, place);
            } else {
                let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
                let value = self.value(&mut reader, value.trim(), &place);
                match (key, reader.nested.last_mut()) {
                    ("@include", None) => self.include(root, &value, &place),
                    ("@include", Some(_)) => self.findings.problem(&place, "@include: expected outside of directives"),
                    (_, Some(section)) => section.add(key, value, &place),
                    (_, None) => {
                        self.findings
                            .problem(&place, format_args!("{key}: expected a directive such as <source> around it"));
                    }
                }
            }
        }
        for section in reader.nested.drain(..).rev() {
            section.problem(format_args!("expected </{}>", section.kind));
            section.forget();
        }
    }

    fn begin(&mut self, reader: &mut Reader<'_>, line: &str, place: Place) {
        let Some(inside) = line
            .strip_prefix('<')
            .and_then(|rest| rest.split('#').next_back().map(|_| rest))
            .and_then(|rest| rest.rfind('>').map(|end| &rest[..end]))
        else {
            return self.findings.problem(&place, format_args!("{line}: expected >"));
        };
        let (kind, argument) = inside.split_once([' ', '\t']).unwrap_or((inside, ""));
        let argument = self.text(argument.trim(), &place);
        let title = format!("<{inside}>");
        reader.nested.push(Section::new(title, kind, &argument, place, &self.findings));
    }

    fn close(&mut self, reader: &mut Reader<'_>, kind: &str, place: &Place) {
        let kind = kind.split('>').next().unwrap_or_default().trim();
        match reader.nested.pop() {
            Some(section) if section.kind == kind => match reader.nested.last_mut() {
                Some(around) => around.children.push(section),
                None => self.sections.push(section),
            },
            Some(section) => {
                self.findings.problem(place, format_args!("</{kind}>: expected </{}>", section.kind));
                section.forget();
            }
            None => self.findings.problem(place, format_args!("</{kind}>: expected <{kind}> before it")),
        }
    }

    fn include(&mut self, root: &Path, path: &str, place: &Place) {
        let target = root.join(path.strip_prefix("file://").unwrap_or(path));
        if !path.contains(['*', '?', '[']) {
            return self.read(&target, Some(place));
        }
        let mut found = file_watch::Found::default();
        found.add(&file_watch::Target { path: target, recursive: false });
        for real in found.files.values() {
            self.read(real, Some(place));
        }
    }

    /// A value may go on in the lines below: in quotes, or in brackets.
    fn value(&self, reader: &mut Reader<'_>, first: &str, place: &Place) -> String {
        let mut text = first.to_owned();
        while is_open(&text) {
            let Some((_, line)) = reader.lines.next() else {
                self.findings.problem(place, "a value has no end");
                break;
            };
            text.push('\n');
            text.push_str(line);
        }
        self.text(text.trim(), place)
    }

    /// What a text means: quotes and comments are taken off, `#{...}` is put in.
    fn text(&self, text: &str, place: &Place) -> String {
        if let Some(inside) = text.strip_prefix('\'') {
            return inside.split('\'').next().unwrap_or_default().to_owned();
        }
        let Some(inside) = text.strip_prefix('"') else {
            let end = [" #", "\t#"].iter().filter_map(|mark| text.find(mark)).min();
            let is_bracketed = text.starts_with(['{', '[']);
            return end.filter(|_| !is_bracketed).map_or(text, |end| text[..end].trim_end()).to_owned();
        };
        match embedded(inside, self.environment) {
            Ok(text) => text,
            Err(problem) => {
                self.findings.problem(place, problem);
                String::new()
            }
        }
    }
}

/// Whether more lines belong to it.
fn is_open(text: &str) -> bool {
    if let Some(inside) = text.strip_prefix('"') {
        let mut escaped = false;
        let mut deep = 0;
        for char in inside.chars() {
            match char {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '{' => deep += 1,
                '}' => deep -= 1,
                '"' if deep <= 0 => return false,
                _ => {}
            }
        }
        return true;
    }
    let Some(open) = text.chars().next().filter(|char| matches!(char, '[' | '{')) else { return false };
    let close = if open == '[' { ']' } else { '}' };
    text.matches(open).count() > text.matches(close).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Vec<String>, Result<(), common::Failure>) {
        let findings = Findings::default();
        let environment = [("HOST".to_owned(), "es".to_owned())].into();
        let mut document = Document::new(&environment, &findings);
        document.read_text("a.conf", Path::new("/etc"), text);
        fn tell(section: &Section, depth: usize, out: &mut Vec<String>) {
            out.push(format!("{}{} {:?}", " ".repeat(depth), section.kind, section.argument));
            for entry in &section.entries {
                out.push(format!("{} {}={:?}", " ".repeat(depth), entry.key, entry.value));
            }
            section.children.iter().for_each(|child| tell(child, depth + 1, out));
        }
        let mut out = Vec::new();
        document.sections.iter().for_each(|section| tell(section, 0, &mut out));
        std::mem::take(&mut document.sections).into_iter().for_each(Section::forget);
        (out, findings.conclude())
    }

    #[test]
    fn directives_parameters_and_values() {
        let text = "# c\n<match a.** b>\n  @type es # why\n  host \"#{ENV['HOST']}.x\"\n  raw 'a #{b}'\n  \
                    map {\n \"a\":\"b\"\n}\n  <buffer tag>\n  </buffer>\n</match>\n";
        let (told, result) = read(text);
        assert_eq!(result, Ok(()));
        let wanted = [
            "match \"a.** b\"",
            " @type=\"es\"",
            " host=\"es.x\"",
            " raw=\"a #{b}\"",
            " map=\"{\\n \\\"a\\\":\\\"b\\\"\\n}\"",
            " buffer \"tag\"",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_does_not_fit_together_is_said() {
        let (_, result) = read("key v\n<match>\n</source>\n</label>\n<source>\nx \"#{`ls`}\"\n");
        assert_eq!(
            result.unwrap_err().problems,
            [
                "a.conf:1: key: expected a directive such as <source> around it",
                "a.conf:3: </source>: expected </match>",
                "a.conf:4: </label>: expected <label> before it",
                "a.conf:5: <source>: expected </source>",
                "a.conf:6: #{`ls`}: expected ENV['NAME'], ENV['NAME'] || 'else', ENV.fetch('NAME', 'else'), hostname or worker_id",
            ]
        );
    }

    proptest! {
        #[test]
        fn anything_is_read_to_its_end(text in "([<>/#{}\\[\\]\"'\\\\ \\na-zé]|match|</match>|ENV\\['A'\\])*") {
            read(&text).1.ok();
        }
    }
}
