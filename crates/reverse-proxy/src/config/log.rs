//! Access logs: where lines go, and what is in them.

use std::path::PathBuf;

use crate::template::Template;

#[derive(Clone, Debug)]
pub struct AccessLog {
    pub to: LogTarget,
    pub format: Format,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    Stdout,
    Stderr,
    File(PathBuf),
}

#[derive(Clone, Debug)]
pub enum Format {
    Text(Template, Escape),
    /// Names and values, as one JSON object a line.
    Json(Vec<(String, Template)>),
}

/// What becomes of characters of a value that would mean something in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `\xNN` for quotes, backslashes and controls; `-` for nothing.
    Hex,
    /// As in a JSON string.
    Json,
}
