//! Config files: YAML read into sections that remember their lines, so that every problem is reported at once.
//!
//! A section is asked for its keys one by one. What nobody asked for by the time it is dropped is an unknown key, and
//! reported with the nearest key that was asked for. A value that does not parse is reported with its line, what was
//! expected and what was found; asking goes on, so that one run shows all that is wrong.

use std::{cell::RefCell, fmt::Display, path::Path, rc::Rc, str::FromStr};

use saphyr_parser::{Event, Parser};

use crate::{Failure, log::one_line};

/// A config file larger than this is a mistake.
const LARGEST: u64 = 1 << 20;
/// Aliases can make a small file huge. No config needs this many values, unless it has as many bytes.
const MOST_NODES: usize = 100_000;

/// Reads a file of ours: `read` turns the root section into whatever the file means.
pub fn read<T>(path: &Path, read: impl FnOnce(&mut Section) -> T) -> Result<T, Failure> {
    let text = values::read_text(path, LARGEST).map_err(Failure::config)?;
    parse(&path.display().to_string(), &text, read)
}

/// As [`read`], for text that is already here; `name` is what problems are prefixed with.
pub fn parse<T>(name: &str, text: &str, read: impl FnOnce(&mut Section) -> T) -> Result<T, Failure> {
    let problems = Sink::default();
    let root = match tree(text) {
        Ok(node) => node,
        Err((line, problem)) => return Err(Failure::config(format!("{name}:{line}: {}", one_line(&problem)))),
    };
    let mut section = Section::of(root, String::new(), &problems);
    let value = read(&mut section);
    drop(section);
    let mut problems = problems.take();
    if problems.is_empty() {
        return Ok(value);
    }
    problems.sort_by_key(|(line, _)| *line);
    let problems = problems.into_iter().map(|(line, problem)| format!("{name}:{line}: {problem}")).collect();
    Err(Failure { exit: crate::Exit::Config, problems })
}

/// The last line that has something in it.
fn last_line(text: &str) -> usize {
    1 + text.trim_end_matches(['\n', '\r']).replace("\r\n", "\n").matches(['\n', '\r']).count()
}

type Sink = Rc<RefCell<Vec<(usize, String)>>>;

/// A value and the line it begins in, for files of others: they have keys that nobody can ask for by name.
#[derive(Clone, Debug)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a plain value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// A mapping of the file, being asked for its keys.
pub struct Section {
    line: usize,
    /// Where in the file, as `tell[0].http.`
    path: String,
    entries: Vec<(String, Node)>,
    asked: Vec<String>,
    problems: Sink,
}

impl Section {
    /// A section with nothing in it, for those who have no file.
    pub fn empty() -> Self {
        Self { line: 0, path: String::new(), entries: Vec::new(), asked: Vec::new(), problems: Sink::default() }
    }

