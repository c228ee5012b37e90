//! A manifest as a tree whose nodes know where in the text they lie, so that the text can be added to and stays otherwise
//! as its author wrote it: comments, order, quotes, `0644` and all.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Node {
    /// Bytes of the text. Of a block it begins with the first thing in it, and ends where the last thing ends.
    pub span: Range<usize>,
    pub line: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar {
        text: String,
        plain: bool,
    },
    List {
        items: Vec<Node>,
        flow: bool,
    },
    Map {
        entries: Vec<(Node, Node)>,
        flow: bool,
    },
    /// `*name`: what it means is written elsewhere.
    Alias,
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    pub fn entry(&self, key: &str) -> Option<&(Self, Self)> {
        match &self.kind {
            Kind::Map { entries, .. } => entries.iter().find(|(name, _)| name.text() == Some(key)),
            _ => None,
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let entries = match &self.kind {
            Kind::Map { entries, .. } => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter_map(|(key, _)| key.text())
    }

    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List { items, .. } => items,
            _ => &[],
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    pub fn is_flow(&self) -> bool {
        matches!(self.kind, Kind::List { flow: true, .. } | Kind::Map { flow: true, .. })
    }

    fn last_end(&self) -> usize {
        let last = match &self.kind {
            Kind::List { items, .. } => items.last().map(|item| item.span.end),
            // `key:` without a value ends with its key.
            Kind::Map { entries, .. } => entries.last().map(|(key, value)| key.span.end.max(value.span.end)),
            _ => None,
        };
        last.unwrap_or(self.span.end)
    }

    /// As JSON, which is what YAML in braces is as well.
    pub fn json(&self) -> Value {
        match &self.kind {
            Kind::Scalar { .. } if self.is_null() => Value::Null,
            Kind::Scalar { text, plain: true } => {
                let typed =
                    serde_json::from_str(text).ok().filter(|value: &Value| value.is_number() || value.is_boolean());
                typed.unwrap_or_else(|| Value::String(text.clone()))
            }
            Kind::Scalar { text, .. } => Value::String(text.clone()),
            Kind::List { items, .. } => items.iter().map(Self::json).collect(),
            Kind::Map { entries, .. } => {
                let pair = |(key, value): &(Self, Self)| (key.text().unwrap_or_default().to_owned(), value.json());
                Value::Object(entries.iter().map(pair).collect())
            }
            Kind::Alias => Value::String("*".into()),
        }
    }
}

/// A collection that has begun, and the key that waits for its value.
struct Open {
    node: Node,
    key: Option<Node>,
}

/// The documents of a stream. A problem has its line.
pub fn documents(text: &str) -> Result<Vec<Node>, (usize, String)> {
    // The parser counts characters.
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let byte = |character: usize| bytes.get(character).copied().unwrap_or(text.len());
    let mut open: Vec<Open> = Vec::new();
    let mut roots = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| (error.marker().line(), error.info().to_owned()))?;
        let (start, end, line) = (byte(span.start.index()), byte(span.end.index()), span.start.line());
        // Of a block the span is empty, or its anchor.
        let flow = end > start && text[start..].starts_with(['{', '[']);
        let begin = |kind| Open { node: Node { span: start..start, line, kind }, key: None };
        let done = match event {
            Event::Scalar(value, style, ..) => {
                let plain = matches!(style, ScalarStyle::Plain);
                // A block of text is said to end where the next thing begins.
                let end = start + text[start..end].trim_end().len();
                Node { span: start..end, line, kind: Kind::Scalar { text: value.into_owned(), plain } }
            }
            Event::Alias(_) => Node { span: start..end, line, kind: Kind::Alias },
            Event::SequenceStart(..) => {
                open.push(begin(Kind::List { items: Vec::new(), flow }));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(begin(Kind::Map { entries: Vec::new(), flow }));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { mut node, .. }) = open.pop() else { continue };
                node.span.end = if node.is_flow() { end } else { node.last_end() };
                node
            }
            _ => continue,
        };
        put(&mut open, &mut roots, done);
    }
    Ok(roots)
}

fn put(open: &mut [Open], roots: &mut Vec<Node>, done: Node) {
    let Some(around) = open.last_mut() else {
        return roots.push(done);
    };
    match (&mut around.node.kind, around.key.take()) {
        (Kind::Map { entries, .. }, Some(key)) => entries.push((key, done)),
        (Kind::Map { .. }, None) => around.key = Some(done),
        (Kind::List { items, .. }, _) => items.push(done),
        _ => {}
    }
}
