//! A protobuf message written as YAML: asked for its fields one by one; what nobody asked for is unknown.

use std::{cell::RefCell, rc::Rc, time::Duration};

use common::config::{Node, Value};

/// Problems, with the line of each.
pub type Problems = Rc<RefCell<Vec<(usize, String)>>>;

/// A message being read. Fields are taken by their name, in snake_case or in lowerCamelCase, as protobuf's JSON has both.
pub struct Message {
    pub line: usize,
    path: String,
    fields: Vec<(String, Node)>,
    asked: Vec<&'static str>,
    problems: Problems,
}

impl Message {
    pub fn new(node: Node, path: &str, problems: &Problems) -> Self {
        let fields = match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            _ => {
                note(problems, node.line, path, "expected a message (a mapping)");
                Vec::new()
            }
        };
        Self { line: node.line, path: path.to_owned(), fields, asked: Vec::new(), problems: Rc::clone(problems) }
    }

    pub fn problem(&self, problem: impl std::fmt::Display) {
        note(&self.problems, self.line, &self.path, problem);
    }

    fn wrong(&self, line: usize, field: &str, problem: impl std::fmt::Display) {
        note(&self.problems, line, &join(&self.path, field), problem);
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| same(field, name))
    }

    pub fn take(&mut self, name: &'static str) -> Option<Node> {
        self.asked.push(name);
        let at = self.fields.iter().position(|(field, _)| same(field, name))?;
        let (_, node) = self.fields.remove(at);
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    pub fn message(&mut self, name: &'static str) -> Option<Message> {
        let node = self.take(name)?;
        Some(Message::new(node, &join(&self.path, name), &self.problems))
    }

    pub fn messages(&mut self, name: &'static str) -> Vec<Message> {
        let path = join(&self.path, name);
        match self.take(name) {
            None => Vec::new(),
            Some(Node { value: Value::List(nodes), .. }) => {
                let message = |(at, node)| Message::new(node, &format!("{path}[{at}]"), &self.problems);
                nodes.into_iter().enumerate().map(message).collect()
            }
            Some(node) => {
                self.wrong(node.line, name, "expected a list");
                Vec::new()
            }
        }
    }

    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let node = self.take(name)?;
        match node.value {
            Value::Text(text) => Some(text),
            _ => {
                self.wrong(node.line, name, "expected a plain value");
                None
            }
        }
    }

    pub fn required(&mut self, name: &'static str) -> String {
        if !self.has(name) {
            self.asked.push(name);
            self.wrong(self.line, name, "required");
            return String::new();
        }
        self.text(name).unwrap_or_default()
    }

    pub fn texts(&mut self, name: &'static str) -> Vec<String> {
        match self.take(name) {
            None => Vec::new(),
            Some(Node { value: Value::List(nodes), line }) => {
                let text = |node: Node| match node.value {
                    Value::Text(text) => Some(text),
                    _ => {
                        self.wrong(line, name, "expected a list of plain values");
                        None
                    }
                };
                nodes.into_iter().filter_map(text).collect()
            }
            Some(node) => {
                self.wrong(node.line, name, "expected a list");
                Vec::new()
            }
        }
    }

    pub fn parsed<T: std::str::FromStr>(&mut self, name: &'static str, expected: &str) -> Option<T> {
        let node = self.take(name)?;
        match &node.value {
            Value::Text(text) => match text.parse() {
                Ok(value) => return Some(value),
                Err(_) => self.wrong(node.line, name, format!("\"{text}\": expected {expected}")),
            },
            _ => self.wrong(node.line, name, format!("expected {expected}")),
        }
        None
    }

    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.parsed(name, "true or false")
    }

    pub fn number<T: std::str::FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.parsed(name, "a whole number in the range of its type")
    }

    /// A wrapped number is written as the number itself.
    pub fn duration(&mut self, name: &'static str) -> Option<Duration> {
        let node = self.take(name)?;
        match &node.value {
            Value::Text(text) => match duration(text) {
                Some(span) => return Some(span),
                None => self.wrong(node.line, name, format!("\"{text}\": expected a duration such as 1.5s")),
            },
            // { seconds: 1, nanos: 500000000 }
            Value::Map(_) => {
                let mut parts = Message::new(node, &join(&self.path, name), &self.problems);
                let seconds = parts.number("seconds").unwrap_or_default();
                let nanos = parts.number("nanos").unwrap_or_default();
                return Some(Duration::new(seconds, nanos));
            }
            _ => self.wrong(node.line, name, "expected a duration such as 1.5s"),
        }
        None
    }

    /// The message in a `typed_config`, and the last part of its type's name.
    pub fn typed(&mut self, name: &'static str) -> Option<(String, Message)> {
        let mut message = self.message(name)?;
        let full = message.required("@type");
        let Some(short) = full.strip_prefix("type.googleapis.com/") else {
            message.problem(format!("@type \"{full}\": expected type.googleapis.com/..."));
            message.ignore_all();
            return None;
        };
        Some((short.to_owned(), message))
    }

    /// Fields that mean nothing here, whatever is in them.
    pub fn ignore(&mut self, names: &[&'static str]) {
        for name in names {
            self.take(name);
        }
    }

    pub fn ignore_all(&mut self) {
        self.fields.clear();
    }

    /// Refuses fields that Envoy has and we do not, by name.
    pub fn refuse(&mut self, names: &[&'static str]) {
        for name in names {
            if let Some(node) = self.take(name) {
                self.wrong(node.line, name, "not supported here");
            }
        }
    }

    /// A field that has one value that is fine, because it is what happens anyway.
    pub fn only(&mut self, name: &'static str, fine: &[&str]) {
        let Some(node) = self.take(name) else { return };
        match &node.value {
            Value::Text(text) if fine.iter().any(|value| value.eq_ignore_ascii_case(text)) => {}
            Value::Text(text) => {
                self.wrong(node.line, name, format!("\"{text}\" is not supported here, only {}", fine.join(", ")));
            }
            _ => self.wrong(node.line, name, "not supported here"),
        }
    }
}

impl Drop for Message {
    /// On drop, so that no reader can forget it: a silently ignored field is a hole.
    fn drop(&mut self) {
        for (field, node) in &self.fields {
            let near = values::nearest(field, self.asked.iter().copied());
            let hint = near.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
            self.wrong(node.line, field, format!("unknown field, or one that is not supported here{hint}"));
        }
    }
}

fn note(problems: &Problems, line: usize, path: &str, problem: impl std::fmt::Display) {
    let text = if path.is_empty() { problem.to_string() } else { format!("{path}: {problem}") };
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    problems.borrow_mut().push((line, text));
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// `stat_prefix` and `statPrefix` are one field.
fn same(written: &str, name: &str) -> bool {
    if written == name {
        return true;
    }
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.extend(c.to_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    camel == written
}

/// `1.5s`, `0s`, `10s`.
pub fn duration(text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s')?;
    let sound = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = seconds.parse().ok().filter(|_| sound)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// As protobuf merges: messages field by field, lists one after the other, plain values by the later one.
pub fn merged(below: Node, above: Node) -> Node {
    match (below.value, above.value) {
        (Value::Map(mut fields), Value::Map(more)) => {
            for (name, node) in more {
                match fields.iter().position(|(known, _)| *known == name) {
                    Some(at) => {
                        let (name, before) = fields.remove(at);
                        fields.insert(at, (name, merged(before, node)));
                    }
                    None => fields.push((name, node)),
                }
            }
            Node { line: below.line, value: Value::Map(fields) }
        }
        (Value::List(mut nodes), Value::List(more)) => {
            nodes.extend(more);
            Node { line: below.line, value: Value::List(nodes) }
        }
        (value, Value::Null) => Node { line: below.line, value },
        (_, value) => Node { line: above.line, value },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_field() {
        assert!(same("stat_prefix", "stat_prefix") && same("statPrefix", "stat_prefix"));
        assert!(!same("stat-prefix", "stat_prefix") && !same("StatPrefix", "stat_prefix"));
    }

    #[test]
    fn durations_are_those_of_protobuf() {
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for text in ["", "s", "1", "1m", "-1s", "1e3s", "infs", "nans"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
