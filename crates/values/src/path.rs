//! Paths of sockets and files, typed as such or as URLs.

use std::path::PathBuf;

/// `unix:/run/a.sock`, `unix:///run/a.sock` or `/run/a.sock`. None if it is something else, or nothing.
pub fn socket_path(text: &str) -> Option<PathBuf> {
    path_after("unix:", text).or_else(|| if text.starts_with('/') { one_slash(text) } else { None })
}

/// The path after a scheme such as `file:`, with or without the `//` of a URL.
pub fn path_after(scheme: &str, text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix(scheme)?;
    one_slash(path.strip_prefix("//").unwrap_or(path))
}

/// Several slashes are one to the kernel. In print they would be read as the `//` of a URL.
fn one_slash(path: &str) -> Option<PathBuf> {
    let relative = path.trim_start_matches('/');
    let slash = if relative.len() < path.len() { "/" } else { "" };
    (!relative.is_empty()).then(|| format!("{slash}{relative}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_are_one_path() {
        for text in ["unix:/a/b", "unix:///a/b", "unix:////a/b", "/a/b", "//a/b"] {
            assert_eq!(socket_path(text), Some("/a/b".into()), "{text}");
        }
        assert_eq!(path_after("file:", "file:a"), Some("a".into()));
        for text in ["unix:", "unix:///", "/", "a", "file:/a"] {
            assert_eq!(socket_path(text), None, "{text}");
        }
    }
}
