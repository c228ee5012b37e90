//! Records as lines, or as the elements of an array, each in a line of its own.

use std::io::Write;

use super::{Format, Http, TimeFormat};
use crate::{
    json,
    output::Encode,
    parse::time::Writer,
    record::{Record, Time},
};

pub(super) const BEFORE_ALL: &[u8] = b"[";
pub(super) const BETWEEN: &[u8] = b",\n";
pub(super) const AFTER_ALL: &[u8] = b"]";

pub(super) struct Encoder {
    http: Http,
    clock: Writer,
    body: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(http: Http) -> Self {
        Self { http, clock: Writer::default(), body: Vec::new() }
    }

    fn object(&mut self, record: &Record<'_>) {
        let begin = self.body.len();
        if let Some(key) = self.http.time_key.as_ref().filter(|key| !record.says(key)) {
            self.body.push(b',');
            json::key(key, &mut self.body);
            time(self.http.time_format, &mut self.clock, record.time, &mut self.body);
        }
        if let Some(key) = self.http.tag_key.as_ref().filter(|key| !record.says(key)) {
            self.body.push(b',');
            json::key(key, &mut self.body);
            json::string(record.origin.tag.as_bytes(), &mut self.body);
        }
        json::members(record, &mut self.body);
        json::enclose(begin, &mut self.body);
    }
}

impl Encode for Encoder {
    fn record(&mut self, record: &Record<'_>) {
        match self.http.format {
            Format::Raw => {
                self.body.extend_from_slice(record.raw);
                self.body.push(b'\n');
            }
            Format::JsonLines => {
                self.object(record);
                self.body.push(b'\n');
            }
            Format::Json => {
                self.body.extend_from_slice(if self.body.is_empty() { BEFORE_ALL } else { BETWEEN });
                self.object(record);
            }
        }
    }

    fn size(&self) -> usize {
        self.body.len()
    }

    fn seal(&mut self) -> Vec<u8> {
        if self.http.format == Format::Json && !self.body.is_empty() {
            self.body.extend_from_slice(AFTER_ALL);
        }
        let next = Vec::with_capacity(self.body.len());
        let body = std::mem::replace(&mut self.body, next);
        match self.http.web.compression.encoding() {
            None => body,
            Some(_) => self.http.web.compression.pack(&body),
        }
    }
}

fn time(format: TimeFormat, clock: &mut Writer, time: Time, body: &mut Vec<u8>) {
    const MICRO: i64 = 1_000;
    const MILLI: i64 = 1_000_000;
    match format {
        TimeFormat::Rfc3339 => {
            body.push(b'"');
            clock.millis(time, body);
            body.push(b'"');
        }
        TimeFormat::Seconds => {
            let micros = time.0.div_euclid(MICRO);
            let sign = if micros < 0 { "-" } else { "" };
            let (seconds, rest) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
            // A vector takes all that is written to it.
            let _ = write!(body, "{sign}{seconds}.{rest:06}");
        }
        TimeFormat::Millis => drop(write!(body, "{}", time.0.div_euclid(MILLI))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        output::web::Web,
        record::{Body, Field, Json, Origin, Value},
    };

    fn encoded(change: impl FnOnce(&mut Http), bodies: &[Body<'_>]) -> String {
        let mut http = Http::new(Web::new(vec!["http://a".into()]));
        change(&mut http);
        let origin = Origin { tag: "app".into(), path: "/a".into(), fields: Vec::new(), line_key: "message".into() };
        let mut encoder = Encoder::new(http);
        for body in bodies {
            let time = Time(1_795_238_396_154_321_987);
            encoder.record(&Record { origin: &origin, file: 1, offset: 0, raw: b"raw", time, body: *body });
        }
        String::from_utf8(encoder.seal()).unwrap()
    }

    #[test]
    fn records_are_lines_or_elements() {
        let two = [Body::Line(b"a\"b"), Body::Fields(&[Field { name: "n", value: Value::Integer(1) }])];
        let time = r#""time":"2026-11-21T05:19:56.154Z""#;
        assert_eq!(encoded(|http| http.format = Format::Raw, &two), "raw\nraw\n");
        assert_eq!(encoded(|_| {}, &two), format!("{{{time},\"message\":\"a\\\"b\"}}\n{{{time},\"n\":1}}\n"));
        let array = encoded(|http| http.format = Format::Json, &two);
        assert_eq!(array, format!("[{{{time},\"message\":\"a\\\"b\"}},\n{{{time},\"n\":1}}]"));
        assert_eq!(encoded(|http| http.format = Format::Json, &[]), "");
    }

    #[test]
    fn times_are_as_asked_for() {
        let line = [Body::Line(b"x")];
        for (format, time) in [(TimeFormat::Seconds, "1795238396.154321"), (TimeFormat::Millis, "1795238396154")] {
            let change = |http: &mut Http| (http.time_key, http.time_format) = (Some("date".into()), format);
            assert_eq!(encoded(change, &line), format!("{{\"date\":{time},\"message\":\"x\"}}\n"));
        }
        let mut before_1970 = Vec::new();
        time(TimeFormat::Seconds, &mut Writer::default(), Time(-1_500_000_000), &mut before_1970);
        assert_eq!(before_1970, b"-1.500000");
    }

    #[test]
    fn what_a_record_says_itself_is_not_said_twice() {
        let json = |members| Body::Json(Json { members, has_timestamp: false });
        let own = [json([r#""time":1,"tag":2"#, ""]), json(["", ""])];
        let lines = encoded(|http| http.tag_key = Some("tag".into()), &own);
        assert_eq!(lines, "{\"time\":1,\"tag\":2}\n{\"time\":\"2026-11-21T05:19:56.154Z\",\"tag\":\"app\"}\n");
        assert_eq!(encoded(|http| http.time_key = None, &own[1..]), "{}\n");
    }
}
