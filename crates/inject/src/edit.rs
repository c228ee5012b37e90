//! Additions to a text, each where a node of its tree says.

use serde_json::Value;

use crate::tree::{Kind, Node};

/// What is put where. Those of one place keep their order.
#[derive(Debug, Default)]
pub struct Edits {
    insertions: Vec<(usize, String)>,
}

/// Something to be added: as lines of YAML that begin at no indentation, and as a value for those who write in braces.
#[derive(Clone, Debug)]
pub struct Piece {
    pub lines: String,
    pub value: Value,
}

impl Edits {
    /// Adds items in front of what the list at `key` has, or the key itself in front of the key `before`.
    pub fn prepend(
        &mut self,
        text: &str,
        map: &Node,
        key: &str,
        pieces: &[Piece],
        before: &str,
    ) -> Result<(), (usize, String)> {
        if pieces.is_empty() {
            return Ok(());
        }
        let Some((name, list)) = map.entry(key) else {
            return self.add_key(text, map, key, pieces, before);
        };
        let values: Vec<_> = pieces.iter().map(|piece| piece.value.to_string()).collect();
        match &list.kind {
            Kind::List { items, flow: true } => {
                let comma = if items.is_empty() { "" } else { ", " };
                self.insertions.push((list.span.start + 1, values.join(", ") + comma));
            }
            Kind::List { items, flow: false } if !items.is_empty() => {
                let dash = dash_of(text, &items[0])?;
                let indent = column(text, dash);
                let lines: String = pieces.iter().map(|piece| item(&piece.lines, indent) + &pad(indent)).collect();
                self.insertions.push((dash, lines));
            }
            _ if list.is_null() && list.span.is_empty() => {
                let colon = name.span.end + text[name.span.end..].find(':').unwrap_or_default() + 1;
                self.insertions.push((colon, format!(" [{}]", values.join(", "))));
            }
            _ => return Err((list.line, format!("{key}: expected a list that items can be added to"))),
        }
        Ok(())
    }

    fn add_key(
        &mut self,
        text: &str,
        map: &Node,
        key: &str,
        pieces: &[Piece],
        before: &str,
    ) -> Result<(), (usize, String)> {
        let Kind::Map { entries, flow } = &map.kind else {
            return Err((map.line, format!("expected a mapping with {before}")));
        };
        if *flow {
            let list: Value = pieces.iter().map(|piece| piece.value.clone()).collect();
            let comma = if entries.is_empty() { "" } else { ", " };
            self.insertions.push((map.span.start + 1, format!("\"{key}\": {list}{comma}")));
            return Ok(());
        }
        let (name, _) = map.entry(before).ok_or((map.line, format!("expected {before}")))?;
        let indent = column(text, name.span.start);
        let items: String = pieces.iter().map(|piece| pad(indent + 2) + &item(&piece.lines, indent + 2)).collect();
        self.insertions.push((name.span.start, format!("{key}:\n{items}{}", pad(indent))));
        Ok(())
    }

    pub fn apply(mut self, text: &str) -> String {
        self.insertions.sort_by_key(|(at, _)| *at);
        let (mut out, mut copied) = (String::with_capacity(text.len() + 4096), 0);
        for (at, piece) in self.insertions {
            out.push_str(&text[copied..at]);
            out.push_str(&piece);
            copied = at;
        }
        out + &text[copied..]
    }
}

/// The dash before an item of a block list. Between them may be blanks, line ends, comments and an anchor.
fn dash_of(text: &str, item: &Node) -> Result<usize, (usize, String)> {
    let mut before = text[..item.span.start].trim_end();
    loop {
        if let Some(rest) = before.strip_suffix('-') {
            return Ok(rest.len());
        }
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let word = before.rfind([' ', '\n']).map_or(0, |end| end + 1);
        before = if let Some(comment) = before[line..].find('#') {
            before[..line + comment].trim_end()
        } else if before[word..].starts_with(['&', '!']) {
            before[..word].trim_end()
        } else {
            return Err((item.line, "expected an item of a list in a line of its own".into()));
        };
        if before.is_empty() {
            return Err((item.line, "expected an item of a list".into()));
        }
    }
}

fn column(text: &str, at: usize) -> usize {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[line..at].chars().count()
}

fn pad(columns: usize) -> String {
    " ".repeat(columns)
}

/// As an item of a block list whose dash is at this column. The first line is not indented: what it follows is.
fn item(lines: &str, indent: usize) -> String {
    let mut out = String::new();
    for (number, line) in lines.lines().enumerate() {
        match number {
            0 => out.push_str("- "),
            _ if line.is_empty() => {}
            _ => out.push_str(&pad(indent + 2)),
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}
