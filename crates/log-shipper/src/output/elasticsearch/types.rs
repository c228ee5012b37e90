//! Whether documents have a `_type`. Servers before 7 demand one, all since 8 refuse it: what the server says is what
//! holds, from then on.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::answer::Problem;

/// What servers that demand a type are given, where nothing is configured.
const NAME: &str = "_doc";

#[derive(Clone, Debug)]
pub(super) struct Types {
    name: String,
    /// Whether they are sent until the server says something about it.
    at_first: bool,
    /// How often it was found out that it is the other way round.
    turns: Arc<AtomicU32>,
}

impl Types {
    pub(super) fn new(configured: Option<&str>) -> Self {
        Self { name: configured.unwrap_or(NAME).to_owned(), at_first: configured.is_some(), turns: Arc::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn are_sent(&self) -> bool {
        let is_even = self.turns.load(Ordering::Relaxed).is_multiple_of(2);
        self.at_first == is_even
    }

    /// Whether all bodies there are have been written in the same way.
    pub(super) fn never_turned(&self) -> bool {
        self.turns.load(Ordering::Relaxed) == 0
    }

    /// Whether the refusal is about this, and it has to be the other way round.
    pub(super) fn are_refused(&self, problem: &Problem) -> bool {
        match self.are_sent() {
            true => problem.reason.contains("[_type]"),
            false => problem.reason.contains("type is missing"),
        }
    }

    pub(super) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(reason: &str) -> Problem {
        Problem { status: 400, kind: String::new(), reason: reason.into() }
    }

    #[test]
    fn what_the_server_says_is_what_holds() {
        let refused = says("Action/metadata line [1] contains an unknown parameter [_type]");
        let missing = says("Validation Failed: 1: type is missing;2: type is missing;");
        let types = Types::new(None);
        assert!(!types.are_sent() && types.are_refused(&missing) && !types.are_refused(&refused));
        types.turn();
        assert!(types.are_sent() && types.are_refused(&refused) && !types.are_refused(&missing));
        assert!(types.clone().are_sent() && !types.never_turned());
        assert!(Types::new(Some("log")).are_sent());
    }
}