    fn of(node: Node, path: String, problems: &Sink) -> Self {
        let Node { line, value } = node;
        let entries = match value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            other => {
                let place = if path.is_empty() { "the file" } else { path.trim_end_matches('.') };
                problems.borrow_mut().push((line, format!("{place}: expected a mapping, found {}", other.kind())));
                Vec::new()
            }
        };
        Self { line, path, entries, asked: Vec::new(), problems: Rc::clone(problems) }
    }

    fn take(&mut self, key: &str) -> Option<Node> {
        self.asked.push(key.to_owned());
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        let (_, node) = self.entries.remove(at);
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    fn say(&self, line: usize, key: &str, problem: impl Display) {
        self.note(line, &format!("{}{key}: {problem}", self.path));
    }

    fn note(&self, line: usize, problem: &str) {
        self.problems.borrow_mut().push((line, one_line(problem)));
    }

    /// Reports something that only the reader of the section can know.
    pub fn problem(&self, problem: impl Display) {
        let place = if self.path.is_empty() { "the file" } else { self.path.trim_end_matches('.') };
        self.note(self.line, &format!("{place}: {problem}"));
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// The value of a key, if it is there.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        let node = self.take(key)?;
        self.parse_node(key, node)
    }

    /// The value of a key that must be there.
    pub fn required<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        if !self.has(key) {
            self.asked.push(key.to_owned());
            self.say(self.line, key, "required");
            return None;
        }
        self.parsed(key)
    }

    /// A list of plain values; one value alone is a list of one.
    pub fn list<T: FromStr<Err: Display>>(&mut self, key: &str) -> Vec<T> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let nodes = match node.value {
            Value::List(nodes) => nodes,
            _ => vec![node],
        };
        let parse = |(at, node)| self.parse_node(&format!("{key}[{at}]"), node);
        nodes.into_iter().enumerate().filter_map(parse).collect()
    }

    /// A mapping of names to plain values or lists of them, in the order of the file.
    pub fn lists(&mut self, key: &str) -> Vec<(String, Vec<String>)> {
        let Some(mut section) = self.section(key) else { return Vec::new() };
        let names: Vec<_> = section.entries.iter().map(|(name, _)| name.clone()).collect();
        names.into_iter().map(|name| (name.clone(), section.list(&name))).collect()
    }

    /// A mapping of names to plain values, in the order of the file.
    pub fn pairs(&mut self, key: &str) -> Vec<(String, String)> {
        let Some(mut section) = self.section(key) else { return Vec::new() };
        let entries = std::mem::take(&mut section.entries);
        let parse = |(name, node): (String, Node)| Some((name.clone(), section.parse_node(&name, node)?));
        entries.into_iter().filter_map(parse).collect()
    }

    /// A mapping of names to plain values or nothing, each of which `make` turns into something or refuses. The value is
    /// not repeated in the problem: only `make` knows whether it is secret.
    pub fn each<T, E: Display>(&mut self, key: &str, make: impl Fn(&str, &str) -> Result<T, E>) -> Vec<T> {
        let Some(mut section) = self.section(key) else { return Vec::new() };
        let entries = std::mem::take(&mut section.entries);
        let made = entries.into_iter().filter_map(|(name, Node { line, value })| {
            let text = if matches!(value, Value::Null) { String::new() } else { section.plain(&name, line, value)? };
            make(&name, &text).map_err(|problem| section.say(line, &name, problem)).ok()
        });
        made.collect()
    }

    pub fn section(&mut self, key: &str) -> Option<Section> {
        let node = self.take(key)?;
        Some(Section::of(node, format!("{}{key}.", self.path), &self.problems))
    }

    /// A list of mappings; one mapping alone is a list of one.
    pub fn sections(&mut self, key: &str) -> Vec<Section> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let nodes = match node.value {
            Value::List(nodes) => nodes,
            _ => vec![node],
        };
        let section = |(at, node)| Section::of(node, format!("{}{key}[{at}].", self.path), &self.problems);
        nodes.into_iter().enumerate().map(section).collect()
    }

    /// A list in which an item may be a plain value (short form) or a mapping (long form).
    pub fn sections_or_text(&mut self, key: &str, short: &str) -> Vec<Section> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let nodes = match node.value {
            Value::List(nodes) => nodes,
            _ => vec![node],
        };
        let section =
            |(at, node)| Section::of(long_form(node, short), format!("{}{key}[{at}].", self.path), &self.problems);
        nodes.into_iter().enumerate().map(section).collect()
    }

    /// A mapping that may be given as a plain value or a list of them, which then stand for its key `short`.
    pub fn section_or(&mut self, key: &str, short: &str) -> Option<Section> {
        let node = long_form(self.take(key)?, short);
        Some(Section::of(node, format!("{}{key}.", self.path), &self.problems))
    }

    /// Leaves the whole key to another reader.
    pub fn ignore(&mut self, key: &str) {
        self.take(key);
    }

    /// Leaves every key to another reader.
    pub(crate) fn ignore_all(&mut self) {
        self.entries.clear();
    }

    fn parse_node<T: FromStr<Err: Display>>(&self, key: &str, node: Node) -> Option<T> {
        let Node { line, value } = node;
        let text = self.plain(key, line, value)?;
        text.parse().map_err(|expected| self.say(line, key, format_args!("\"{text}\": {expected}"))).ok()
    }

    fn plain(&self, key: &str, line: usize, value: Value) -> Option<String> {
        match value {
            Value::Text(text) => Some(text),
            other => {
                self.say(line, key, format_args!("expected a plain value, found {}", other.kind()));
                None
            }
        }
    }
}

/// For libraries, which know no sections.
impl values::Settings for Section {
    fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        Section::parsed(self, key)
    }

    fn problem(&self, problem: impl Display) {
        Section::problem(self, problem);
    }
}

impl Drop for Section {
    /// On drop, so that no reader can forget it: a silently ignored key is a hole.
    fn drop(&mut self) {
        for (key, node) in &self.entries {
            let problem = match values::nearest(key, self.asked.iter().map(String::as_str)) {
                Some(near) => format!("unknown key, did you mean {near}?"),
                None if self.asked.is_empty() => "unknown key".to_owned(),
                None => format!("unknown key, expected one of {}", self.asked.join(", ")),
            };
            self.say(node.line, key, problem);
        }
    }
}

