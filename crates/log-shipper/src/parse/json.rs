//! Lines that are JSON objects. They are checked, and handed on as they were written.

mod object;

use self::object::Member;
pub(super) use self::object::{Written, is_string, members};
use super::{Parsed, TimeField};
use crate::record::{Json, Time};

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The member that says when it happened: cut out, unless it is to be kept.
    pub time: Option<TimeField>,
}

const TIMESTAMP: &str = "@timestamp";

pub(super) fn parse<'a>(options: &Options, line: &'a str) -> Parsed<'a> {
    let mut found = Found { options, time: None, cut: None, before: None, has_timestamp: false };
    let Some(inside) = members(line, |member| found.member(&member)) else { return Parsed::Not };
    let Found { time, cut, has_timestamp, .. } = found;
    let members = match cut {
        None => [line.get(inside.start..inside.end), Some("")],
        Some(cut) => [line.get(inside.start..cut.before), line.get(cut.after.unwrap_or(inside.end)..inside.end)],
    };
    match members {
        [Some(first), Some(second)] => Parsed::Json { json: Json { members: [first, second], has_timestamp }, time },
        _ => Parsed::Not,
    }
}

/// What the members have said so far.
struct Found<'o> {
    options: &'o Options,
    time: Option<Time>,
    cut: Option<Cut>,
    /// Where the member before this one ended.
    before: Option<usize>,
    has_timestamp: bool,
}

/// The member that is left out: the others end before it and begin after it.
#[derive(Clone, Copy)]
struct Cut {
    before: usize,
    after: Option<usize>,
}

impl Found<'_> {
    fn member(&mut self, member: &Member<'_>) {
        if let Some(cut) = &mut self.cut {
            cut.after.get_or_insert(member.start);
        }
        if !self.is_cut(member) {
            self.has_timestamp = self.has_timestamp || member.is(TIMESTAMP);
        }
        self.before = Some(member.end);
    }

    /// The first member with that name and a time counts, as it does for others; a second one is not taken out.
    fn is_cut(&mut self, member: &Member<'_>) -> bool {
        let Some(field) = &self.options.time else { return false };
        if self.time.is_some() || !member.is(&field.name) {
            return false;
        }
        self.time = member.value.text().and_then(|text| field.read(&text));
        if self.time.is_none() || field.keep {
            return false;
        }
        self.cut = Some(Cut { before: self.before.unwrap_or(member.start), after: None });
        true
    }
}

#[cfg(test)]
mod tests;
