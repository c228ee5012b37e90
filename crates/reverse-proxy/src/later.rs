//! Templates that are rendered after the response: what only the request knows is kept until then.

use std::time::SystemTime;

use http_proxy::{Exchange, Flag};
use http1::Headers;

use crate::{
    config::{Escape, Format},
    seen::{joined, write_time},
    template::{Part, Template, Unit, Values, Variable, write},
};

/// Which variables of the request a route's logs and response headers will need.
#[derive(Debug, Default)]
pub struct Keeper {
    early: Vec<Variable>,
    /// Headers of the response, for logs.
    headers: Vec<String>,
}

/// The values of one request.
#[derive(Debug, Default)]
pub struct Kept {
    text: Vec<u8>,
    ranges: Vec<Option<(usize, usize)>>,
    headers: Vec<Option<Vec<u8>>>,
}

#[derive(Debug)]
pub struct Later(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    Kept(usize),
    Late(Variable),
}

/// A format of an access log, planned.
#[derive(Debug)]
pub enum LaterFormat {
    Text(Later, Escape),
    Json(Vec<(String, Later)>),
}

impl Keeper {
    pub fn plan(&mut self, template: &Template) -> Later {
        let piece = |part: &Part| match part {
            Part::Text(text) => Piece::Text(text.clone()),
            Part::Value(variable) if variable.is_early() => {
                self.early.push(variable.clone());
                Piece::Kept(self.early.len() - 1)
            }
            Part::Value(variable) => {
                self.note_headers(variable);
                Piece::Late(variable.clone())
            }
        };
        Later(template.0.iter().map(piece).collect())
    }

    pub fn plan_format(&mut self, format: &Format) -> LaterFormat {
        match format {
            Format::Text(template, escape) => LaterFormat::Text(self.plan(template), *escape),
            Format::Json(fields) => {
                LaterFormat::Json(fields.iter().map(|(name, template)| (name.clone(), self.plan(template))).collect())
            }
        }
    }

    fn note_headers(&mut self, variable: &Variable) {
        match variable {
            Variable::ResponseHeader(name) if !self.headers.contains(name) => self.headers.push(name.clone()),
            Variable::Or(inner, _) | Variable::Short(inner, _) => self.note_headers(inner),
            Variable::FirstOf(all) => all.iter().for_each(|one| self.note_headers(one)),
            Variable::Named(template) => template.variables().for_each(|one| self.note_headers(one)),
            Variable::Map(map) => map.source.variables().for_each(|one| self.note_headers(one)),
            _ => {}
        }
    }

    pub fn keep(&self, values: &dyn Values) -> Kept {
        let mut kept = Kept::default();
        for variable in &self.early {
            let start = kept.text.len();
            let there = write(variable, values, &mut kept.text);
            kept.ranges.push(there.then_some((start, kept.text.len())));
        }
        kept
    }

    /// Headers of the response that a log will want.
    pub fn keep_response(&self, headers: &Headers, kept: &mut Kept) {
        kept.headers = self.headers.iter().map(|name| value_of(headers, name)).collect();
    }

    fn header<'k>(&self, name: &str, kept: &'k Kept) -> Option<&'k [u8]> {
        let at = self.headers.iter().position(|known| known == name)?;
        kept.headers.get(at)?.as_deref()
    }
}

fn value_of(headers: &Headers, name: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    joined(&mut out, &mut headers.get_all(name), b", ").then_some(out)
}

/// What is known at the end, or when the head of the response is there.
pub struct End<'a> {
    pub keeper: &'a Keeper,
    pub kept: &'a Kept,
    pub exchange: Option<&'a Exchange>,
    pub status: u16,
    /// Flags that are not the engine's.
    pub flags: &'a str,
}