fn long_form(node: Node, short: &str) -> Node {
    match node.value {
        Value::Text(_) | Value::List(_) => Node { line: node.line, value: Value::Map(vec![(short.to_owned(), node)]) },
        _ => node,
    }
}

/// The file as a tree. The error is a line and what is wrong with it.
pub fn tree(text: &str) -> Result<Node, (usize, String)> {
    let most = MOST_NODES.max(text.len());
    let mut builder = Builder { stack: Vec::new(), anchors: Vec::new(), nodes: 0, most, root: None };
    // What ends too early is found after the end, where no line is.
    let last = last_line(text);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| (error.marker().line().min(last), error.info().to_owned()))?;
        builder.take(event, span.start.line().min(last))?;
    }
    Ok(builder.root.unwrap_or(Node { line: 1, value: Value::Null }))
}

struct Open {
    node: Node,
    /// The key of a mapping that waits for its value.
    key: Option<String>,
    anchor: usize,
}

struct Builder {
    stack: Vec<Open>,
    anchors: Vec<(usize, Node)>,
    nodes: usize,
    most: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), (usize, String)> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                // `key:` and `key: ~` are nothing; a quoted "" is an empty text.
                let plain = matches!(style, saphyr_parser::ScalarStyle::Plain);
                let null = plain && matches!(text.as_ref(), "" | "~" | "null");
                let value = if null { Value::Null } else { Value::Text(text.into_owned()) };
                self.close(Node { line, value }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(Value::List(Vec::new()), line, anchor),
            Event::MappingStart(anchor, _) => self.open(Value::Map(Vec::new()), line, anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open { node, anchor, .. }) => self.close(merged(node)?, anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let found = self.anchors.iter().rev().find(|(id, _)| *id == anchor).map(|(_, node)| node.clone());
                let node = found.ok_or((line, "alias of an anchor that is not complete".to_owned()))?;
                self.count(size(&node), line)?;
                self.close(Node { line, ..node }, 0)
            }
            Event::DocumentStart(_) if self.root.is_some() => Err((line, "a second document, expected one".into())),
            _ => Ok(()),
        }
    }

    fn open(&mut self, value: Value, line: usize, anchor: usize) -> Result<(), (usize, String)> {
        if self.stack.len() >= 64 {
            return Err((line, "nested more than 64 deep".into()));
        }
        self.stack.push(Open { node: Node { line, value }, key: None, anchor });
        Ok(())
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), (usize, String)> {
        self.nodes += nodes;
        if self.nodes > self.most { Err((line, format!("more than {} values", self.most))) } else { Ok(()) }
    }

    /// A complete node goes into whatever is open around it.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), (usize, String)> {
        self.count(1, node.line)?;
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        let Some(around) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut around.node.value {
            Value::List(list) => list.push(node),
            Value::Map(entries) => match (around.key.take(), node.value) {
                (Some(key), value) => {
                    if entries.iter().any(|(name, _)| *name == key) {
                        return Err((node.line, format!("{key}: given twice")));
                    }
                    entries.push((key, Node { line: node.line, value }));
                }
                (None, Value::Text(key)) => around.key = Some(key),
                (None, other) => return Err((node.line, format!("expected a key, found {}", other.kind()))),
            },
            Value::Null | Value::Text(_) => {}
        }
        Ok(())
    }
}

/// A mapping with what it merges: `<<: *defaults`, or a list of such. Its own keys, and the first of the list, win.
fn merged(mut node: Node) -> Result<Node, (usize, String)> {
    let Value::Map(entries) = &mut node.value else { return Ok(node) };
    let Some(at) = entries.iter().position(|(key, _)| key == "<<") else { return Ok(node) };
    let (_, Node { line, value }) = entries.remove(at);
    let sources = match value {
        Value::List(sources) => sources,
        value => vec![Node { line, value }],
    };
    for source in sources {
        let Value::Map(more) = source.value else {
            return Err((line, format!("<<: expected a mapping, found {}", source.value.kind())));
        };
        for (key, value) in more {
            if entries.iter().all(|(own, _)| *own != key) {
                entries.push((key, value));
            }
        }
    }
    Ok(node)
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(nodes) => nodes.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(_, node)| size(node)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
