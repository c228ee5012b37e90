//! Access logs, beside what the expressions make of them.

use ::regex::{Regex, RegexBuilder};
use proptest::prelude::*;

use super::*;
use crate::{
    parse::time::Format,
    record::{Time, Value},
};

fn options(shape: Shape) -> Options {
    Options { shape, time: None, types: Types::default(), skip_empty: true }
}

type Found<'a> = (Vec<(&'a str, Value<'a>)>, Option<Time>);

fn fields<'a>(options: &'a Options, line: &'a str) -> Option<Found<'a>> {
    let mut fields = Vec::new();
    match parse(options, line, &mut fields) {
        Parsed::Fields { time } => Some((fields.iter().map(|field| (field.name, field.value)).collect(), time)),
        _ => None,
    }
}

fn texts<'a>(options: &'a Options, line: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let (fields, _) = fields(options, line)?;
    fields
        .into_iter()
        .map(|(name, value)| if let Value::Text(text) = value { Some((name, text)) } else { None })
        .collect()
}

/// What the expression finds. `\S` is spelled for an engine without tables of all the spaces there are.
fn expected<'a>(regex: &'a Regex, line: &'a str, skip_empty: bool) -> Option<Vec<(&'a str, &'a str)>> {
    let found = regex.captures(line)?;
    let named = regex.capture_names().flatten();
    let texts = named.map(|name| (name, found.name(name).map_or("", |found| found.as_str())));
    Some(texts.filter(|(_, text)| !skip_empty || !text.is_empty()).collect())
}

fn regexes() -> Vec<(Shape, Regex)> {
    let compile = |expression: &str| RegexBuilder::new(&expression.replace(r"\S", r"[^\t-\r ]")).build().unwrap();
    EXPRESSIONS.iter().map(|(shape, expression)| (*shape, compile(expression))).collect()
}

const COMBINED: &str =
    r#"10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "http://x/" "Mozilla/5.0 (X11)""#;
const COMMON: &str = r#"10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 304 -"#;

#[test]
fn lines_of_servers() {
    let nginx = options(Shape::Nginx);
    let found = texts(&nginx, COMBINED).unwrap();
    assert_eq!(
        found,
        [
            ("remote", "10.0.0.1"),
            ("host", "-"),
            ("user", "frank"),
            ("time", "10/Oct/2000:13:55:36 -0700"),
            ("method", "GET"),
            ("path", "/a?b=c"),
            ("code", "200"),
            ("size", "2326"),
            ("referer", "http://x/"),
            ("agent", "Mozilla/5.0 (X11)"),
        ]
    );
    assert_eq!(texts(&nginx, &format!("{COMBINED} \"10.1.1.1\" 0.003")), Some(found));
    assert_eq!(texts(&nginx, COMMON), None);
    let apache = options(Shape::Apache2);
    assert_eq!(
        texts(&apache, COMMON).unwrap(),
        [
            ("host", "10.0.0.1"),
            ("user", "-"),
            ("time", "10/Oct/2000:13:55:36 -0700"),
            ("method", "GET"),
            ("path", "/a"),
            ("code", "304"),
            ("size", "-"),
        ]
    );
    let all = Options { skip_empty: false, ..options(Shape::NginxExact) };
    assert_eq!(texts(&all, COMMON).unwrap().len(), 10);
}

#[test]
fn the_time_and_the_types() {
    let format = Format::new("%d/%b/%Y:%H:%M:%S %z").unwrap();
    let time = |keep| Some(TimeField { name: "time".into(), format: format.clone(), keep });
    let types = Types::parse("code:integer size:integer").unwrap();
    let cut = Options { shape: Shape::NginxExact, time: time(false), types: types.clone(), skip_empty: true };
    let (found, at) = fields(&cut, COMMON).unwrap();
    assert_eq!(at, Some(Time(971_211_336_000_000_000)));
    assert!(!found.iter().any(|(name, _)| *name == "time"));
    assert!(found.contains(&("code", Value::Integer(304))) && found.contains(&("size", Value::Integer(0))));
    let kept = Options { time: time(true), ..cut.clone() };
    assert_eq!(fields(&kept, COMMON).unwrap().0.len(), found.len() + 1);
    let line = COMMON.replace("Oct", "Okt");
    let (found, at) = fields(&cut, &line).unwrap();
    assert!(at.is_none() && found.contains(&("time", Value::Text("10/Okt/2000:13:55:36 -0700"))));
}