impl Values for End<'_> {
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        use std::io::Write;
        let exchange = self.exchange;
        let number =
            |out: &mut Vec<u8>, number: Option<u64>| number.is_some_and(|number| write!(out, "{number}").is_ok());
        let span = |out: &mut Vec<u8>, unit: &Unit, span: Option<std::time::Duration>| {
            span.is_some_and(|span| match unit {
                Unit::Seconds => write!(out, "{:.3}", span.as_secs_f64()).is_ok(),
                Unit::Milliseconds => write!(out, "{}", span.as_millis()).is_ok(),
            })
        };
        match variable {
            Variable::Status => number(out, (self.status > 0).then_some(u64::from(self.status))),
            Variable::BytesSent => number(out, exchange.map(|e| e.response_bytes)),
            Variable::BytesReceived => number(out, exchange.map(|e| e.request_bytes)),
            Variable::WireSent => number(out, exchange.map(|e| e.sent)),
            Variable::WireReceived => number(out, exchange.map(|e| e.received)),
            Variable::Duration(unit) => span(out, unit, exchange.map(|e| e.took)),
            Variable::UpstreamDuration(unit) => span(out, unit, exchange.and_then(|e| e.responded)),
            Variable::UpstreamConnectDuration(unit) => span(out, unit, exchange.and_then(|e| e.connected)),
            Variable::UpstreamAddress => exchange.and_then(|e| e.upstream.as_deref()).is_some_and(|address| {
                out.extend_from_slice(address.as_bytes());
                true
            }),
            Variable::UpstreamStatus => number(out, exchange.and_then(|e| e.upstream_status).map(u64::from)),
            Variable::UpstreamAttempts => number(out, exchange.map(|e| u64::from(e.attempts))),
            Variable::ResponseHeader(name) => self.keeper.header(name, self.kept).is_some_and(|value| {
                out.extend_from_slice(value);
                true
            }),
            Variable::Flags => {
                let codes: Vec<_> = exchange.iter().flat_map(|e| e.flags.iter()).map(Flag::code).collect();
                let all = [codes.join(","), self.flags.to_owned()];
                let all: Vec<_> = all.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
                out.extend_from_slice(all.join(",").as_bytes());
                !all.is_empty()
            }
            Variable::Time(clock) => write_time(clock, SystemTime::now(), out),
            _ => false,
        }
    }
}

impl Later {
    pub fn render(&self, end: &End<'_>, escape: Option<Escape>, out: &mut Vec<u8>) {
        for piece in &self.0 {
            let start = out.len();
            match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::Kept(at) => {
                    if let Some((from, to)) = end.kept.ranges.get(*at).copied().flatten() {
                        out.extend_from_slice(&end.kept.text[from..to]);
                    }
                }
                Piece::Late(variable) => drop(write(variable, end, out)),
            }
            match escape {
                Some(Escape::Hex) => escape_hex(out, start),
                Some(Escape::Json) => escape_json(out, start),
                None => {}
            }
        }
    }
}

impl LaterFormat {
    /// One line, with its end.
    pub fn render(&self, end: &End<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Text(later, escape) => later.render(end, Some(*escape), out),
            Self::Json(fields) => {
                out.push(b'{');
                for (index, (name, later)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.push(b'"');
                    out.extend_from_slice(name.as_bytes());
                    out.extend_from_slice(b"\":");
                    let start = out.len();
                    later.render(end, None, out);
                    json_value(later, out, start);
                }
                out.push(b'}');
            }
        }
        if out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
    }
}

/// A number that is one variable stays a number; nothing is null; the rest is text.
fn json_value(later: &Later, out: &mut Vec<u8>, start: usize) {
    let value = &out[start..];
    let counts = matches!(
        later.0.as_slice(),
        [Piece::Late(
            Variable::Status
                | Variable::BytesSent
                | Variable::BytesReceived
                | Variable::WireSent
                | Variable::WireReceived
                | Variable::Duration(_)
                | Variable::UpstreamDuration(_)
                | Variable::UpstreamConnectDuration(_)
                | Variable::UpstreamStatus
                | Variable::UpstreamAttempts
        )]
    );
    if value.is_empty() {
        out.extend_from_slice(b"null");
    } else if !counts {
        escape_json(out, start);
        out.insert(start, b'"');
        out.push(b'"');
    }
}

/// What comes from outside cannot end a line or a quoted text.
fn escape_hex(out: &mut Vec<u8>, start: usize) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=31 | 127);
    if !out[start..].iter().any(special) {
        return;
    }
    let value = out.split_off(start);
    for byte in value {
        if special(&byte) {
            out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
}

fn escape_json(out: &mut Vec<u8>, start: usize) {
    let plain = |byte: &u8| matches!(byte, 32..=126) && !matches!(byte, b'"' | b'\\');
    if out[start..].iter().all(plain) {
        return;
    }
    let value = String::from_utf8_lossy(&out.split_off(start)).into_owned();
    let quoted = serde_json::Value::String(value).to_string();
    out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &[u8], escape: fn(&mut Vec<u8>, usize)) -> String {
        let mut out = text.to_vec();
        escape(&mut out, 0);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_value_ends_a_line() {
        assert_eq!(escaped(b"a\"b\\c\nd\x7f", escape_hex), "a\\x22b\\x5Cc\\x0Ad\\x7F");
        assert_eq!(escaped(b"a\"b\\c\nd", escape_json), "a\\\"b\\\\c\\nd");
        assert_eq!(escaped(b"plain text", escape_hex), "plain text");
        assert_eq!(escaped(b"\xff", escape_json), "\u{fffd}");
    }
}
