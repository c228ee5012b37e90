//! What can be wrong with a file: one line that names it. Never key material, so never a library's own text
//! about the inside of a key file.

use std::{fmt, path::Path};

/// `/etc/tls/ca.crt: no CERTIFICATE block found`
#[derive(Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// About one file.
    pub(crate) fn file(path: &Path, what: impl fmt::Display) -> Self {
        Self(format!("{}: {what}", path.display()))
    }

    /// A text that names its place already.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The same line: a `{:?}` that slipped into a log is still readable.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