/// What strangers send, and what a line can end in.
const ODD: [&str; 34] = [
    r#""""#,
    r#""-""#,
    r#""GET""#,
    r#""GET ""#,
    r#""GET  ""#,
    r#"" ""#,
    r#"" GET / HTTP/1.1""#,
    r#""GET  HTTP/1.1""#,
    r#""GET   HTTP/1.1""#,
    r#""GET /""#,
    r#""GET / ""#,
    r#""GET /a b c HTTP/1.1""#,
    r#""GET /a  HTTP/1.1""#,
    r#""GET /"x" HTTP/1.1""#,
    r#""GET "x" "y" HTTP/1.1""#,
    r#""GET /a"b""#,
    r#""GET /a HTTP"1.1""#,
    r#""a"b""#,
    r#""a" b""#,
    r#""GET" 200 1 "-" "x""#,
    r#""\x16\x03\x01\x00""#,
    "\"GET\t/ HTTP/1.1\"",
    "\"GET /\tb HTTP/1.1\"",
    "\"GET /a\tHTTP/1.1\"",
    "\"GET /\0 HTTP/1.1\"",
    r#""GET / HTTP/1.1" 400 0 "-" "x" "y""#,
    r#""GET /é HTTP/1.1""#,
    r#""GET  a"b""#,
    r#""GET  a"b" c""#,
    r#""GET /a" 200 1 "r" "b HTTP/1.1""#,
    r#"""" "" "" "" ""#,
    r#""GET  "x" y"z""#,
    "\"GET / HTTP/1.1\"\r",
    r#""GET   "  " "#,
];
const ENDS: [&str; 16] = [
    "",
    " ",
    " 200",
    " 200 ",
    " 200 1",
    "  1",
    " 200 1 ",
    r#" 200 1 "r" "a""#,
    r#" 200 1 "r" "a" "#,
    r#" 200 1 "r""#,
    r#" 200 1 "r" "a" b""#,
    r#" 200 1 "" """#,
    r#" 200 1 "" ""#,
    r#" 200 1 "r"  "a""#,
    r#" 200 1 "r" "a" "b" c"#,
    r#" 200 1 "é" "日本""#,
];

#[test]
fn odd_requests_are_read_as_the_expressions_do() {
    for (shape, regex) in regexes() {
        let options = options(shape);
        for (request, end) in ODD.iter().flat_map(|request| ENDS.iter().map(move |end| (request, end))) {
            let line = format!("1.2.3.4 - - [now] {request}{end}");
            assert_eq!(texts(&options, &line), expected(&regex, &line, true), "{shape:?} {line}");
        }
        for line in
            ["", " ", "   ", "a b c", "a b c [", "a b c []", "a b c [] ", "a b c [] \"", "\0", "a b c [\"] \"a\" 1 2"]
        {
            assert_eq!(texts(&options, line), expected(&regex, line, true), "{shape:?} {line}");
        }
    }
}

#[test]
fn long_lines_take_no_time() {
    let options = options(Shape::NginxExact);
    for filling in ["\"", " ", "\" ", " \"", "a", "\" \"", "a\" 1 2 \""] {
        let line = format!("1.2.3.4 - - [now] \"GET {}", filling.repeat(1 << 20));
        let _ = texts(&options, &line);
        let _ = texts(&options, &filling.repeat(1 << 20));
    }
}

#[test]
fn expressions_are_known_by_their_text() {
    for (shape, expression) in EXPRESSIONS {
        assert_eq!(Shape::of(expression), Some(shape));
        assert_eq!(Shape::of(&format!("/{expression}/")), Some(shape));
        assert_eq!(Shape::of(&expression.replace("\\\"", "\"")), Some(shape));
    }
    assert_eq!(Shape::of("^(?<host>.*)$"), None);
}

/// Lines made of the pieces that matter.
fn nearly_a_line() -> impl Strategy<Value = String> {
    let piece = || {
        prop::sample::select(vec!["\"", " ", "\" ", " \"", "a", "GET", "/", "  ", "\t", "é", "[", "]", "200", "\" \""])
    };
    let soup = |most| prop::collection::vec(piece(), 0..most).prop_map(|pieces| pieces.concat());
    prop_oneof![
        4 => (soup(10), soup(8)).prop_map(|(request, end)| format!("h - u [t] \"{request}\" 2 3{end}")),
        2 => (soup(8), soup(8)).prop_map(|(request, end)| format!("h - u [t] \"GET{request}\" {end}")),
        1 => soup(8).prop_map(|agent| format!("{COMMON} \"r\" \"{agent}\"")),
        1 => soup(24),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn what_the_expressions_find(lines in prop::collection::vec(nearly_a_line(), 20), skip_empty in any::<bool>()) {
        static REGEXES: std::sync::LazyLock<Vec<(Shape, Regex)>> = std::sync::LazyLock::new(regexes);
        for (shape, regex) in REGEXES.iter() {
            let options = Options { skip_empty, ..options(*shape) };
            for line in &lines {
                prop_assert_eq!(texts(&options, line), expected(regex, line, skip_empty), "{:?} {}", shape, line);
            }
        }
    }
}
