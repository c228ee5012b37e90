//! Lines that are JSON, beside what serde_json makes of them.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::parse::time::Format;

fn options(name: &str, keep: bool) -> Options {
    let format = Format::new("rfc3339").unwrap();
    Options { time: Some(TimeField { name: name.into(), format, keep }) }
}

/// The pieces, whether it has a timestamp, and the time in seconds.
fn parsed<'a>(options: &Options, line: &'a str) -> Option<([&'a str; 2], bool, Option<i64>)> {
    match parse(options, line) {
        Parsed::Json { json, time } => {
            Some((json.members, json.has_timestamp, time.map(|time| time.0 / 1_000_000_000)))
        }
        _ => None,
    }
}

/// The object that an output writes.
fn written(members: [&str; 2]) -> String {
    let pieces: Vec<_> = members.into_iter().filter(|piece| !piece.is_empty()).collect();
    format!("{{{}}}", pieces.join(","))
}

#[test]
fn members_stay_as_they_were_written() {
    for (line, members) in [
        ("{}", ""),
        (" \t{ } \r\n", ""),
        (r#"{"a":1}"#, r#""a":1"#),
        (r#"{ "a" : 1 , "b" : [ 1, {"c":null} ] }"#, r#""a" : 1 , "b" : [ 1, {"c":null} ]"#),
        (r#"{"é":"\u00e9\ud83d\ude00","a":-0.5e-7}"#, r#""é":"\u00e9\ud83d\ude00","a":-0.5e-7"#),
        (r#"{"":""}"#, r#""":"""#),
        (r#"{"a":[],"b":{},"c":[[]],"d":[{}]}"#, r#""a":[],"b":{},"c":[[]],"d":[{}]"#),
        ("{\"a\":\"\u{7f}\u{2028}\"}", "\"a\":\"\u{7f}\u{2028}\""),
    ] {
        assert_eq!(parsed(&Options::default(), line), Some(([members, ""], false, None)), "{line}");
    }
}

#[test]
fn what_is_no_object_is_not_taken() {
    let deep = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    let unclosed = format!(r#"{{"a":"{}"#, "x".repeat(1 << 20));
    let open = format!(r#"{{"a":{}"#, "[".repeat(1 << 20));
    let digits = format!(r#"{{"a":{}}}"#, "9".repeat(400));
    let bad = [
        "",
        " ",
        "null",
        "1",
        "\"a\"",
        "[]",
        r#"[{"a":1}]"#,
        "{",
        "}",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1}}"#,
        r#"{"a":1}x"#,
        r#"{"a":1} {"b":2}"#,
        r#"{a:1}"#,
        r#"{'a':1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":-}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":1.}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e+}"#,
        r#"{"a":1e999}"#,
        r#"{"a":0x1}"#,
        r#"{"a":tru}"#,
        r#"{"a":truex}"#,
        r#"{"a":True}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\n"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\"}"#,
        "{\"a\":\"\t\"}",
        "{\"a\":\"\0\"}",
        "{\"a\n\":1}",
        "\u{feff}{}",
        "{\u{a0}}",
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a":[1}}"#,
        r#"{"a":{"b":1]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":{"b"}}"#,
        r#"{"a":{,}}"#,
        r#"{"a":1"#,
        r#"{"a""#,
        r#"{"a":"#,
        r#"{"\uD800":1}"#,
        &deep(127),
        &unclosed,
        &open,
        &digits,
    ];
    for line in bad {
        let short = &line[..line.len().min(60)];
        assert_eq!(parse(&Options::default(), line), Parsed::Not, "{short}");
        assert!(serde_json::from_str::<Map<String, Value>>(line).is_err(), "{short}");
    }
    let good = deep(126);
    assert!(parsed(&Options::default(), &good).is_some() && serde_json::from_str::<Value>(&good).is_ok());
}

#[test]
fn the_time_is_cut_out() {
    const AT: i64 = 1_795_237_996;
    for (line, pieces, time) in [
        (r#"{"time":"2026-11-21T05:13:16Z"}"#, ["", ""], Some(AT)),
        (r#"{ "time" : "2026-11-21T05:13:16Z" }"#, ["", ""], Some(AT)),
        (r#"{"time":"2026-11-21T05:13:16Z" , "a":1}"#, ["", r#""a":1"#], Some(AT)),
        (r#"{ "a":1 , "time":"2026-11-21T05:13:16Z" }"#, [r#""a":1"#, ""], Some(AT)),
        (r#"{"a":1, "time" :"2026-11-21T05:13:16Z","b":2 ,"c":3}"#, [r#""a":1"#, r#""b":2 ,"c":3"#], Some(AT)),
        (r#"{"a":1,"t\u0069me":"2026\u002d11-21T05:13:16Z"}"#, [r#""a":1"#, ""], Some(AT)),
        // What is no time stays, and so does a second one.
        (r#"{"time":"today","a":1}"#, [r#""time":"today","a":1"#, ""], None),
        (r#"{"time":null,"a":1}"#, [r#""time":null,"a":1"#, ""], None),
        (r#"{"time":{"time":"2026-11-21T05:13:16Z"}}"#, [r#""time":{"time":"2026-11-21T05:13:16Z"}"#, ""], None),
        (
            r#"{"time":"2026-11-21T05:13:16Z","time":"2027-11-21T05:13:16Z"}"#,
            ["", r#""time":"2027-11-21T05:13:16Z""#],
            Some(AT),
        ),
        (r#"{"time":1,"time":"2026-11-21T05:13:16Z"}"#, [r#""time":1"#, ""], Some(AT)),
        (r#"{"times":"2026-11-21T05:13:16Z"}"#, [r#""times":"2026-11-21T05:13:16Z""#, ""], None),
    ] {
        assert_eq!(parsed(&options("time", false), line), Some((pieces, false, time)), "{line}");
        let inside = line[1..line.len() - 1].trim();
        assert_eq!(parsed(&options("time", true), line), Some(([inside, ""], false, time)), "{line}");
    }
    // Not even a valid time makes an invalid line a record.
    assert_eq!(parsed(&options("time", false), r#"{"time":"2026-11-21T05:13:16Z",}"#), None);
}

#[test]
fn a_time_can_be_a_number() {
    let format = Format::new("float").unwrap();
    let options = Options { time: Some(TimeField { name: "ts".into(), format, keep: false }) };
    assert_eq!(
        parse(&options, r#"{"ts":1795237996.25,"a":1}"#),
        Parsed::Json {
            json: Json { members: ["", r#""a":1"#], has_timestamp: false },
            time: Some(Time(1_795_237_996_250_000_000))
        }
    );
}

#[test]
fn a_timestamp_of_its_own_is_seen() {
    for (line, has) in [
        (r#"{"@timestamp":"x"}"#, true),
        (r#"{"a":1,"\u0040timestamp":1}"#, true),
        (r#"{"a":{"@timestamp":1}}"#, false),
        (r#"{"a":"@timestamp"}"#, false),
        (r#"{"timestamp":1}"#, false),
    ] {
        assert_eq!(parsed(&Options::default(), line).map(|(_, has, _)| has), Some(has), "{line}");
    }
    for (line, keep, has) in [
        (r#"{"@timestamp":"2026-11-21T05:13:16Z"}"#, false, false),
        (r#"{"@timestamp":"2026-11-21T05:13:16Z"}"#, true, true),
        (r#"{"@timestamp":"2026-11-21T05:13:16Z","@timestamp":1}"#, false, true),
        (r#"{"@timestamp":"no time"}"#, false, true),
    ] {
        assert_eq!(parsed(&options("@timestamp", keep), line).map(|(_, has, _)| has), Some(has), "{line}");
    }
}

/// What a JSON text is made of, with mistakes: most of what comes of it is nearly JSON.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"time\"",
        "\"@timestamp\":",
        "\"\\u0061\"",
        "\\",
        "\\u",
        "d83d",
        "\\ude00",
        "1",
        "-",
        "0",
        ".5",
        "e",
        "E+9",
        "999",
        "true",
        "null",
        "false",
        " ",
        "\t",
        "\n",
        "\0",
        "é",
        "NaN",
        "\"2026-11-21T05:13:16Z\"",
        "\"k\":1",
        "\"k\":{}",
        "\"k\":[1,2]",
        "\"k\":\"v\"",
    ]);
    let soup = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    (soup, any::<bool>()).prop_map(|(soup, wrapped)| if wrapped { format!("{{{soup}}}") } else { soup })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![Just("time".to_owned()), Just("@timestamp".to_owned()), ".{0,6}"];
    prop::collection::btree_map(name, json(), 0..6).prop_map(|members| members.into_iter().collect())
}

fn agrees(options: &Options, line: &str) -> Result<(), TestCaseError> {
    let Ok(mut expected) = serde_json::from_str::<Map<String, Value>>(line) else {
        prop_assert_eq!(parse(options, line), Parsed::Not, "{}", line);
        return Ok(());
    };
    let Some((members, has_timestamp, time)) = parsed(options, line) else {
        return Err(TestCaseError::fail(format!("refused {line}")));
    };
    let got: Map<String, Value> = serde_json::from_str(&written(members))
        .map_err(|error| TestCaseError::fail(format!("{} of {line}: {error}", written(members))))?;
    prop_assert_eq!(has_timestamp, got.contains_key("@timestamp"), "{}", line);
    if time.is_some() && !got.contains_key("time") {
        expected.remove("time");
    }
    prop_assert_eq!(got, expected, "{}", line);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn it_takes_what_serde_json_takes(line in nearly_json()) {
        agrees(&Options::default(), &line)?;
        agrees(&options("time", false), &line)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn objects_survive(object in object(), pretty in any::<bool>()) {
        let line = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
        agrees(&options("time", false), &line.unwrap())?;
    }

    #[test]
    fn objects_with_a_byte_changed_are_judged_alike(object in object(), at in any::<prop::sample::Index>(),
                                                    byte in 0u8..128) {
        let mut line = serde_json::to_string(&object).unwrap().into_bytes();
        let at = at.index(line.len());
        line[at] = byte;
        if let Ok(line) = String::from_utf8(line) {
            agrees(&options("time", false), &line)?;
        }
    }
}
