//! What is written reads back, by a decoder that is not ours.

use proptest::{collection::vec, prelude::*};
use rmpv::{Value as Packed, decode::read_value};

use super::*;
use crate::record::{Json, Origin};

fn origin(fields: &[(&str, &str)]) -> Origin {
    let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Origin { tag: "t".into(), path: "/p".into(), fields, line_key: "log".into() }
}

fn packed(origin: &Origin, raw: &[u8], body: Body<'_>) -> Packed {
    let mut bytes = Vec::new();
    record(&Record { origin, file: 0, offset: 0, raw, time: Time(0), body }, &mut Vec::new(), &mut bytes);
    let mut rest = bytes.as_slice();
    let value = read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    value
}

/// What JSON says in MessagePack, by the way of a tree.
fn wanted(json: &serde_json::Value) -> Packed {
    match json {
        serde_json::Value::Null => Packed::Nil,
        serde_json::Value::Bool(value) => Packed::from(*value),
        serde_json::Value::String(text) => Packed::from(text.as_str()),
        serde_json::Value::Array(items) => Packed::Array(items.iter().map(wanted).collect()),
        serde_json::Value::Object(members) => {
            Packed::Map(members.iter().map(|(name, value)| (Packed::from(name.as_str()), wanted(value))).collect())
        }
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Packed::from(number),
            (_, Some(number)) => Packed::from(number),
            _ => Packed::from(number.as_f64().unwrap()),
        },
    }
}

fn as_json(members: [&str; 2]) -> Packed {
    let raw = format!("{{{}}}", members.join(""));
    packed(&origin(&[]), raw.as_bytes(), Body::Json(Json { members, has_timestamp: false }))
}

#[test]
fn a_line_is_one_field_after_those_of_its_origin() {
    let value = packed(&origin(&[("host", "h")]), b"", Body::Line(b"a\xffb"));
    let entries = value.as_map().unwrap();
    assert_eq!(entries[0], ("host".into(), "h".into()));
    let Packed::String(line) = &entries[1].1 else { panic!("{value}") };
    assert_eq!((entries[1].0.as_str(), line.as_bytes()), (Some("log"), b"a\xffb".as_slice()));
}

#[test]
fn fields_keep_their_types() {
    let fields = [
        ("text", Value::Text("x")),
        ("integer", Value::Integer(-3)),
        ("float", Value::Float(0.5)),
        ("bool", Value::Bool(true)),
        ("json", Value::Json(r#"{"a":[1,{}]}"#)),
        ("null", Value::Null),
    ];
    let fields = fields.map(|(name, value)| Field { name, value });
    let value = packed(&origin(&[]), b"", Body::Fields(&fields));
    let said = serde_json::json!(
        {"text": "x", "integer": -3, "float": 0.5, "bool": true, "json": {"a": [1, {}]}, "null": null});
    for (name, value) in value.as_map().unwrap() {
        assert_eq!(*value, wanted(&said[name.as_str().unwrap()]), "{name}");
    }
    assert_eq!(value.as_map().unwrap().len(), 6);
}

#[test]
fn json_is_taken_member_by_member_from_both_pieces() {
    let value = as_json([r#""a":1,"b":"x\ny""#, r#""c":[true,null]"#]);
    assert_eq!(value, wanted(&serde_json::json!({"a": 1, "b": "x\ny", "c": [true, null]})));
    assert_eq!(as_json(["", ""]), Packed::Map(Vec::new()));
}

#[test]
fn numbers_stay_what_they_are_as_far_as_they_can() {
    for (written, value) in [
        ("0", Packed::from(0)),
        ("-0", Packed::from(0)),
        ("999999999999999999", Packed::from(999_999_999_999_999_999_i64)),
        ("-9223372036854775808", Packed::from(i64::MIN)),
        ("18446744073709551615", Packed::from(u64::MAX)),
        ("18446744073709551616", Packed::from(2f64.powi(64))),
        ("1.0", Packed::from(1.0)),
        ("-2.5e-3", Packed::from(-0.0025)),
    ] {
        let members = format!("\"n\":{written}");
        assert_eq!(as_json([&members, ""]), Packed::Map(vec![("n".into(), value)]), "{written}");
    }
}

#[test]
fn what_is_no_json_after_all_stays_a_line() {
    for members in ["\"a\":", "\"a\":[1", "\"a\":1}", "\"a\":[\"b\":1]", "nonsense", "1", "\"a\":\"b\":1"] {
        let value = packed(&origin(&[]), b"raw", Body::Json(Json { members: [members, ""], has_timestamp: false }));
        assert_eq!(value, Packed::Map(vec![("log".into(), "raw".into())]), "{members}");
    }
}

#[test]
fn large_objects_have_large_lengths() {
    for count in [15, 16, 65_535, 65_536] {
        let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":[{n}]")).collect();
        let value = as_json([&members.join(","), ""]);
        assert_eq!(value.as_map().map(Vec::len), Some(count), "{count}");
        let items = format!("\"a\":[{}]", vec!["0"; count].join(","));
        let value = as_json([&items, ""]);
        assert_eq!(value["a"].as_array().map(Vec::len), Some(count), "{count}");
    }
}

#[test]
fn times_are_of_the_protocols_own_type() {
    for (time, bytes) in [
        (1_795_238_396_154_000_001, [0xd7, 0, 0x6b, 0x01, 0x29, 0xfc, 0x09, 0x2d, 0xda, 0x81]),
        (-1, [0xd7, 0, 0, 0, 0, 0, 0x3b, 0x9a, 0xc9, 0xff]),
    ] {
        let mut body = Vec::new();
        event_time(Time(time), &mut body);
        assert_eq!(body, bytes);
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,50}".prop_map(serde_json::Value::String),
        "[\"\\\\\n\u{1f600}a]{0,300}".prop_map(serde_json::Value::String),
    ];
    leaf.prop_recursive(4, 48, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(serde_json::Value::Array),
            vec((".{0,6}", inner), 0..20).prop_map(|all| serde_json::Value::Object(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_says_the_same_in_messagepack(members in vec((".{0,6}", any_json()), 0..20), pretty in any::<bool>()) {
        let value = serde_json::Value::Object(members.into_iter().collect());
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap();
        // As the parser reads it: without what is around the members.
        prop_assert_eq!(as_json([inside.trim(), ""]), wanted(&value));
    }

    #[test]
    fn whatever_the_text_is_the_message_is_valid(members in "[\\[\\]{}\",:0-9at\\\\ ]{0,40}") {
        packed(&origin(&[]), b"raw", Body::Json(Json { members: [&members, ""], has_timestamp: false }));
    }

    #[test]
    fn lengths_are_of_any_size(length in prop_oneof![0..300_usize, 65_500..65_600_usize], number in any::<i64>()) {
        let mut body = Vec::new();
        text(&vec![b'x'; length], &mut body);
        integer(number, &mut body);
        let mut rest = body.as_slice();
        prop_assert_eq!(read_value(&mut rest).unwrap().as_str().map(str::len), Some(length));
        prop_assert_eq!(read_value(&mut rest).unwrap().as_i64(), Some(number));
    }
}
