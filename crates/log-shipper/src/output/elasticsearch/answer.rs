//! What the server says about a bulk request: one verdict for all, or one for each document.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// An answer of status 200.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Every document is there.
    All,
    /// Something about each of the first so many documents. About the others nothing is known.
    Each(Items),
    /// It is no answer of a bulk request.
    Other,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Items {
    /// How many were answered for.
    pub(super) answered: usize,
    /// Those that are not there, by their number.
    pub(super) failed: Vec<(usize, Problem)>,
}

/// Why something was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, kind, reason } = self;
        match (kind.as_str(), reason.as_str()) {
            ("", "") => write!(f, "{status}"),
            ("", one) | (one, "") => write!(f, "{status} {one}"),
            _ => write!(f, "{status} {kind}: {reason}"),
        }
    }
}

/// A reason is told as far as this. Servers quote whole documents in them.
const LONGEST_REASON: usize = 300;
/// `"errors":false` stands before the documents, after what it took.
const BEGINNING: usize = 128;

/// What it says about so many documents.
pub(super) fn read(body: &[u8], count: u64) -> Answer {
    if all_are_there(body, count) {
        return Answer::All;
    }
    let mut found = Found::default();
    // Where it was cut short, what was read by then holds.
    let is_whole = found.deserialize(&mut serde_json::Deserializer::from_slice(body)).is_ok();
    match found {
        Found { has_items: true, items, .. } => Answer::Each(items),
        Found { errors: Some(false), .. } if is_whole => Answer::All,
        _ => Answer::Other,
    }
}

/// Whether it says so near its beginning: then nobody needs to understand the rest, which is as long as the request. A
/// quote inside of a string has a backslash before it, so these can be nothing but the names of members. Simple servers
/// tell of no document at all then; who tells of some has to tell of all.
fn all_are_there(body: &[u8], count: u64) -> bool {
    const NAME: &[u8] = b"\"errors\"";
    let begin = &body[..body.len().min(BEGINNING)];
    let Some(at) = memchr::memmem::find(begin, NAME) else { return false };
    let rest = begin[at + NAME.len()..].trim_ascii_start();
    let is_good = rest.strip_prefix(b":").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"false"));
    is_good && [0, count].contains(&(memchr::memmem::find_iter(body, b"\"status\"").count() as u64))
}

/// What a request was refused for as a whole.
pub(super) fn problem(status: u16, body: &[u8]) -> Problem {
    #[derive(Deserialize)]
    struct Refusal {
        error: Cause,
    }
    let cause = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.error,
        Err(_) => {
            let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
            let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
            Cause { kind: String::new(), reason: shortened(line) }
        }
    };
    Problem { status, kind: cause.kind, reason: cause.reason }
}

#[derive(Default)]
struct Found {
    errors: Option<bool>,
    has_items: bool,
    items: Items,
}

impl<'de> DeserializeSeed<'de> for &mut Found {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Found {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer to a bulk request")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "errors" => self.errors = Some(map.next_value()?),
                "items" => {
                    self.has_items = true;
                    map.next_value_seed(&mut self.items)?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Items {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Items {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<(), S::Error> {
        while let Some(Item { status, error }) = items.next_element()? {
            // 409: it was sent before, and arrived.
            if !(200..300).contains(&status) && status != 409 {
                let Cause { kind, reason } = error.unwrap_or_default();
                self.failed.push((self.answered, Problem { status, kind, reason }));
            }
            self.answered += 1;
        }
        Ok(())
    }
}

/// `{"create":{"status":400,"error":{...},...}}`
struct Item {
    status: u16,
    error: Option<Cause>,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Outcome {
            status: u16,
            #[serde(default)]
            error: Option<Cause>,
        }
        struct Action;
        impl<'de> Visitor<'de> for Action {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an action with its outcome")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Item, M::Error> {
                let (_, Outcome { status, error }) =
                    map.next_entry::<IgnoredAny, Outcome>()?.ok_or_else(|| M::Error::custom("no action"))?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Item { status, error })
            }
        }
        deserializer.deserialize_map(Action)
    }
}

/// An error: an object with causes below it, or only a text as older and simpler servers have it.
#[derive(Default)]
struct Cause {
    kind: String,
    reason: String,
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Cause;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error")
            }

