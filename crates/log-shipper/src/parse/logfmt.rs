//! Lines of `key=value` pairs, as many Go programs write them.

use super::{
    Filling, Parsed, TimeField, json, scan,
    types::{Type, Types},
};
use crate::record::{Field, Value};

#[derive(Clone, Debug)]
pub struct Options {
    pub time: Option<TimeField>,
    pub types: Types,
    /// Whether a key without a value is true. Otherwise a line that has one is not in this format: plain text is
    /// nothing but such keys.
    pub bare_keys: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { time: None, types: Types::default(), bare_keys: true }
    }
}

pub(super) fn parse<'a>(options: &'a Options, line: &'a str, fields: &mut Vec<Field<'a>>) -> Parsed<'a> {
    let mut filling = Filling::new(fields, options.time.as_ref());
    let mut rest = line;
    loop {
        let Some(start) = rest.bytes().position(is_part) else { return filling.done() };
        rest = &rest[start..];
        let key;
        (key, rest) = word(rest);
        let (text, value) = match rest.strip_prefix('=') {
            None if options.bare_keys => ("", None),
            None => return Parsed::Not,
            Some(after) if after.starts_with('"') => {
                let quoted;
                (quoted, rest) = quote(after);
                (quoted.inside, Some(quoted.value()))
            }
            Some(after) => {
                let text;
                (text, rest) = word(after);
                (text, Some(Value::Text(text)).filter(|_| !text.is_empty()))
            }
        };
        if filling.is_time(key, text) {
            continue;
        }
        // A value of nothing at all is as good as none; `key=""` says that it is empty.
        let typed = match (value, options.types.of(key)) {
            (None, _) => Value::Bool(true),
            (Some(value), Type::Text) => value,
            (Some(_), kind) => kind.cast(text),
        };
        if filling.put(key, typed).is_err() {
            return Parsed::Not;
        }
    }
}

/// Of a key or a bare value. All bytes of a character beyond ASCII are.
fn is_part(byte: u8) -> bool {
    byte > b' ' && byte != b'=' && byte != b'"'
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(scan::until::<b'!', b'='>(text.as_bytes(), 0))
}

struct Quoted<'a> {
    /// With its quotes.
    whole: &'a str,
    inside: &'a str,
    has_escapes: bool,
}

/// A quoted text, and what comes after. A quote that is not closed goes to the end.
fn quote(text: &str) -> (Quoted<'_>, &str) {
    let bytes = text.as_bytes();
    let (mut at, mut has_escapes) = (1, false);
    loop {
        at = scan::plain_until(bytes, at);
        match bytes.get(at) {
            Some(b'"') => {
                let (whole, rest) = text.split_at(at + 1);
                return (Quoted { whole, inside: &whole[1..at], has_escapes }, rest);
            }
            // What is escaped may be a character of several bytes: the first is enough to step over a quote.
            Some(b'\\') => (at, has_escapes) = (at + 2, true),
            Some(_) => at += 1,
            None => return (Quoted { whole: text, inside: &text[1..], has_escapes }, ""),
        }
    }
}

