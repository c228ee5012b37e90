//! Records that a receiver refuses for good: counted, and kept in a file if there is one for them.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use common::config::Section;
use http_client::Bytes;
use values::ByteSize;

use super::{Reports, on_a_thread};
use crate::{json, parse::time::Writer, record::Time};

/// Whole records are in there, with whatever they say about people.
const OWNER_ONLY: u32 = 0o600;
/// Two files of this size at most.
const LARGEST: u64 = 64 << 20;

/// A record, and why it is refused.
#[derive(Clone, Debug)]
pub(super) struct Dead {
    /// One of few words, for a metric.
    pub(super) reason: &'static str,
    pub(super) why: String,
    /// Where it was to go.
    pub(super) place: Vec<(&'static str, String)>,
    pub(super) document: Document,
}

#[derive(Clone, Debug)]
pub(super) enum Document {
    Json(Bytes),
    Text(Bytes),
}

/// Where they go: JSON lines. When the file is full it gets the name `FILE.1`, and a new one is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub path: PathBuf,
    pub largest: u64,
}

/// `dead_letter` and `dead_letter_bytes`.
pub(super) fn read(section: &mut Section) -> Option<DeadLetter> {
    let largest = section.parsed("dead_letter_bytes").map_or(LARGEST, |ByteSize(bytes)| bytes);
    section.parsed("dead_letter").map(|path| DeadLetter { path, largest })
}

/// Gives them up, and says how many they are. Where they are to be kept and cannot, they are not given up, and the text
/// says why.
pub(super) async fn bury(dead: Vec<Dead>, file: Option<&DeadLetter>, reports: &Reports) -> Result<u64, String> {
    let count = dead.len() as u64;
    let dead = match file.cloned().filter(|_| count > 0) {
        Some(file) => on_a_thread(dead, move |dead| file.append(&dead, now()).map(|()| dead)).await?,
        None => dead,
    };
    for (at, one) in dead.iter().enumerate() {
        let is_same = |other: &&Dead| other.reason == one.reason;
        if !dead[..at].iter().any(|other| is_same(&other)) {
            let alike = dead[at..].iter().filter(is_same).count() as u64;
            reports.tell(|events, output| events.dropped(output, one.reason, alike, &one.why));
        }
    }
    Ok(count)
}

fn now() -> Time {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Time(i64::try_from(now).unwrap_or(i64::MAX))
}

impl DeadLetter {
    fn append(&self, dead: &[Dead], now: Time) -> Result<(), String> {
        let mut lines = Vec::new();
        dead.iter().for_each(|dead| line(dead, now, &mut lines));
        self.write(&lines).map_err(|error| {
            let (path, why) = (self.path.display(), super::plain(&error));
            format!("refused records cannot be kept in {path}: {why}")
        })
    }

    fn write(&self, lines: &[u8]) -> io::Result<()> {
        let found = fs::metadata(&self.path).map_or(0, |found| found.len());
        if found > 0 && found + lines.len() as u64 > self.largest {
            fs::rename(&self.path, with_suffix(&self.path))?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(OWNER_ONLY).open(&self.path)?;
        let before = file.metadata()?.len();
        // They are taken for delivered after this.
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half of it would stand before the whole of it the next time.
            let _ = file.set_len(before);
        }
        written
    }
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn line(dead: &Dead, now: Time, lines: &mut Vec<u8>) {
    lines.extend_from_slice(b"{\"time\":\"");
    Writer::default().millis(now, lines);
    lines.extend_from_slice(b"\",\"reason\":");
    json::string(dead.why.as_bytes(), lines);
    for (name, value) in &dead.place {
        lines.push(b',');
        json::key(name, lines);
        json::string(value.as_bytes(), lines);
    }
    lines.extend_from_slice(b",\"document\":");
    match &dead.document {
        Document::Json(document) => lines.extend_from_slice(document.trim_ascii_end()),
        Document::Text(text) => json::string(text, lines),
    }
    lines.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(id: u32, document: Document) -> Dead {
        let place = vec![("index", "a\"b".into()), ("id", id.to_string())];
        Dead { reason: "refused", why: "400 a \"bad\" one".into(), place, document }
    }

    fn json(id: u32) -> Dead {
        dead(id, Document::Json("{\"m\":1}\n".into()))
    }

    #[test]
    fn lines_say_what_why_and_where() {
        let dir = tempfile::tempdir().unwrap();
        let file = DeadLetter { path: dir.path().join("dead"), largest: 1 << 20 };
        file.append(&[json(1), dead(2, Document::Text("a \"text\"".into()))], Time(0)).unwrap();
        file.append(&[json(3)], Time(0)).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[1]["document"]), (3, &serde_json::json!("a \"text\"")));
        let wanted = serde_json::json!({
            "time": "1970-01-01T00:00:00.000Z",
            "reason": "400 a \"bad\" one",
            "index": "a\"b",
            "id": "3",
            "document": {"m": 1},
        });
        assert_eq!(lines[2], wanted);
    }

    #[test]
    fn what_is_full_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = DeadLetter { path: dir.path().join("dead"), largest: 400 };
        for id in 0..20 {
            file.append(&[json(id)], Time(0)).unwrap();
        }
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(names.len(), 2);
        assert!(names.iter().all(|entry| entry.metadata().unwrap().len() <= 400));
        assert!(fs::read_to_string(&file.path).unwrap().contains("\"id\":\"19\""));
    }

    #[test]
    fn a_place_where_nothing_can_be_kept_is_named() {
        let file = DeadLetter { path: "/dev/null/dead".into(), largest: 400 };
        let problem = file.append(&[json(1)], Time(0)).unwrap_err();
        assert_eq!(problem, "refused records cannot be kept in /dev/null/dead: not a directory");
    }
}
