//! Documents that the server refuses for good: kept in a file, if there is one for them.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use http_client::Bytes;
use serde::Deserialize;

use super::{answer::Problem, body};
use crate::{json, parse::time::Writer, record::Time};

/// A document with its action, and why it is refused.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) problem: Problem,
    pub(super) item: Bytes,
}

/// Where they go: JSON lines. When the file is full it gets the name `FILE.1`, and a new one is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub path: PathBuf,
    pub largest: u64,
}

impl DeadLetter {
    pub(super) fn append(&self, dead: &[Dead], now: Time) -> io::Result<()> {
        let mut lines = Vec::new();
        dead.iter().for_each(|dead| line(dead, now, &mut lines));
        if fs::metadata(&self.path)
            .is_ok_and(|found| found.len() > 0 && found.len() + lines.len() as u64 > self.largest)
        {
            fs::rename(&self.path, with_suffix(&self.path))?;
        }
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        file.write_all(&lines)?;
        // They are taken for delivered after this.
        file.sync_data()
    }
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn line(dead: &Dead, now: Time, lines: &mut Vec<u8>) {
    let (action, document) = body::lines(&dead.item);
    let target = target(action);
    lines.extend_from_slice(b"{\"time\":\"");
    Writer::default().millis(now, lines);
    lines.extend_from_slice(b"\",\"reason\":");
    json::string(dead.problem.to_string().as_bytes(), lines);
    for (name, value) in [("index", target.index), ("id", target.id)] {
        if let Some(value) = value {
            lines.push(b',');
            json::key(name, lines);
            json::string(value.as_bytes(), lines);
        }
    }
    lines.extend_from_slice(b",\"document\":");
    lines.extend_from_slice(document.trim_ascii_end());
    lines.extend_from_slice(b"}\n");
}

#[derive(Default, Deserialize)]
struct Target {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<String>,
}

/// Where it was to go.
fn target(action: &[u8]) -> Target {
    #[derive(Deserialize)]
    struct Action {
        #[serde(alias = "index")]
        create: Target,
    }
    serde_json::from_slice::<Action>(action).map(|action| action.create).unwrap_or_default()
}

/// One of few words, for a metric: the server's own, where they are known ones.
pub(super) fn label(problem: &Problem) -> &'static str {
    const KNOWN: [&str; 10] = [
        "mapper_parsing_exception",
        "document_parsing_exception",
        "strict_dynamic_mapping_exception",
        "illegal_argument_exception",
        "invalid_index_name_exception",
        "index_not_found_exception",
        "x_content_parse_exception",
        "json_parse_exception",
        "action_request_validation_exception",
        TOO_LARGE,
    ];
    KNOWN.into_iter().find(|known| *known == problem.kind).unwrap_or("refused")
}

/// Our own word for a document that the server does not take even alone.
pub(super) const TOO_LARGE: &str = "too_large";

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(id: u32) -> Dead {
        let item = format!("{{\"index\":{{\"_index\":\"a\\\"b\",\"_id\":\"{id}\"}}}}\n{{\"m\":1}}\n");
        let problem = Problem { status: 400, kind: "mapper_parsing_exception".into(), reason: "a \"bad\" one".into() };
        Dead { problem, item: item.into() }
    }

    #[test]
    fn lines_say_what_why_and_where() {
        let dir = tempfile::tempdir().unwrap();
        let file = DeadLetter { path: dir.path().join("dead"), largest: 1 << 20 };
        file.append(&[dead(1), dead(2)], Time(0)).unwrap();
        file.append(&[dead(3)], Time(0)).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        let wanted = serde_json::json!({
            "time": "1970-01-01T00:00:00.000Z",
            "reason": "400 mapper_parsing_exception: a \"bad\" one",
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
            file.append(&[dead(id)], Time(0)).unwrap();
        }
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(names.len(), 2);
        assert!(names.iter().all(|entry| entry.metadata().unwrap().len() <= 400));
        assert!(fs::read_to_string(&file.path).unwrap().contains("\"id\":\"19\""));
    }

    #[test]
    fn labels_are_few() {
        let problem = |kind: &str| Problem { status: 400, kind: kind.into(), reason: String::new() };
        assert_eq!(label(&problem("mapper_parsing_exception")), "mapper_parsing_exception");
        assert_eq!(label(&problem("something_new_exception")), "refused");
    }
}
