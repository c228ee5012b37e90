//! The app's log files as the demo sees them: it rotates them, and knows every line that was written.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::Value;

const NAMES: [&str; 2] = ["app.log", "access.log"];
/// Rotated ones that stay.
const KEPT: u32 = 3;

pub struct Logs {
    dir: PathBuf,
    /// Lines in files that were rotated out.
    deleted: AtomicU64,
}

impl Logs {
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.into(), deleted: AtomicU64::new(0) }
    }

    pub fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// As logrotate does: `app.log` to `app.log.1`, the one before to `app.log.2`. The app goes on writing to the old
    /// files until it is told.
    pub fn rotate(&self) -> Result<(), String> {
        NAMES.iter().try_for_each(|name| self.rotate_one(name)).map_err(|error| format!("rotation: {error}"))
    }

    fn rotate_one(&self, name: &str) -> io::Result<()> {
        let numbered = |number| self.dir.join(format!("{name}.{number}"));
        if let Ok(text) = fs::read_to_string(numbered(KEPT)) {
            self.deleted.fetch_add(text.lines().count() as u64, Ordering::Relaxed);
        }
        for number in (1..KEPT).rev().filter(|number| numbered(*number).exists()) {
            fs::rename(numbered(number), numbered(number + 1))?;
        }
        fs::rename(self.dir.join(name), numbered(1))
    }

    pub fn deleted(&self) -> u64 {
        self.deleted.load(Ordering::Relaxed)
    }

    /// What tells each line from the others, for all lines that there are.
    pub fn keys(&self) -> Result<Vec<String>, String> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(|error| error.to_string())?.flatten() {
            let text = fs::read_to_string(entry.path());
            let text = text.map_err(|error| format!("{}: {error}", entry.path().display()))?;
            keys.extend(text.lines().map(key_of_line));
        }
        Ok(keys)
    }
}

fn key_of_line(line: &str) -> String {
    if let Ok(object) = serde_json::from_str(line) {
        return key(&object);
    }
    // 127.0.0.1 - - [time] "GET /?visit=7 HTTP/1.1" 200 6 "-" "-"
    let mut parts = line.split('"').skip(1);
    let request = parts.next().and_then(|request| request.rsplit_once(' ')).map_or("", |(request, _)| request);
    let code = parts.next().and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    format!("{request} {code}")
}

/// The same of what a line has become.
pub fn key(document: &Value) -> String {
    if let Some(number) = document["n"].as_u64() {
        return number.to_string();
    }
    let field = |name: &str| document[name].as_str().map_or_else(|| document[name].to_string(), String::from);
    format!("{} {} {}", field("method"), field("path"), field("code"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_its_document_have_the_same_key() {
        let line = r#"127.0.0.1 - - [21/Nov/2026:13:36:21 +0000] "GET /?visit=7 HTTP/1.1" 200 6 "-" "-""#;
        let document = serde_json::json!({"method": "GET", "path": "/?visit=7", "code": "200", "size": "6"});
        assert_eq!(key_of_line(line), "GET /?visit=7 200");
        assert_eq!(key(&document), key_of_line(line));
        assert_eq!(key_of_line(r#"{"n":7,"message":"x"}"#), "7");
    }

    #[test]
    fn what_is_rotated_out_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::new(dir.path());
        for turn in 0..5 {
            for name in NAMES {
                fs::write(dir.path().join(name), format!("{{\"n\":{turn}}}\n")).unwrap();
            }
            logs.rotate().unwrap();
        }
        assert_eq!(logs.deleted(), 4);
        assert_eq!(logs.keys().unwrap().len(), 6);
    }
}
