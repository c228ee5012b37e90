//! What a document may be: one JSON object, no name twice, fields of the kind that they have been.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What a field is since its first value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Boolean,
    Text,
    Object,
    Date,
}

/// A type of error and a reason, as the real one has them.
type Problem = (&'static str, String);

pub(super) fn read(line: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(line) {
        Ok(Strict(Value::Object(members))) => Ok(members),
        Ok(_) => Err(("mapper_parsing_exception", "failed to parse".into())),
        Err(error) if error.to_string().starts_with("Duplicate field") => {
            Err(("mapper_parsing_exception", format!("failed to parse: {error}")))
        }
        Err(error) => Err(("mapper_parsing_exception", format!("failed to parse: {error}"))),
    }
}

/// Learns what the fields of an index are.
pub(super) fn fits(
    index: &str,
    source: &Map<String, Value>,
    mappings: &mut BTreeMap<(String, String), Kind>,
) -> Result<(), Problem> {
    let mut learnt = Vec::new();
    for (name, value) in source {
        let Some(kind) = kind(name, value) else { continue };
        let place = (index.to_owned(), name.clone());
        match (mappings.get(&place), value) {
            (None, Value::String(text)) if kind == Kind::Date && !is_date(text) => {
                return Err(unfit(name, "date", value));
            }
            (None, _) => learnt.push((place, kind)),
            (Some(Kind::Date), Value::String(text)) if !is_date(text) => return Err(unfit(name, "date", value)),
            (Some(Kind::Number), Value::String(text)) if text.parse::<f64>().is_err() => {
                return Err(unfit(name, "long", value));
            }
            (Some(Kind::Boolean), _) if kind != Kind::Boolean => return Err(unfit(name, "boolean", value)),
            (Some(known), _) if (*known == Kind::Object) != (kind == Kind::Object) => {
                return Err(unfit(name, "object", value));
            }
            _ => {}
        }
    }
    mappings.extend(learnt);
    Ok(())
}

fn unfit(name: &str, kind: &str, value: &Value) -> Problem {
    ("mapper_parsing_exception", format!("failed to parse field [{name}] of type [{kind}]. Preview: '{value}'"))
}

fn kind(name: &str, value: &Value) -> Option<Kind> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(Kind::Boolean),
        Value::Number(_) => Some(Kind::Number),
        Value::String(_) if name == "@timestamp" => Some(Kind::Date),
        Value::String(_) => Some(Kind::Text),
        Value::Array(values) => kind(name, values.first()?),
        Value::Object(_) => Some(Kind::Object),
    }
}

/// `2026-11-21T05:13:16.154Z`, as far as a test would get it wrong.
fn is_date(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    ["0000-00-00T00:00:00.000Z", "0000-00-00T00:00:00Z", "0000-00-00"].contains(&shape.as_str())
}

/// JSON in which no object says the same name twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Strict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
                Ok(Strict(Number::from_f64(value).map_or(Value::Null, Value::Number)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Strict, E> {
                Ok(Strict(Value::Null))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut values: S) -> Result<Strict, S::Error> {
                let mut list = Vec::new();
                while let Some(Strict(value)) = values.next_element()? {
                    list.push(value);
                }
                Ok(Strict(list.into()))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Strict, M::Error> {
                let mut map = Map::new();
                while let Some((name, Strict(value))) = members.next_entry::<String, _>()? {
                    if map.insert(name.clone(), value).is_some() {
                        return Err(M::Error::custom(format!("Duplicate field '{name}'")));
                    }
                }
                Ok(Strict(map.into()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
