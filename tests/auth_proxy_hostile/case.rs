//! A line of the table: what is tried, what it is known from, and what came of it.

use crate::rig::Rig;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Holds,
    /// What somebody got who should not have.
    Falls(String),
    /// There is nothing like it, so that it cannot be tried.
    Absent(String),
}

pub(crate) struct Case {
    /// The group it is in.
    pub(crate) class: &'static str,
    pub(crate) name: &'static str,
    /// A CVE or an advisory of this or another proxy, a standard, or nothing.
    pub(crate) known: &'static str,
    pub(crate) check: fn(&mut Rig) -> Outcome,
}

pub(crate) fn case(
    class: &'static str,
    name: &'static str,
    known: &'static str,
    check: fn(&mut Rig) -> Outcome,
) -> Case {
    Case { class, name, known, check }
}

/// Holds if nothing was found.
pub(crate) fn unless(found: Option<String>) -> Outcome {
    found.map_or(Outcome::Holds, Outcome::Falls)
}

/// Holds if this is so.
pub(crate) fn holds(is_so: bool, otherwise: impl Into<String>) -> Outcome {
    if is_so { Outcome::Holds } else { Outcome::Falls(otherwise.into()) }
}
