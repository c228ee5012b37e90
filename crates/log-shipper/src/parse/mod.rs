//! Understanding lines: which bytes are which field. What a parser does not understand is shipped as text, never dropped.

pub mod access;
pub mod container;
pub mod json;
pub mod logfmt;
pub mod ltsv;
pub mod multiline;
pub(crate) mod pattern;
pub mod pieces;
pub mod regex;
mod scan;
pub mod time;
pub mod types;

use std::time::SystemTime;

use self::types::Types;
use crate::record::{Field, Json, Time, Value};

/// What a parser makes of a line. `Fields` means that the fields it was given to fill are the record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parsed<'a> {
    Fields {
        time: Option<Time>,
    },
    Json {
        json: Json<'a>,
        time: Option<Time>,
    },
    /// Not in this format.
    Not,
}

/// How the lines of an input are written.
#[derive(Clone, Debug)]
pub enum Format {
    /// Not looked into.
    Raw,
    Json(json::Options),
    Logfmt(logfmt::Options),
    Ltsv(ltsv::Options),
    Access(access::Options),
    Regex(regex::Options),
}

impl Format {
    /// Lines that an expression takes apart; by a scanner, for the expressions that one was made for.
    pub fn expression(spec: &str, time: Option<TimeField>, types: Types, skip_empty: bool) -> Result<Self, String> {
        Ok(match access::Shape::of(spec) {
            Some(shape) => Self::Access(access::Options { shape, time, types, skip_empty }),
            None => Self::Regex(regex::Options::new(spec, time, &types, skip_empty)?),
        })
    }

    /// Fields are added to those that are there. After `Not` they are to be thrown away.
    pub fn parse<'a>(&'a self, line: &'a str, fields: &mut Vec<Field<'a>>) -> Parsed<'a> {
        match self {
            Self::Raw => Parsed::Not,
            Self::Json(options) => json::parse(options, line),
            Self::Logfmt(options) => logfmt::parse(options, line, fields),
            Self::Ltsv(options) => ltsv::parse(options, line, fields),
            Self::Access(options) => access::parse(options, line, fields),
            Self::Regex(options) => regex::parse(options, line, fields),
        }
    }
}

/// The field that says when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeField {
    pub name: String,
    pub format: time::Format,
    /// Whether it stays a field as well. Where it is no time in this format, it always does.
    pub keep: bool,
}

impl TimeField {
    fn read(&self, text: &str) -> Option<Time> {
        let now = if self.format.needs_now() { now() } else { Time(0) };
        self.format.parse(text, now)
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// More fields than an index takes: such a line is no record, whatever it looks like.
const MOST_FIELDS: usize = 1024;

/// A record on its way out of a parser whose lines say the names.
struct Filling<'a, 'f> {
    fields: &'f mut Vec<Field<'a>>,
    /// Where its own fields begin.
    from: usize,
    field: Option<&'a TimeField>,
    time: Option<Time>,
}

impl<'a, 'f> Filling<'a, 'f> {
    fn new(fields: &'f mut Vec<Field<'a>>, field: Option<&'a TimeField>) -> Self {
        let from = fields.len();
        Self { fields, from, field, time: None }
    }

    /// Whether this is the time, and not to be kept. The first one that can be read counts.
    fn is_time(&mut self, name: &str, text: &str) -> bool {
        match self.field {
            Some(field) if self.time.is_none() && field.name == name => {
                self.time = field.read(text);
                self.time.is_some() && !field.keep
            }
            _ => false,
        }
    }

    /// A name that is there already gets the new value: an object with a name twice is refused by who indexes it.
    fn put(&mut self, name: &'a str, value: Value<'a>) -> Result<(), TooMany> {
        let own = &mut self.fields[self.from..];
        let count = own.len();
        match own.iter_mut().find(|field| field.name == name) {
            Some(field) => field.value = value,
            None if count == MOST_FIELDS => return Err(TooMany),
            None => self.fields.push(Field { name, value }),
        }
        Ok(())
    }

    fn done(self) -> Parsed<'a> {
        if self.fields.len() == self.from && self.time.is_none() {
            return Parsed::Not;
        }
        Parsed::Fields { time: self.time }
    }
}

/// [`MOST_FIELDS`] were there already.
struct TooMany;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_expressions_need_no_engine() {
        let format = |spec: &str| Format::expression(spec, None, Types::default(), true);
        for (_, spec) in access::EXPRESSIONS {
            assert!(matches!(format(spec), Ok(Format::Access(_))), "{spec}");
        }
        assert!(matches!(format("(?<a>.)"), Ok(Format::Regex(_))));
        assert!(format("(?<a>").is_err());
    }

    #[test]
    fn fields_that_are_there_stay() {
        let there = Field { name: "a", value: Value::Text("origin") };
        let mut fields = vec![there];
        let format = Format::Ltsv(ltsv::Options::default());
        assert_eq!(format.parse("a:1\tb:2", &mut fields), Parsed::Fields { time: None });
        assert_eq!((fields.len(), fields[0]), (3, there));
        assert_eq!(Format::Raw.parse("a:1", &mut fields), Parsed::Not);
    }
}
