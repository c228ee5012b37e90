//! The vectors of the standard and of Prometheus' own library: what must be read, and what must be refused.

use serde_json::Value;

use super::{read_openmetrics, read_text};
use crate::{
    Shape,
    invariants::{a_body_is_read_or_refused, written},
};

fn cases(json: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(json).unwrap();
    file["cases"].as_array().unwrap().clone()
}

#[test]
fn openmetrics_is_read_as_the_standard_says() {
    let cases = cases(include_str!("../../../../tests/fixtures/exposition/openmetrics.json"));
    let mut wrong = Vec::new();
    for case in &cases {
        let input = case["input"].as_str().unwrap();
        let expected = case["test"]["shouldParse"].as_bool().unwrap();
        let found = read_openmetrics(input);
        if found.is_ok() != expected {
            wrong.push(format!("{}: {input:?}: {:?}", case["id"], found.map_err(|problem| problem.to_string())));
        }
        a_body_is_read_or_refused(input.as_bytes());
    }
    assert_eq!(cases.len(), 211);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn text_is_read_as_prometheus_reads_it() {
    let cases = cases(include_str!("../../../../tests/fixtures/exposition/text.json"));
    let mut wrong = Vec::new();
    for case in &cases {
        let input = case["input"].as_str().unwrap();
        let found = read_text(input).map(|mut families| {
            families.sort_by(|one, other| one.name.cmp(&other.name));
            String::from_utf8(written(&families, Shape::Text)).unwrap()
        });
        let line = |error: &str| error.split(':').next().unwrap_or_default().rsplit(' ').next().unwrap().to_owned();
        let right = match (&found, case["observed"]["canonical"].as_str(), case["observed"]["error"].as_str()) {
            (Ok(found), Some(expected), _) => found == expected,
            (Err(found), None, Some(error)) => found.line.to_string() == line(error),
            _ => false,
        };
        if !right {
            wrong.push(format!("{}: {input:?}:\n{found:?}\n{:?}", case["id"], case["observed"]));
        }
        a_body_is_read_or_refused(input.as_bytes());
    }
    assert_eq!(cases.len(), 65);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
