//! Reading: what others expose, as families. What is not quite right is refused whole, with the line and the reason.

mod check;
mod open;
mod proto;
mod scan;
mod text;

use std::fmt;

pub use open::read_openmetrics;
pub use proto::read_protobuf;
pub use text::read_text;

/// Where and why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// From 1. Of protobuf, the family.
    pub line: usize,
    pub problem: String,
}

impl Unreadable {
    fn at(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod vectors;
