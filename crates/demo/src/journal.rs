//! What every process of the pod has logged, in the order in which it came in.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use tokio::sync::watch;

/// Older lines are forgotten.
const KEPT: usize = 2000;

/// Fields of a goodbye that whoever started the process knows better.
const KNOWN: [&str; 3] = ["sidecar", "code", "seconds"];

/// One log line.
#[derive(Debug)]
pub struct Line {
    pub at: Instant,
    pub who: &'static str,
    pub level: String,
    pub message: String,
    fields: Map<String, Value>,
}

impl Line {
    /// A line that is no JSON is a message too: a panic at the very start, for instance.
    fn new(who: &'static str, text: &str) -> Self {
        let mut fields = serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
        let mut take = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (level, message) = (take("level"), take("message"));
        drop((take("timestamp"), take("target")));
        let message = if message.is_empty() { text.to_owned() } else { message };
        let at = Instant::now();
        Self { at, who, level, message, fields }
    }

    pub fn is(&self, who: &str, message: &str) -> bool {
        self.who == who && self.message == message
    }

    /// A field, as text.
    pub fn field(&self, name: &str) -> Option<String> {
        self.fields.get(name).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// The message and its fields, as people read them.
    pub fn to_text(&self) -> String {
        let mut text = self.message.clone();
        for name in self.fields.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            let value = self.field(name).unwrap_or_default();
            text.push_str(&format!(" {name}={value}"));
        }
        text
    }
}

/// The lines, and a way to wait for the next one.
pub struct Journal {
    lines: Mutex<VecDeque<Arc<Line>>>,
    /// How many lines there have ever been.
    count: watch::Sender<usize>,
}

/// A place in the journal.
#[derive(Clone, Copy)]
pub struct Mark(usize);

impl Journal {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { lines: Mutex::default(), count: watch::Sender::new(0) })
    }

    pub fn write(&self, who: &'static str, text: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(Arc::new(Line::new(who, text)));
        drop(lines);
        self.count.send_modify(|count| *count += 1);
    }

    /// Where the journal ends now.
    pub fn mark(&self) -> Mark {
        Mark(*self.count.borrow())
    }

    pub fn since(&self, mark: Mark) -> Vec<Arc<Line>> {
        let count = *self.count.borrow();
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let new = (count - mark.0).min(lines.len());
        lines.iter().skip(lines.len() - new).cloned().collect()
    }

    /// The last lines of one process.
    pub fn last(&self, who: &str, most: usize) -> Vec<Arc<Line>> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let of: Vec<_> = lines.iter().filter(|line| line.who == who).cloned().collect();
        of[of.len().saturating_sub(most)..].to_vec()
    }

    /// Waits until there is something after the mark.
    pub async fn grown(&self, mark: Mark) {
        // The sender is ours, so it cannot be gone.
        let _ = self.count.subscribe().wait_for(|count| *count > mark.0).await;
    }

    /// The first line after the mark that is wanted, if it comes in time.
    pub async fn find(&self, mark: Mark, within: Duration, wanted: impl Fn(&Line) -> bool) -> Option<Arc<Line>> {
        let search = async {
            loop {
                let end = self.mark();
                if let Some(line) = self.since(mark).into_iter().find(|line| wanted(line)) {
                    return line;
                }
                self.grown(end).await;
            }
        };
        tokio::time::timeout(within, search).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_and_others_are_both_lines() {
        let line = Line::new("app", r#"{"level":"INFO","message":"told","ms":3,"action":"POST x"}"#);
        assert!(line.is("app", "told"));
        assert_eq!(line.field("ms").as_deref(), Some("3"));
        assert_eq!(line.to_text(), "told action=POST x ms=3");
        assert_eq!(Line::new("app", "thread panicked").message, "thread panicked");
    }

    #[test]
    fn a_mark_outlives_lines_that_are_forgotten() {
        let journal = Journal::new();
        let mark = journal.mark();
        for number in 0..KEPT + 10 {
            journal.write("app", &number.to_string());
        }
        assert_eq!(journal.since(mark).len(), KEPT);
        assert_eq!(journal.since(journal.mark()).len(), 0);
    }
}
