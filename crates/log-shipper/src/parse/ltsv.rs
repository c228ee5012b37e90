//! Lines of `label:value` with tabs between.

use super::{Filling, Parsed, TimeField, scan, types::Types};
use crate::record::Field;

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub time: Option<TimeField>,
    pub types: Types,
}

/// Labels are letters, digits and `_.-`. A line with anything else before a colon is no LTSV, rather than half of it.
pub(super) fn parse<'a>(options: &'a Options, line: &'a str, fields: &mut Vec<Field<'a>>) -> Parsed<'a> {
    let mut filling = Filling::new(fields, options.time.as_ref());
    let bytes = line.as_bytes();
    let mut from = 0;
    while from < bytes.len() {
        let end = scan::find(bytes, from, b'\t').unwrap_or(bytes.len());
        let pair = &line[from..end];
        from = end + 1;
        if pair.is_empty() {
            continue;
        }
        let length = pair.bytes().position(|byte| !is_part(byte)).unwrap_or_default();
        let (label, rest) = pair.split_at(length);
        let Some(value) = rest.strip_prefix(':').filter(|_| !label.is_empty()) else { return Parsed::Not };
        if !filling.is_time(label, value) && filling.put(label, options.types.of(label).cast(value)).is_err() {
            return Parsed::Not;
        }
    }
    filling.done()
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        parse::time::Format,
        record::{Time, Value},
    };

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
        use Value::Text;
        let options = Options::default();
        for (line, expected) in [
            ("a:1\tb:two words", vec![("a", Text("1")), ("b", Text("two words"))]),
            ("time:10:20:30\treq:GET / \"x\"", vec![("time", Text("10:20:30")), ("req", Text("GET / \"x\""))]),
            ("a:", vec![("a", Text(""))]),
            ("\ta:1\t\tb:2\t", vec![("a", Text("1")), ("b", Text("2"))]),
            ("a:1\ta:2", vec![("a", Text("2"))]),
            ("a.B-c_9:é\0", vec![("a.B-c_9", Text("é\0"))]),
        ] {
            assert_eq!(fields(&options, line), Some((expected, None)), "{line}");
        }
        for line in ["", "\t", "a", ":1", "a b:1", "é:1", "a:1\tb", "a:1\t:2", "2026-01-01 10:00:00 text", "a\0:1"] {
            assert_eq!(fields(&options, line), None, "{line}");
        }
    }

    #[test]
    fn the_time_and_the_types() {
        let format = Format::new("[%d/%b/%Y:%H:%M:%S %z]").unwrap();
        let time = Some(TimeField { name: "time".into(), format, keep: false });
        let options = Options { time, types: Types::parse("status:integer,reqtime:float").unwrap() };
        let line = "time:[10/Oct/2000:13:55:36 -0700]\tstatus:200\treqtime:0.25\tua:x";
        let expected = vec![("status", Value::Integer(200)), ("reqtime", Value::Float(0.25)), ("ua", Value::Text("x"))];
        assert_eq!(fields(&options, line), Some((expected, Some(Time(971_211_336_000_000_000)))));
        assert_eq!(fields(&options, "time:-"), Some((vec![("time", Value::Text("-"))], None)));
    }

    #[test]
    fn a_line_of_endless_labels_is_text() {
        let options = Options::default();
        let line: String = (0..100_000).map(|key| format!("k{key}:\t")).collect();
        assert_eq!(fields(&options, &line), None);
        assert_eq!(fields(&options, &"a:1\t".repeat(200_000)).map(|(fields, _)| fields.len()), Some(1));
        assert_eq!(fields(&options, &"a".repeat(1 << 20)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_joined_comes_apart(pairs in prop::collection::btree_map("[a-zA-Z0-9_.-]{1,8}", "[^\t]{0,20}", 1..6)) {
            let line: Vec<_> = pairs.iter().map(|(label, value)| format!("{label}:{value}")).collect();
            let line = line.join("\t");
            let options = Options::default();
            let (fields, _) = fields(&options, &line).unwrap();
            let expected: Vec<_> = pairs.iter().map(|(label, value)| (&**label, Value::Text(value))).collect();
            prop_assert_eq!(fields, expected);
        }

        #[test]
        fn nothing_breaks_it(line in "[a:\t\0é]{0,40}") {
            let _ = fields(&Options::default(), &line);
        }
    }
}
