//! The path of a file: fixed, by the date, by the tag.

use std::{fmt, str::FromStr};

use crate::{
    parse::time::Pattern,
    record::{Record, Time},
};

/// `/logs/all.log`, `/logs/{tag}/%Y-%m-%d.log`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Path {
    spelled: String,
    pieces: Vec<Piece>,
    has_date: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As strftime has it; also what is fixed.
    Date(Pattern),
    Tag,
}

/// Any moment, and another that has nothing in common with it, down to the weekday.
const MOMENTS: [i64; 2] = [0, 1_795_238_396_000_000_000];
const HALF_A_SECOND: i64 = 500_000_000;

impl Path {
    /// As far as it makes a difference to the path: the same second and the same tag are the same file.
    pub(super) fn second(&self, record: &Record<'_>) -> i64 {
        if self.has_date { record.time.0.div_euclid(1_000_000_000) } else { 0 }
    }

    pub(super) fn write(&self, record: &Record<'_>, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Date(pattern) => pattern.write(record.time, out),
                Piece::Tag => tag(&record.origin.tag, out),
            }
        }
    }

    fn dates(&self, time: i64) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            if let Piece::Date(pattern) = piece {
                pattern.write(Time(time), &mut text);
            }
        }
        text
    }
}

/// A tag is part of a name, and never leads elsewhere.
fn tag(tag: &str, out: &mut String) {
    if tag.is_empty() || tag.bytes().all(|byte| byte == b'.') {
        out.push('_');
    }
    out.extend(tag.chars().map(|char| if char == '/' || char.is_control() { '_' } else { char }));
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        for (at, piece) in text.split("{tag}").enumerate() {
            if at > 0 {
                pieces.push(Piece::Tag);
            }
            pieces.push(Piece::Date(Pattern::new(piece)?));
        }
        let mut path = Self { spelled: text.into(), pieces, has_date: false };
        if text.is_empty() || text.ends_with('/') || text.contains(['{', '}']) && !only_tags(text) {
            return Err("expected the path of a file, in which {tag} and a date such as %Y-%m-%d may stand".into());
        }
        if MOMENTS.iter().any(|moment| path.dates(*moment) != path.dates(moment + HALF_A_SECOND)) {
            return Err("expected a date that is no finer than seconds".into());
        }
        path.has_date = path.dates(MOMENTS[0]) != path.dates(MOMENTS[1]);
        Ok(path)
    }
}

fn only_tags(text: &str) -> bool {
    !text.replace("{tag}", "").contains(['{', '}'])
}

/// As it was typed.
impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Body, Origin};

    fn path(spelled: &str, tag: &str, seconds: i64) -> String {
        let origin = Origin { tag: tag.into(), path: String::new(), fields: Vec::new(), line_key: String::new() };
        let time = Time(seconds * 1_000_000_000);
        let record = Record { origin: &origin, file: 0, offset: 0, raw: b"", time, body: Body::Line(b"") };
        let mut out = String::new();
        spelled.parse::<Path>().unwrap().write(&record, &mut out);
        out
    }

    #[test]
    fn tag_and_date_are_filled_in() {
        assert_eq!(path("/logs/all.log", "app", 0), "/logs/all.log");
        assert_eq!(path("/logs/{tag}/%Y-%m-%d.log", "nginx.access", 86_400), "/logs/nginx.access/1970-01-02.log");
        assert_eq!(path("/logs/100%%.log", "app", 0), "/logs/100%.log");
    }

    #[test]
    fn a_tag_never_leads_elsewhere() {
        assert_eq!(path("/logs/{tag}", "../../etc/passwd", 0), "/logs/.._.._etc_passwd");
        assert_eq!(path("/logs/{tag}/a", "..", 0), "/logs/_../a");
        assert_eq!(path("/logs/{tag}", "", 0), "/logs/_");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "/logs/", "/logs/{host}", "/logs/{tag", "/logs/%Q", "/logs/%L", "/logs/%", "/logs/%s.%3N"] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_knows_whether_time_matters() {
        assert!(!"/logs/{tag}%%".parse::<Path>().unwrap().has_date);
        assert!("/logs/{tag}%M".parse::<Path>().unwrap().has_date);
    }
}