            fn visit_str<E>(self, text: &str) -> Result<Cause, E> {
                Ok(Cause { kind: String::new(), reason: shortened(text) })
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Cause, M::Error> {
                let mut cause = Cause::default();
                let mut below = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "type" => cause.kind = map.next_value::<Option<String>>()?.unwrap_or_default(),
                        "reason" => cause.reason = shortened(&map.next_value::<Option<String>>()?.unwrap_or_default()),
                        "caused_by" => below = map.next_value::<Option<Cause>>()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                // "failed to parse" alone helps nobody.
                if let Some(below) = below.filter(|below| !below.reason.is_empty()) {
                    cause.reason = shortened(&format!("{}: {}", cause.reason, below.reason));
                }
                Ok(cause)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect();
    if text.chars().nth(LONGEST_REASON).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn each(body: &str) -> Items {
        match read(body.as_bytes(), 2) {
            Answer::Each(items) => items,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_good_answer_is_known_by_its_beginning() {
        for body in [
            r#"{"took":30,"errors":false,"items":[{"create":{"_index":"a","status":201}},{"create":{"status":201}}]}"#,
            r#"{"took":30,"ingest_took":4,"errors" : false}"#,
            "{\n  \"errors\" : false,\n",
            r#"{"errors":false,"items":[]}"#,
        ] {
            assert_eq!(read(body.as_bytes(), 2), Answer::All, "{body}");
        }
        // It says nothing about the second.
        let one = each(r#"{"errors":false,"items":[{"create":{"status":201}}]}"#);
        assert_eq!((one.answered, one.failed), (1, vec![]));
        // What a document says is not what the server says.
        let quoted = r#"{"errors":true,"items":[{"create":{"status":400,"error":"\"errors\":false"}}]}"#;
        assert_eq!(each(quoted).failed.len(), 1);
        let first = r#"{"items":[{"create":{"status":400,"error":"x \"errors\":false"}}],"errors":true}"#;
        assert_eq!(each(first).failed.len(), 1);
    }

    #[test]
    fn each_document_has_its_outcome() {
        // As OpenSearch 2.19.1 answered, shortened by its filter_path.
        let body = r#"{"took":5,"errors":true,"items":[
            {"create":{"_index":"a1","_id":"x","status":201}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[x1]: version conflict"}}},
            {"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse","caused_by":
              {"type":"json_parse_exception","reason":"Duplicate field 'm'\n at line: 1"}}}},
            {"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue full"}}},
            {"create":{"status":200}},
            {"create":{"status":503,"error":"UnavailableShardsException[no]"}},
            {"create":{"status":500}}]}"#;
        let items = each(body);
        assert_eq!(items.answered, 7);
        let told: Vec<_> = items.failed.iter().map(|(at, problem)| format!("{at} {problem}")).collect();
        assert_eq!(
            told,
            [
                "2 400 mapper_parsing_exception: failed to parse: Duplicate field 'm'  at line: 1",
                "3 429 es_rejected_execution_exception: queue full",
                "5 503 UnavailableShardsException[no]",
                "6 500",
            ]
        );
    }

    #[test]
    fn an_answer_that_breaks_off_holds_as_far_as_it_goes() {
        let body = r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400}},{"create":{"sta"#;
        let items = each(body);
        assert_eq!((items.answered, items.failed.len()), (2, 1));
        assert_eq!(each(r#"{"errors":true,"items":["#).answered, 0);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for body in ["", "{}", "<html>ok</html>", "[]", r#"{"errors":true}"#, r#"{"acknowledged":true}"#, "\0\0"] {
            assert_eq!(read(body.as_bytes(), 2), Answer::Other, "{body}");
        }
        // Its first document says nothing that could be understood.
        assert_eq!(each(r#"{"errors":true,"items":[{}]}"#).answered, 0);
    }

    #[test]
    fn refusals_of_everything_are_told() {
        for (body, told) in [
            (
                r#"{"error":{"root_cause":[{"type":"x","reason":"y"}],"type":"illegal_argument_exception","reason":"Action/metadata line [1] contains an unknown parameter [_type]"},"status":400}"#,
                "400 illegal_argument_exception: Action/metadata line [1] contains an unknown parameter [_type]",
            ),
            (r#"{"error":"no handler found for uri [/x]"}"#, "400 no handler found for uri [/x]"),
            ("<html>\n<title>Bad", "400 <html>"),
            ("", "400"),
        ] {
            assert_eq!(problem(400, body.as_bytes()).to_string(), told);
        }
        assert!(problem(400, &[b'x'; 5000]).reason.len() < 310);
    }

    proptest! {
        #[test]
        fn an_answer_cut_anywhere_never_says_more_than_it_did(statuses in vec(prop_oneof![200..300_u16, 400..600_u16], 1..20), cut in 0..2000_usize) {
            let items: Vec<_> = statuses.iter().map(|status| format!("{{\"create\":{{\"status\":{status}}}}}")).collect();
            let body = format!("{{\"took\":1,\"errors\":true,\"items\":[{}]}}", items.join(","));
            let is_bad = |status: &u16| !(200..300).contains(status) && *status != 409;
            match read(&body.as_bytes()[..cut.min(body.len())], statuses.len() as u64) {
                Answer::All => prop_assert!(false, "{body}"),
                Answer::Other => prop_assert!(cut < body.len()),
                Answer::Each(items) => {
                    let told: Vec<_> = items.failed.iter().map(|(at, problem)| (*at, problem.status)).collect();
                    let known = statuses[..items.answered].iter().copied().enumerate();
                    prop_assert_eq!(told, known.filter(|(_, status)| is_bad(status)).collect::<Vec<_>>());
                    prop_assert!(cut < body.len() || items.answered == statuses.len());
                }
            }
        }

        #[test]
        fn any_bytes_are_read(body in vec(any::<u8>(), 0..200)) {
            read(&body, 3);
            problem(400, &body);
        }
    }
}
