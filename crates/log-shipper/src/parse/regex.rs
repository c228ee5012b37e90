//! Lines that an expression takes apart: its named groups become fields.

use ::regex::Regex;

use super::{
    Filling, Parsed, TimeField, pattern,
    types::{Type, Types},
};
use crate::record::Field;

#[derive(Clone, Debug)]
pub struct Options {
    regex: Regex,
    /// Number, name and type of each group that has a name.
    groups: Vec<(usize, String, Type)>,
    time: Option<TimeField>,
    skip_empty: bool,
}

impl Options {
    /// `skip_empty`: a group that is empty, or not in the line, is left out. Ruby's spelling is understood; what the
    /// engine cannot do is named.
    pub fn new(spec: &str, time: Option<TimeField>, types: &Types, skip_empty: bool) -> Result<Self, String> {
        let regex = pattern::text(spec)?;
        let names = regex.capture_names().enumerate();
        let named = names.filter_map(|(number, name)| name.map(|name| (number, name.to_owned(), types.of(name))));
        let groups: Vec<_> = named.collect();
        if groups.is_empty() {
            return Err(format!("`{spec}` has no named group, expected such as (?<message>.*): they become fields"));
        }
        Ok(Self { regex, groups, time, skip_empty })
    }
}

pub(super) fn parse<'a>(options: &'a Options, line: &'a str, fields: &mut Vec<Field<'a>>) -> Parsed<'a> {
    let mut places = options.regex.capture_locations();
    if options.regex.captures_read(&mut places, line).is_none() {
        return Parsed::Not;
    }
    let mut filling = Filling::new(fields, options.time.as_ref());
    for (number, name, kind) in &options.groups {
        let text = places.get(*number).and_then(|(from, to)| line.get(from..to)).unwrap_or_default();
        let is_left_out = text.is_empty() && options.skip_empty;
        if !is_left_out && !filling.is_time(name, text) {
            filling.fields.push(Field { name, value: kind.cast(text) });
        }
    }
    Parsed::Fields { time: filling.time }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        parse::time::Format,
        record::{Time, Value},
    };

    fn options(spec: &str) -> Options {
        Options::new(spec, None, &Types::default(), true).unwrap()
    }

    fn fields<'a>(options: &'a Options, line: &'a str) -> Option<Vec<(&'a str, Value<'a>)>> {
        let mut fields = Vec::new();
        match parse(options, line, &mut fields) {
            Parsed::Fields { .. } => Some(fields.iter().map(|field| (field.name, field.value)).collect()),
            _ => None,
        }
    }

    #[test]
    fn groups_become_fields() {
        use Value::Text;
        for (spec, line, expected) in [
            ("^(?<a>[^ ]*) (?<b>.*)$", "x y z", Some(vec![("a", Text("x")), ("b", Text("y z"))])),
            ("(?<a>b)", "abc", Some(vec![("a", Text("b"))])),
            ("^(?<a>x)?(?<b>y)", "y", Some(vec![("b", Text("y"))])),
            ("^(?<a>x*)$", "", Some(vec![])),
            (r"^\<(?<pri>[0-9]+)\>(?<rest>.*)$", "<13>hi", Some(vec![("pri", Text("13")), ("rest", Text("hi"))])),
            ("^(?<a>.)$", "é", Some(vec![("a", Text("é"))])),
            ("^(?<a>[^é]+)é$", "日本é", Some(vec![("a", Text("日本"))])),
            ("(?<a>^b$)", "a\nb\nc", Some(vec![("a", Text("b"))])),
            ("^(?<a>.*)$", "x\0y", Some(vec![("a", Text("x\0y"))])),
            ("^(?<a>x)$", "y", None),
            ("(?<a>x)", "", None),
        ] {
            assert_eq!(fields(&options(spec), line), expected, "{spec} {line}");
        }
        let all = Options::new("^(?<a>x)?(?<b>y*)", None, &Types::default(), false).unwrap();
        assert_eq!(fields(&all, ""), Some(vec![("a", Text("")), ("b", Text(""))]));
    }

    #[test]
    fn the_time_and_the_types() {
        let format = Format::new("%s").unwrap();
        let time = |keep| Some(TimeField { name: "t".into(), format: format.clone(), keep });
        let types = Types::parse("n:integer t:integer").unwrap();
        let parse_with = |keep, line: &str| {
            let options = Options::new(r"^(?<t>\S+) (?<n>\S+)$", time(keep), &types, true).unwrap();
            let mut fields = Vec::new();
            let Parsed::Fields { time } = parse(&options, line, &mut fields) else { panic!("{line}") };
            (time, fields.iter().map(|field| format!("{:?}", field.value)).collect::<Vec<_>>())
        };
        let at = Some(Time(7_000_000_000));
        assert_eq!(parse_with(false, "7 12"), (at, vec!["Integer(12)".into()]));
        assert_eq!(parse_with(true, "7 12"), (at, vec!["Integer(7)".into(), "Integer(12)".into()]));
        assert_eq!(parse_with(false, "x 12"), (None, vec!["Integer(0)".into(), "Integer(12)".into()]));
    }

    #[test]
    fn an_expression_without_names_is_refused() {
        let said = Options::new("^(.*)$", None, &Types::default(), true).unwrap_err();
        assert!(said.contains("`^(.*)$` has no named group"), "{said}");
    }

    #[test]
    fn long_lines_and_bad_expressions_take_no_time() {
        let evil = options("^(?<a>(a*)*)b$");
        assert_eq!(fields(&evil, &"a".repeat(1 << 20)), None);
        let spaces = options(r"^(?<a>.*?)\s*(?<b>x)$");
        assert_eq!(fields(&spaces, &" ".repeat(1 << 20)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_joined_comes_apart(one in "[^ \n]{1,12}", two in "[^\n]{0,12}") {
            let spec = options("^(?<one>[^ ]+) (?<two>.*)$");
            let line = format!("{one} {two}");
            let mut expected = vec![("one", Value::Text(&one)), ("two", Value::Text(&two))];
            expected.retain(|(_, value)| *value != Value::Text(""));
            prop_assert_eq!(fields(&spec, &line), Some(expected));
        }
    }
}
