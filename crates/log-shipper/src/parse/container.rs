//! The lines that container runtimes write around what a container says.
//!
//! ```text
//! 2026-11-21T05:13:16.154218303Z stdout P the beginning of a
//! {"log":"long line\n","stream":"stdout","time":"2026-11-21T05:13:16.154218303Z"}
//! ```

use std::borrow::Cow;

use super::{json, time};
use crate::record::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// A line that a container wrote, or a part of it: runtimes cut at 16 KiB. See [`super::pieces::Pieces`].
#[derive(Clone, Debug, PartialEq)]
pub struct Piece<'a> {
    pub stream: Stream,
    /// More of the line follows.
    pub partial: bool,
    pub time: Option<Time>,
    /// Without the line end.
    pub text: Cow<'a, str>,
    /// Labels that Docker was told to write, as the JSON they are.
    pub attrs: Option<&'a str>,
}

/// Either of the two formats. `None` where it is neither.
pub fn split(line: &str) -> Option<Piece<'_>> {
    if line.starts_with('{') { docker(line) } else { cri(line) }
}

/// `TIME STREAM TAGS TEXT`, where the first tag says whether it is Full or Partial.
pub fn cri(line: &str) -> Option<Piece<'_>> {
    let (time, rest) = line.split_once(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    let stream = Stream::named(stream)?;
    let (tags, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let partial = match tags.split(':').next()? {
        "F" => false,
        "P" => true,
        _ => return None,
    };
    Some(Piece { stream, partial, time: Some(time::rfc3339(time)?), text: Cow::Borrowed(text), attrs: None })
}

/// A JSON object. Docker keeps the line end in the text: without one, it is a part of a line.
pub fn docker(line: &str) -> Option<Piece<'_>> {
    let (mut log, mut stream, mut time, mut attrs) = (None, None, None, None);
    json::members(line, |member| {
        if member.is("log") {
            log = Some(member.value);
        } else if member.is("stream") {
            stream = member.value.text().and_then(|name| Stream::named(&name));
        } else if member.is("time") {
            time = member.value.text().and_then(|text| time::rfc3339(&text));
        } else if member.is("attrs") {
            attrs = Some(member.value.json);
        }
    })?;
    let (text, partial) = said(log?)?;
    Some(Piece { stream: stream?, partial, time, text, attrs })
}

/// The text without its line end, and whether it had none.
fn said(log: json::Written<'_>) -> Option<(Cow<'_, str>, bool)> {
    // The usual case needs no copy: the line end is the only escape.
    let plain = log.inside()?.strip_suffix("\\n");
    if let Some(plain) = plain.filter(|plain| !plain.contains('\\')) {
        return Some((Cow::Borrowed(plain), false));
    }
    Some(match log.text()? {
        Cow::Owned(mut text) if text.ends_with('\n') => {
            text.pop();
            (Cow::Owned(text), false)
        }
        text => (text, true),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: Option<Time> = Some(Time(1_795_237_996_154_218_303));

    fn piece(stream: Stream, partial: bool, text: &str) -> Option<Piece<'_>> {
        Some(Piece { stream, partial, time: AT, text: text.into(), attrs: None })
    }

    #[test]
    fn lines_of_the_container_runtime_interface() {
        use Stream::{Stderr, Stdout};
        for (rest, expected) in [
            ("stdout F hello world", piece(Stdout, false, "hello world")),
            ("stderr P hello ", piece(Stderr, true, "hello ")),
            ("stdout F ", piece(Stdout, false, "")),
            ("stdout F", piece(Stdout, false, "")),
            ("stdout F  two  spaces ", piece(Stdout, false, " two  spaces ")),
            ("stdout P:extra é\0", piece(Stdout, true, "é\0")),
            ("stdout X text", None),
            ("stdin F text", None),
            ("stdout  F text", None),
            ("stdout", None),
            ("", None),
        ] {
            assert_eq!(split(&format!("2026-11-21T05:13:16.154218303Z {rest}")), expected, "{rest}");
            assert_eq!(split(&format!("2026-11-21T06:13:16.154218303+01:00 {rest}")), expected, "{rest}");
        }
        for line in ["", " ", "x stdout F text", "2026-11-21 05:13:16 stdout F text", "  stdout F x"] {
            assert_eq!(split(line), None, "{line}");
        }
        let long = format!("2026-11-21T05:13:16.154218303Z stdout P {}", "x".repeat(1 << 20));
        assert_eq!(split(&long).map(|piece| piece.text.len()), Some(1 << 20));
    }

    #[test]
    fn lines_of_docker() {
        use Stream::{Stderr, Stdout};
        let line = |log: &str, stream: &str| {
            format!(r#"{{"log":{log},"stream":"{stream}","time":"2026-11-21T05:13:16.154218303Z"}}"#)
        };
        for (log, stream, expected) in [
            (r#""hello\n""#, "stdout", piece(Stdout, false, "hello")),
            (r#""hello""#, "stderr", piece(Stderr, true, "hello")),
            (r#""\n""#, "stdout", piece(Stdout, false, "")),
            (r#""""#, "stdout", piece(Stdout, true, "")),
            (r#""a \"b\"\n""#, "stdout", piece(Stdout, false, "a \"b\"")),
            (r#""a\\n""#, "stdout", piece(Stdout, true, "a\\n")),
            (r#""a\\\n""#, "stdout", piece(Stdout, false, "a\\")),
            (r#""a\n\n""#, "stdout", piece(Stdout, false, "a\n")),
            (r#""a\r\u000a""#, "stdout", piece(Stdout, false, "a\r")),
            (r#""\u001b[31mé\u0000""#, "stdout", piece(Stdout, true, "\u{1b}[31mé\0")),
            (r#""x""#, "stdin", None),
            ("1", "stdout", None),
            ("null", "stdout", None),
        ] {
            assert_eq!(split(&line(log, stream)), expected, "{log}");
        }
        let attrs = r#"{"log":"x\n","attrs":{"tag":"a"},"stream":"stdout"}"#;
        let found = split(attrs).unwrap();
        assert_eq!((found.attrs, found.time), (Some(r#"{"tag":"a"}"#), None));
        for line in ["{}", "{", r#"{"log":"x"}"#, r#"{"stream":"stdout"}"#, r#"{"log":"x","stream":"stdout"} x"#] {
            assert_eq!(split(line), None, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_docker_writes_is_read(text in "[^\n]{0,20}", ends in any::<bool>()) {
            let written = if ends { format!("{text}\n") } else { text.clone() };
            let line = serde_json::json!({"log": written, "stream": "stderr"}).to_string();
            let piece = split(&line).unwrap();
            prop_assert_eq!((&*piece.text, piece.partial), (&*text, !ends));
        }

        #[test]
        fn nothing_breaks_it(line in "(2026-11-21T05:13:16Z |stdout |[FP]|[ -~é]){0,8}") {
            let _ = split(&line);
        }
    }
}