impl<'a> Quoted<'a> {
    /// Go quotes nearly as JSON does. Where it does not, such as in `\x00`, the escapes stay what they are: text.
    fn value(&self) -> Value<'a> {
        if self.has_escapes && json::is_string(self.whole) { Value::Json(self.whole) } else { Value::Text(self.inside) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{parse::time::Format, record::Time};

    type Found<'a> = (Vec<(&'a str, Value<'a>)>, Option<Time>);

    fn fields<'a>(options: &'a Options, line: &'a str) -> Option<Found<'a>> {
        let mut fields = Vec::new();
        match parse(options, line, &mut fields) {
            Parsed::Fields { time } => Some((fields.iter().map(|field| (field.name, field.value)).collect(), time)),
            _ => None,
        }
    }

    #[test]
    fn pairs_become_fields() {
        use Value::{Bool, Json, Text};
        let options = Options::default();
        for (line, expected) in [
            ("a=1 b=two", vec![("a", Text("1")), ("b", Text("two"))]),
            ("  a=1\t\tb=2 ", vec![("a", Text("1")), ("b", Text("2"))]),
            (r#"msg="hello world" level=info"#, vec![("msg", Text("hello world")), ("level", Text("info"))]),
            (r#"a="" b= c"#, vec![("a", Text("")), ("b", Bool(true)), ("c", Bool(true))]),
            (r#"a="say \"hi\"\n" b=1"#, vec![("a", Json(r#""say \"hi\"\n""#)), ("b", Text("1"))]),
            (r#"a="\x00""#, vec![("a", Text(r"\x00"))]),
            ("a=\"tab\there\"", vec![("a", Text("tab\there"))]),
            ("a=\"tab\t\\n\"", vec![("a", Text("tab\t\\n"))]),
            (r#"a="\"#, vec![("a", Text(r"\"))]),
            (r#"a="\é""#, vec![("a", Text(r"\é"))]),
            (r#"a="never closed b=1"#, vec![("a", Text("never closed b=1"))]),
            (r#"a="x"b=2"#, vec![("a", Text("x")), ("b", Text("2"))]),
            ("=1 a==2", vec![("1", Bool(true)), ("a", Bool(true)), ("2", Bool(true))]),
            ("é=ü 日本=語", vec![("é", Text("ü")), ("日本", Text("語"))]),
            ("a=1 b=2 a=3", vec![("a", Text("3")), ("b", Text("2"))]),
            ("a=1\0b=2\nc=3", vec![("a", Text("1")), ("b", Text("2")), ("c", Text("3"))]),
            ("plain text", vec![("plain", Bool(true)), ("text", Bool(true))]),
        ] {
            assert_eq!(fields(&options, line), Some((expected, None)), "{line}");
        }
        for line in ["", " ", "\0", "\"", "= = =", "\"\"\""] {
            assert_eq!(fields(&options, line), None, "{line}");
        }
    }

    #[test]
    fn text_is_not_taken_where_keys_need_values() {
        let options = Options { bare_keys: false, ..Options::default() };
        assert_eq!(fields(&options, "plain text"), None);
        assert_eq!(fields(&options, "a=1 b"), None);
        assert!(fields(&options, r#"a=1 b="""#).is_some());
    }

    #[test]
    fn the_time_and_the_types() {
        let time = TimeField { name: "ts".into(), format: Format::new("%s").unwrap(), keep: false };
        let types = Types::parse("n:integer f:float").unwrap();
        let mut options = Options { time: Some(time), types, bare_keys: true };
        let line = r#"ts=5 n="12" f=0.5 n2=1"#;
        let others = vec![("n", Value::Integer(12)), ("f", Value::Float(0.5)), ("n2", Value::Text("1"))];
        assert_eq!(fields(&options, line), Some((others.clone(), Some(Time(5_000_000_000)))));
        assert_eq!(fields(&options, "ts=now"), Some((vec![("ts", Value::Text("now"))], None)));
        assert_eq!(fields(&options, "ts=5"), Some((vec![], Some(Time(5_000_000_000)))));
        options.time.as_mut().unwrap().keep = true;
        let kept = [vec![("ts", Value::Text("5"))], others].concat();
        assert_eq!(fields(&options, line), Some((kept, Some(Time(5_000_000_000)))));
    }

    #[test]
    fn a_line_of_endless_keys_is_text() {
        let options = Options::default();
        let line: String = (0..200_000).map(|key| format!("k{key} ")).collect();
        assert_eq!(fields(&options, &line), None);
        assert_eq!(fields(&options, &"a ".repeat(500_000)), Some((vec![("a", Value::Bool(true))], None)));
        let long = format!("a=\"{}", "\\".repeat(1 << 20));
        assert!(fields(&options, &long).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_quoted_reads_back(pairs in prop::collection::btree_map("[a-zé._-]{1,8}", ".{0,20}", 1..6)) {
            let line: Vec<_> = pairs.iter().map(|(key, text)| format!("{key}={}", serde_json::json!(text))).collect();
            let line = line.join(" ");
            let options = Options::default();
            let (fields, _) = fields(&options, &line).unwrap();
            prop_assert_eq!(fields.len(), pairs.len());
            for (name, value) in fields {
                let text = match value {
                    Value::Text(text) => text.to_owned(),
                    Value::Json(json) => serde_json::from_str(json).unwrap(),
                    other => format!("{other:?}"),
                };
                prop_assert_eq!(&pairs[name], &text);
            }
        }

        #[test]
        fn nothing_breaks_it_and_what_is_json_is_valid(line in "([a-b=\"\\\\ \u{0}-\u{20}é]|\\\\u[0-9a-f]{4}){0,30}") {
            let options = Options::default();
            for (_, value) in fields(&options, &line).unwrap_or_default().0 {
                if let Value::Json(json) = value {
                    prop_assert!(serde_json::from_str::<String>(json).is_ok(), "{}", json);
                }
            }
        }
    }
}
