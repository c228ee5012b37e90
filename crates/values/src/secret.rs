//! A value that must never be seen: not in Debug, not in a log line, not in `--help`.

use std::{fmt, path::Path, str::FromStr};

/// Text that only [`Secret::expose`] reveals.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// No secret is this large; a path that leads to something larger is a mistake.
const LARGEST: u64 = 64 * 1024;

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Searching for this name finds every place that uses a secret.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first line of a file, as mounted Secrets and editors leave it: without the trailing newline.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let text = crate::read_text(path, LARGEST)?;
        Ok(Self(text.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {secret}"), "[secret] [secret]");
        assert_eq!(secret.expose(), "hunter2");
    }
}
