//! The access logs of web servers, by scanners that find exactly what the usual expressions for them find, in a
//! fifth of the time.

mod request;

use self::request::Request;
use super::{Filling, Parsed, TimeField, scan, types::Types};
use crate::record::Field;

/// How the lines are laid out, and how strictly. Each is what one of [`EXPRESSIONS`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The combined format of nginx; more may follow.
    Nginx,
    /// The common or combined format, and nothing more.
    NginxExact,
    /// As `NginxExact`, without the host.
    Apache,
    /// The path has no spaces, the agent may have quotes.
    Apache2,
    /// The path has no spaces.
    ApacheWords,
}

/// The expressions that people have in their configuration, and the shape that does the same.
pub const EXPRESSIONS: [(Shape, &str); 5] = [
    (
        Shape::Nginx,
        r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")"#,
    ),
    (
        Shape::NginxExact,
        r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$"#,
    ),
    (
        Shape::Apache,
        r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$"#,
    ),
    (
        Shape::Apache2,
        r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>.*)")?$"#,
    ),
    (
        Shape::ApacheWords,
        r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$"#,
    ),
];

impl Shape {
    /// The shape that does what an expression says, if there is one.
    pub fn of(expression: &str) -> Option<Self> {
        let bare = expression.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).unwrap_or(expression);
        // Escaped or not, a quote is a quote.
        let plain = |expression: &str| expression.replace("\\\"", "\"");
        let known = EXPRESSIONS.iter().find(|(_, known)| plain(known) == plain(bare));
        known.map(|(shape, _)| *shape)
    }

    fn names(self) -> &'static Names {
        match self {
            Self::Nginx | Self::NginxExact => &NGINX,
            Self::Apache | Self::Apache2 | Self::ApacheWords => &APACHE,
        }
    }

    /// Whether the path ends at the first space.
    fn has_words(self) -> bool {
        matches!(self, Self::Apache2 | Self::ApacheWords)
    }
}

const FIELDS: usize = 10;
/// A field without a name is not kept.
type Names = [&'static str; FIELDS];
const NGINX: Names = ["remote", "host", "user", "time", "method", "path", "code", "size", "referer", "agent"];
const APACHE: Names = ["host", "", "user", "time", "method", "path", "code", "size", "referer", "agent"];

#[derive(Clone, Debug)]
pub struct Options {
    pub shape: Shape,
    pub time: Option<TimeField>,
    pub types: Types,
    /// A field that is empty, or not in the line, is left out.
    pub skip_empty: bool,
}

pub(super) fn parse<'a>(options: &'a Options, line: &'a str, fields: &mut Vec<Field<'a>>) -> Parsed<'a> {
    let Some(texts) = split(options.shape, line) else { return Parsed::Not };
    let mut filling = Filling::new(fields, options.time.as_ref());
    for (name, text) in options.shape.names().iter().zip(texts).filter(|(name, _)| !name.is_empty()) {
        let is_left_out = text.is_empty() && options.skip_empty;
        if !is_left_out && !filling.is_time(name, text) {
            filling.fields.push(Field { name, value: options.types.of(name).cast(text) });
        }
    }
    Parsed::Fields { time: filling.time }
}

/// The texts of the fields in their order.
fn split(shape: Shape, line: &str) -> Option<[&str; FIELDS]> {
    let bytes = line.as_bytes();
    let mut at = 0;
    let mut word = || {
        let from = at;
        let end = scan::find(bytes, from, b' ')?;
        at = end + 1;
        line.get(from..end)
    };
    let (first, second, user) = (word()?, word()?, word()?);
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    let end = scan::find(bytes, at, b']')?;
    let time = line.get(at + 1..end)?;
    if !bytes.get(end + 1..)?.starts_with(b" \"") {
        return None;
    }
    let request = Request { line, bytes, from: end + 3, words: shape.has_words() };
    let ((method, path), tail) = request.split(|at| Tail::read(shape, line, at))?;
    let Tail { code, size, referer, agent } = tail;
    Some([first, second, user, time, method, path, code, size, referer, agent])
}

/// What comes after the request.
struct Tail<'a> {
    code: &'a str,
    size: &'a str,
    referer: &'a str,
    agent: &'a str,
}

impl<'a> Tail<'a> {
    fn read(shape: Shape, line: &'a str, at: usize) -> Option<Self> {
        let bytes = line.as_bytes();
        let code_end = scan::find(bytes, at, b' ')?;
        let code = line.get(at..code_end)?;
        let size_end = scan::find(bytes, code_end + 1, b' ').unwrap_or(bytes.len());
        let size = line.get(code_end + 1..size_end)?;
        if size_end == bytes.len() {
            return (shape != Shape::Nginx).then_some(Self { code, size, referer: "", agent: "" });
        }
        if !bytes.get(size_end..)?.starts_with(b" \"") {
            return None;
        }
        let referer_from = size_end + 2;
        let referer_end = scan::find(bytes, referer_from, b'"')?;
        let referer = line.get(referer_from..referer_end)?;
        if !bytes.get(referer_end..)?.starts_with(b"\" \"") {
            return None;
        }
        let agent_from = referer_end + 3;
        let agent_end = match shape {
            Shape::Apache2 => bytes.len() - 1,
            _ => scan::find(bytes, agent_from, b'"')?,
        };
        let is_whole = agent_end + 1 == bytes.len() || shape == Shape::Nginx;
        let is_quoted = agent_end >= agent_from && bytes.get(agent_end) == Some(&b'"');
        let agent = line.get(agent_from..agent_end)?;
        (is_whole && is_quoted).then_some(Self { code, size, referer, agent })
    }
}

#[cfg(test)]
mod tests;
