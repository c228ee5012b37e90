//! The path of a file: fixed, by the date, by what records say.

use std::{fmt, str::FromStr};

use crate::{
    output::template::Template,
    parse::time::Pattern,
    record::{Record, Time},
};

/// `/logs/all.log`, `/logs/{tag}/%Y-%m-%d.log`, `/logs/{level:none}.log`.
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
    Said(Template),
}

/// Any moment, and another that has nothing in common with it, down to the weekday.
const MOMENTS: [i64; 2] = [0, 1_795_238_396_000_000_000];
const HALF_A_SECOND: i64 = 500_000_000;
/// Names of files may have 255 bytes; what a record says is not all of one.
const LONGEST: usize = 128;

impl Path {
    /// As far as it makes a difference to the path: the same second, tag and path are the same file. None where it may
    /// be another one for each record.
    pub(super) fn second(&self, record: &Record<'_>) -> Option<i64> {
        let is_of_the_record =
            self.pieces.iter().any(|piece| matches!(piece, Piece::Said(text) if text.is_of_the_record()));
        (!is_of_the_record).then(|| if self.has_date { record.time.0.div_euclid(1_000_000_000) } else { 0 })
    }

    /// `scratch` is memory to use.
    pub(super) fn write(&self, record: &Record<'_>, scratch: &mut String, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Date(pattern) => pattern.write(record.time, out),
                Piece::Said(template) => {
                    scratch.clear();
                    template.write(record, scratch);
                    name(scratch, out);
                }
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

/// What a record says is part of a name, and never leads elsewhere.
fn name(said: &str, out: &mut String) {
    if said.bytes().all(|byte| byte == b'.') {
        out.push('_');
    }
    let short = said.char_indices().take_while(|(at, char)| at + char.len_utf8() <= LONGEST);
    out.extend(short.map(|(_, char)| if char == '/' || char.is_control() { '_' } else { char }));
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected the path of a file, in which {tag}, {path}, {FIELD} and a date such as %Y-%m-%d may stand";
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (_, after) = after.split_once('}').ok_or(EXPECTED)?;
            let said = &rest[before.len()..rest.len() - after.len()];
            pieces.extend([Piece::Date(Pattern::new(before)?), Piece::Said(said.parse().map_err(|_| EXPECTED)?)]);
            rest = after;
        }
        pieces.push(Piece::Date(Pattern::new(rest)?));
        let mut path = Self { spelled: text.into(), pieces, has_date: false };
        if text.is_empty() || text.ends_with('/') || rest.contains('}') {
            return Err(EXPECTED.into());
        }
        if MOMENTS.iter().any(|moment| path.dates(*moment) != path.dates(moment + HALF_A_SECOND)) {
            return Err("expected a date that is no finer than seconds".into());
        }
        path.has_date = path.dates(MOMENTS[0]) != path.dates(MOMENTS[1]);
        Ok(path)
    }
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
        let fields = vec![("host".into(), "h/1".into()), ("long".into(), "é".repeat(200))];
        let origin = Origin { tag: tag.into(), path: "/l/a".into(), fields, line_key: String::new() };
        let time = Time(seconds * 1_000_000_000);
        let record = Record { origin: &origin, file: 0, offset: 0, raw: b"", time, body: Body::Line(b"") };
        let mut out = String::new();
        spelled.parse::<Path>().unwrap().write(&record, &mut String::new(), &mut out);
        out
    }

    #[test]
    fn tag_and_date_are_filled_in() {
        assert_eq!(path("/logs/all.log", "app", 0), "/logs/all.log");
        assert_eq!(path("/logs/{tag}/%Y-%m-%d.log", "nginx.access", 86_400), "/logs/nginx.access/1970-01-02.log");
        assert_eq!(path("/logs/100%%.log", "app", 0), "/logs/100%.log");
        assert_eq!(path("/logs/{host}{path}-{gone:x}{gone}", "app", 0), "/logs/h_1_l_a-x_");
        assert_eq!(path("/{long}", "app", 0), format!("/{}", "é".repeat(64)));
    }

    #[test]
    fn a_tag_never_leads_elsewhere() {
        assert_eq!(path("/logs/{tag}", "../../etc/passwd", 0), "/logs/.._.._etc_passwd");
        assert_eq!(path("/logs/{tag}/a", "..", 0), "/logs/_../a");
        assert_eq!(path("/logs/{tag}", "", 0), "/logs/_");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in
            ["", "/logs/", "/logs/{}", "/logs/{tag", "/logs/tag}", "/logs/%Q", "/logs/%L", "/logs/%", "/logs/%s.%3N"]
        {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_knows_whether_time_matters() {
        assert!(!"/logs/{tag}%%".parse::<Path>().unwrap().has_date);
        assert!("/logs/{tag}%M".parse::<Path>().unwrap().has_date);
    }
}
