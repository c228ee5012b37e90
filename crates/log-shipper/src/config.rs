//! What is meant: the model that flags, files and dialects are turned into. It knows no peer's format.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use regex::Regex;

use crate::{
    join::Join,
    output::Ship,
    parse::Format,
    select::{Only, Select},
};

#[derive(Clone, Debug)]
pub struct Config {
    pub inputs: Vec<Input>,
    pub outputs: Vec<Output>,
    pub state: State,
    pub until: Until,
    /// How often to look where events cannot be had, and for what the watching missed.
    pub poll: Duration,
}

/// Files of one kind.
#[derive(Clone, Debug)]
pub struct Input {
    pub tag: Tag,
    /// Files, directories and globs.
    pub paths: Vec<PathBuf>,
    /// Globs, for a whole path or for the name alone.
    pub exclude: Vec<String>,
    pub start: Start,
    /// Files that were not written to for so long are left alone.
    pub ignore_older: Option<Duration>,
    pub lines: Lines,
    pub join: Join,
    pub format: Format,
    /// Goes into every record.
    pub fields: Vec<(String, String)>,
    /// What the whole line is called where it is one field.
    pub line_key: String,
    /// The field that gets the path of the file.
    pub path_key: Option<String>,
    /// How long a file that was rotated away is followed: who writes it may take that long to open the new one.
    pub rotate_wait: Duration,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            tag: Tag::Fixed("app".into()),
            paths: Vec::new(),
            exclude: Vec::new(),
            start: Start::Head,
            ignore_older: None,
            lines: Lines::default(),
            join: Join::default(),
            format: Format::Raw,
            fields: Vec::new(),
            line_key: "message".into(),
            path_key: None,
            rotate_wait: Duration::from_secs(5),
        }
    }
}

/// How bytes become lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    pub longest: usize,
    pub too_long: TooLong,
    pub keep_empty: bool,
    /// Whether a carriage return before the line end belongs to the line.
    pub keep_return: bool,
    /// How long to wait for the line end of the last line.
    pub unfinished_after: Duration,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            longest: 1 << 20,
            too_long: TooLong::Split,
            keep_empty: true,
            keep_return: false,
            unfinished_after: Duration::from_secs(5),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// Several records.
    Split,
    /// The beginning is a record, the rest is dropped and counted.
    Truncate,
    /// Dropped and counted.
    Skip,
}

/// The name of an input, by which outputs select.
#[derive(Clone, Debug)]
pub enum Tag {
    Fixed(String),
    /// Before and after the path, whose slashes become dots.
    WithPath(String, String),
    /// What the groups of an expression find in the path, put where a text has `<group>`.
    Captured(Regex, String),
}

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(one), Self::Fixed(other)) => one == other,
            (Self::WithPath(a, b), Self::WithPath(c, d)) => (a, b) == (c, d),
            (Self::Captured(a, b), Self::Captured(c, d)) => (a.as_str(), b) == (c.as_str(), d),
            _ => false,
        }
    }
}

impl Tag {
    pub fn of(&self, path: &str) -> String {
        match self {
            Self::Fixed(tag) => tag.clone(),
            Self::WithPath(before, after) => {
                let path = path.trim_start_matches('/').replace('/', ".");
                format!("{before}{path}{after}")
            }
            Self::Captured(pattern, text) => captured(pattern, text, path),
        }
    }
}

/// A group that is not in the path is `_`.
fn captured(pattern: &Regex, text: &str, path: &str) -> String {
    let found = pattern.captures(path);
    let mut tag = String::new();
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('<').and_then(|(before, inside)| Some((before, inside.split_once('>')?)))
    {
        tag.push_str(before);
        let said = found.as_ref().and_then(|found| found.name(name));
        tag.push_str(said.map_or("_", |said| said.as_str()));
        rest = after;
    }
    tag + rest
}

/// Where a file begins that no position is known of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Head,
    /// Files that are there at the start from their end; later ones from their beginning.
    Tail,
    /// As `Tail`, but so many lines before the end.
    Last(u64),
    LastBytes(u64),
    /// As `Head`, but at this line; the first is 1.
    Line(u64),
    Byte(u64),
    /// As `Tail` for files that were made before this moment, as `Head` for the others.
    Since(SystemTime),
}

/// Where one thing goes.
#[derive(Clone, Debug)]
pub struct Output {
    /// Positions are remembered under it.
    pub name: String,
    pub selects: Select,
    pub only: Only,
    pub ship: Arc<dyn Ship>,
    pub batch: Batch,
    pub retry: Retry,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// A body is sent when it is this large.
    pub bytes: usize,
    /// The shortest time between two sends of less than that.
    pub pause: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self { bytes: 1 << 20, pause: Duration::from_millis(50) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    pub first: Duration,
    pub most: Duration,
    /// After so many attempts the batch is dropped, and counted. For ever where it is not given.
    pub limit: Option<u32>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(30), limit: None }
    }
}

/// Where positions are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Here if it can be written, else in memory with a warning.
    Try(PathBuf),
    Memory,
}

/// When the job is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    ToldToStop,
    /// All that is there has been shipped.
    EndOfFiles,
    /// This file exists, and all that is there then has been shipped.
    Exists(PathBuf),
    /// It does not exist any more, and all that is there then has been shipped. It is looked for at each `poll`.
    Gone(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_can_have_the_path() {
        let tag = Tag::WithPath("nginx.".into(), String::new());
        assert_eq!(tag.of("/var/log/nginx/access.log"), "nginx.var.log.nginx.access.log");
    }

    #[test]
    fn a_tag_can_have_parts_of_the_path() {
        let pattern = Regex::new("(?<pod>[a-z]+)_(?<space>[a-z]+)-").unwrap();
        let tag = Tag::Captured(pattern, "kube.<space>.<pod>.<else>.x".into());
        assert_eq!(tag.of("/containers/web_shop-1.log"), "kube.shop.web._.x");
    }

    #[test]
    fn the_first_that_matches_keeps_a_tag_from_the_rest() {
        let all = |specs: &[&str]| specs.iter().map(|spec| Regex::new(spec).unwrap()).collect();
        let select = Select::Matching { any: all(&["^app"]), none: all(&["^app$"]) };
        assert!(select.takes("app.x") && !select.takes("app") && !select.takes("web"));
    }
}
