//! What holds for every input, however odd: the fuzz targets call these, and the tests below do on every `cargo test`.

use std::{io, sync::Arc};

use crate::{
    join::{Join, Joiner},
    json,
    parse::{
        Format, Parsed, access, json as json_lines, logfmt, ltsv,
        multiline::{Grouping, Rules},
        pattern, regex,
        types::Types,
    },
    position,
    record::{Body, Origin, Record, Time},
};

fn formats() -> Vec<Format> {
    let access =
        |shape| Format::Access(access::Options { shape, time: None, types: Types::default(), skip_empty: true });
    let regex = regex::Options::new(r"^(?<a>\S*) (?<b>.*)$", None, &Types::default(), true);
    [
        Format::Raw,
        Format::Json(json_lines::Options { time: None }),
        Format::Logfmt(logfmt::Options::default()),
        Format::Ltsv(ltsv::Options { time: None, types: Types::default() }),
        access(access::Shape::NginxExact),
        access(access::Shape::Apache),
    ]
    .into_iter()
    .chain(regex.ok().map(Format::Regex))
    .collect()
}

/// In whatever format it is read, what is shipped of it is one JSON object on one line, which says the line itself where it
/// is in no format.
pub fn line(text: &str) {
    let origin = Origin { tag: "t".into(), path: "/p".into(), fields: Vec::new(), line_key: "message".into() };
    for format in formats() {
        let mut fields = Vec::new();
        let parsed = format.parse(text, &mut fields);
        let body = match parsed {
            Parsed::Fields { .. } => Body::Fields(&fields),
            Parsed::Json { json, .. } => Body::Json(json),
            Parsed::Not => Body::Line(text.as_bytes()),
        };
        let record = Record { origin: &origin, file: 1, offset: 0, raw: text.as_bytes(), time: Time(0), body };
        let mut out = b"{\"first\":0".to_vec();
        json::members(&record, &mut out);
        out.push(b'}');
        assert!(!out.contains(&b'\n'), "{format:?} {text:?}");
        let read: serde_json::Value = match serde_json::from_slice(&out) {
            Ok(read) => read,
            // Deeper, or with larger numbers, than the reader of the test has it.
            Err(error) if error.to_string().contains("recursion") || error.to_string().contains("out of range") => {
                continue;
            }
            Err(error) => panic!("{format:?} {text:?}: {error}: {}", String::from_utf8_lossy(&out)),
        };
        if matches!(parsed, Parsed::Not) {
            assert_eq!(read["message"], text, "{format:?}");
        }
    }
}

/// Joining loses no line: as many bytes come out as went in, in their order, whatever belongs together.
pub fn joined(text: &[u8]) {
    for name in ["java", "python", "go", "ruby"] {
        let Some(rules) = Rules::builtin(name) else { continue };
        let join = Join { lines: Some(Arc::new(Grouping::Rules(rules))), ..Join::default() };
        let mut joiner = Joiner::new(&join, 1 << 20);
        let mut out = Vec::new();
        let mut give = |joined: crate::join::Joined<'_>| -> io::Result<()> {
            out.extend_from_slice(joined.text);
            out.push(b'\n');
            Ok(())
        };
        let mut offset = 0;
        for line in text.split(|byte| *byte == b'\n') {
            assert!(joiner.take(line, offset, &mut give).is_ok());
            offset += line.len() as u64 + 1;
        }
        assert!(joiner.give_up(true, &mut give).is_ok());
        assert_eq!(out, [text, b"\n"].concat(), "{name}");
    }
}

/// A journal is read as far as it is whole, and what comes behind it and is no line of ours changes nothing.
pub fn positions(journal: &[u8]) {
    let Ok(read) = position::load(journal) else { return };
    let behind = [journal, b"\nno line of ours\n"].concat();
    assert_eq!(position::load(behind.as_slice()).ok(), Some(read));
}

/// An expression of the peers compiles, or is refused with a reason on one line.
pub fn expression(text: &str) {
    if let Err(problem) = pattern::text(text) {
        assert!(!problem.is_empty() && !problem.contains('\n'), "{text:?}: {problem:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn lines_of_any_kind(text in "([a-z{}\\[\\]\":,=\\\\ \t\u{1}é0-9.-]|\\\\u[0-9a-f]{4}|GET|HTTP/1.1)*") {
            super::line(&text);
        }

        #[test]
        fn bytes_of_any_kind_are_joined(lines in vec("(\\s{0,2}at .{0,9}|Traceback.*|[A-Za-z.]+Exception: .{0,9}|goroutine 1 \\[|panic: .{0,5}|.{0,20})", 0..12)) {
            super::joined(lines.join("\n").as_bytes());
        }

        #[test]
        fn journals_of_any_kind(text in "([0-9a-f]{8} (lane|file|at|gone|done) [0-9 ]{0,20}\n|.{0,30}\n)*") {
            super::positions(text.as_bytes());
        }

        #[test]
        fn expressions_of_any_kind(text in "([a-z0-9(){}\\[\\]|*+?.^$\\\\<>=!:-]|\\(\\?<a>|\\\\h|\\[\\^ \\])*") {
            super::expression(&text);
        }
    }
}
