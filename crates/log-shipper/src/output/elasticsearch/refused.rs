//! Documents that the server refuses for good, with where they were to go.

use http_client::Bytes;
use serde::Deserialize;

use super::{answer::Problem, body};
use crate::output::dead_letter::{Dead, Document};

/// Our own word for a document that the server does not take even alone.
pub(super) const TOO_LARGE: &str = "too_large";

/// A document with its action, as it was sent.
pub(super) fn dead(problem: &Problem, item: &Bytes) -> Dead {
    let (action, document) = body::lines(item);
    let target = target(action);
    let place = [("index", target.index), ("id", target.id)];
    Dead {
        reason: label(problem),
        why: problem.to_string(),
        place: place.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        document: Document::Json(item.slice_ref(document)),
    }
}

#[derive(Default, Deserialize)]
struct Target {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<String>,
}

/// Where it was to go.
fn target(action: &[u8]) -> Target {
    #[derive(Deserialize)]
    struct Action {
        #[serde(alias = "index")]
        create: Target,
    }
    serde_json::from_slice::<Action>(action).map(|action| action.create).unwrap_or_default()
}

/// The server's own word, where it is a known one.
fn label(problem: &Problem) -> &'static str {
    const KNOWN: [&str; 10] = [
        "mapper_parsing_exception",
        "document_parsing_exception",
        "strict_dynamic_mapping_exception",
        "illegal_argument_exception",
        "invalid_index_name_exception",
        "index_not_found_exception",
        "x_content_parse_exception",
        "json_parse_exception",
        "action_request_validation_exception",
        TOO_LARGE,
    ];
    KNOWN.into_iter().find(|known| *known == problem.kind).unwrap_or("refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_told_with_its_index_and_id() {
        let problem = Problem { status: 400, kind: "mapper_parsing_exception".into(), reason: "no".into() };
        let item = Bytes::from("{\"index\":{\"_index\":\"a\",\"_id\":\"7\"}}\n{\"m\":1}\n");
        let dead = dead(&problem, &item);
        assert_eq!((dead.reason, dead.why.as_str()), ("mapper_parsing_exception", "400 mapper_parsing_exception: no"));
        assert_eq!(dead.place, [("index", "a".to_owned()), ("id", "7".to_owned())]);
        assert!(matches!(dead.document, Document::Json(bytes) if bytes == "{\"m\":1}\n"));
    }

    #[test]
    fn labels_are_few() {
        let problem = |kind: &str| Problem { status: 400, kind: kind.into(), reason: String::new() };
        assert_eq!(label(&problem("mapper_parsing_exception")), "mapper_parsing_exception");
        assert_eq!(label(&problem("something_new_exception")), "refused");
    }
}
