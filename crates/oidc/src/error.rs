//! Why somebody is not signed in: for the operator in full, for the user in one word.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The provider cannot be reached or does not answer as it should: another try may work.
    Unavailable(String),
    /// What came back was not what was asked for: forged, replayed, too old, or meant for another.
    Refused(String),
    /// The provider said no: its code, and what it says about it.
    Denied(String),
}

impl Error {
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    pub(crate) fn unavailable(why: impl fmt::Display) -> Self {
        Self::Unavailable(why.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the provider is not available: {why}"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Denied(why) => write!(f, "the provider said no: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// Text from outside, for a log line: short and without anything that is not to be seen.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
