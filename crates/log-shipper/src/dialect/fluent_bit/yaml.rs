//! The format of `fluent-bit.yaml`: the same sections as in the classic one, under other names.

use std::{path::Path, sync::Arc};

use common::config::{Node, Value, tree};

use super::classic::Document;
use crate::dialect::section::{Place, Section};

/// Lists of sections, and what one of them is called in the classic format.
const LISTS: [(&str, &str); 2] = [("parsers", "PARSER"), ("multiline_parsers", "MULTILINE_PARSER")];
const PIPELINE: [(&str, &str); 3] = [("inputs", "INPUT"), ("filters", "FILTER"), ("outputs", "OUTPUT")];

pub(super) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml")
}

/// Adds what a file says, and the files that it includes.
pub(super) fn read(document: &mut Document, path: &Path, named_at: Option<&Place>) {
    let Some(text) = document.text_of(path, named_at) else { return };
    let reader = Reader { file: path.display().to_string().into() };
    match tree(&text) {
        Ok(root) => reader.root(document, root),
        Err((line, problem)) => document.findings().problem(&reader.place(line), problem),
    }
}

struct Reader {
    file: Arc<str>,
}

impl Reader {
    fn place(&self, line: usize) -> Place {
        Place { file: Arc::clone(&self.file), line }
    }

    fn root(&self, document: &mut Document, root: Node) {
        let mut entries = self.map(document, "the file", root);
        // Variables and files that are included count for all the rest, wherever they stand.
        for (name, value) in self.take(document, &mut entries, "env") {
            let text = plain(&value).unwrap_or_default();
            document.set(&name, &text);
        }
        if let Some(at) = entries.iter().position(|(key, _)| key == "includes") {
            let (_, node) = entries.remove(at);
            for node in list(node) {
                let (place, path) = (self.place(node.line), plain(&node).unwrap_or_default());
                let target = document.resolve(&path);
                if is_yaml(&target) { read(document, &target, Some(&place)) } else { document.include(&path, &place) }
            }
        }
        for (key, node) in entries {
            self.part(document, &key, node);
        }
    }

    fn part(&self, document: &mut Document, key: &str, node: Node) {
        let line = node.line;
        if let Some((_, kind)) = LISTS.iter().find(|(name, _)| *name == key) {
            return self.sections(document, key, kind, node);
        }
        match key {
            "service" => self.section(document, key, "SERVICE", node),
            "pipeline" => {
                for (key, node) in self.map(document, key, node) {
                    match PIPELINE.iter().find(|(name, _)| *name == key) {
                        Some((_, kind)) => self.sections(document, &key, kind, node),
                        None => document.findings().problem(
                            &self.place(node.line),
                            format_args!("pipeline.{key}: not known here, expected inputs, filters or outputs"),
                        ),
                    }
                }
            }
            _ => document.findings().problem(
                &self.place(line),
                format_args!(
                    "{key}: not known here, expected service, pipeline, parsers, multiline_parsers, env or includes"
                ),
            ),
        }
    }

    fn sections(&self, document: &mut Document, key: &str, kind: &str, node: Node) {
        for node in list(node) {
            self.section(document, key, kind, node);
        }
    }

    fn section(&self, document: &mut Document, key: &str, kind: &str, node: Node) {
        let mut section = Section::new(key, kind, "", self.place(node.line), document.findings());
        for (key, node) in self.map(document, key, node) {
            let place = self.place(node.line);
            match (plain(&node), node.value) {
                (Some(text), _) => document.add(&mut section, &key, &text, &place),
                // `rules` of a multiline parser: each is the three words of the classic format.
                (None, Value::List(rules)) if key == "rules" => {
                    for rule in rules {
                        self.rule(document, &mut section, rule);
                    }
                }
                _ => document.findings().problem(&place, format_args!("{} {key}: not known here", section.title)),
            }
        }
        document.sections.push(section);
    }

    fn rule(&self, document: &Document, section: &mut Section, node: Node) {
        let place = self.place(node.line);
        let entries = self.map(document, "rules", node);
        let word = |name: &str| {
            let found = entries.iter().find(|(key, _)| key == name);
            found.and_then(|(_, node)| plain(node)).unwrap_or_default()
        };
        let rule = format!("\"{}\" \"{}\" \"{}\"", word("state"), word("regex"), word("next_state"));
        section.add("rule", rule, &place);
    }

    fn take(&self, document: &Document, entries: &mut Vec<(String, Node)>, key: &str) -> Vec<(String, Node)> {
        let at = entries.iter().position(|(name, _)| name == key);
        at.map(|at| self.map(document, key, entries.remove(at).1)).unwrap_or_default()
    }

    fn map(&self, document: &Document, key: &str, node: Node) -> Vec<(String, Node)> {
        match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            Value::Text(_) | Value::List(_) => {
                let problem = format_args!("{key}: expected a mapping").to_string();
                document.findings().problem(&self.place(node.line), problem);
                Vec::new()
            }
        }
    }
}

fn list(node: Node) -> Vec<Node> {
    match node.value {
        Value::List(nodes) => nodes,
        _ => vec![node],
    }
}

/// A plain value; a list of them is what the classic format writes with commas.
fn plain(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Null => Some(String::new()),
        Value::List(nodes) => {
            let items: Option<Vec<_>> = nodes
                .iter()
                .map(|node| match &node.value {
                    Value::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            items.map(|items| items.join(","))
        }
        Value::Map(_) => None,
    }
}
