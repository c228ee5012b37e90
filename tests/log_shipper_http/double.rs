//! The double answers as the real one does. What is expected here is what OpenSearch 2.19.1 answered. With
//! `ELASTIC_REAL=127.0.0.1:9200` the same is asked of a real one there.

use std::net::SocketAddr;

use serde_json::Value;
use test_kit::{
    elastic::{ElasticServer, Rules, Version},
    http,
};

const NDJSON: &[(&str, &str)] = &[("Content-Type", "application/x-ndjson")];
const ONE: &str = "{\"create\":{\"_index\":\"probe\",\"_id\":\"1\"}}\n{\"m\":1}\n";

/// The status, and of each item its status, or of the whole request the type of the error.
fn asked(addr: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let answer = http::request(addr, "POST", path, headers, body).unwrap();
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let item = |item: &Value| {
        let (op, outcome) = item.as_object().unwrap().iter().next().unwrap();
        let kind = outcome["error"]["type"].as_str().unwrap_or_default();
        format!("{op} {} {kind}", outcome["status"]).trim_end().to_owned()
    };
    let what = match (&told["items"], &told["error"]["reason"], &told["error"]) {
        (Value::Array(items), ..) => items.iter().map(item).collect::<Vec<_>>().join(", "),
        (_, Value::String(reason), error) => format!("{}: {reason}", error["type"].as_str().unwrap()),
        (.., Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    format!("{} {what}", answer.status)
}

#[test]
fn it_answers_as_the_real_one_did() {
    let rules = Rules { version: Version::OpenSearch, data_streams: vec!["ds-".into()], ..Rules::default() };
    let double = ElasticServer::ruled(rules);
    let real = std::env::var("ELASTIC_REAL").ok();
    let addr = real.map_or(double.addr(), |addr| addr.parse().unwrap());
    let create = |index: &str, id: &str, document: &str| {
        format!("{{\"create\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}\n{document}\n")
    };
    let mixed = [
        create("probe", "2", "{\"m\":1}"),
        create("probe", "1", "{\"m\":1}"),
        create("probe", "3", "{\"m\":\"text\"}"),
        create("Probe", "4", "{\"m\":1}"),
        create("_probe", "4", "{\"m\":1}"),
        create("probe", "5", "\"text\""),
        create("probe", "6", "{\"m\":1,\"m\":2}"),
        create("probe", "7", "{broken"),
    ];
    let streamed = [
        create("ds-probe", "1", "{\"@timestamp\":\"2026-11-21T05:13:16.154Z\"}"),
        create("ds-probe", "1", "{\"@timestamp\":\"2026-11-21T05:13:16.154Z\"}"),
        create("ds-probe", "2", "{\"@timestamp\":\"2026-11-21T05:13:16.154Z\"}").replace("create", "index"),
        create("ds-probe", "3", "{\"m\":1}"),
    ];
    let text: &[(&str, &str)] = &[("Content-Type", "text/plain")];
    for (path, headers, body, wanted) in [
        ("/_bulk", NDJSON, ONE.to_owned(), "200 create 201"),
        ("/_bulk", NDJSON, ONE.to_owned(), "200 create 409 version_conflict_engine_exception"),
        ("/_bulk", text, ONE.to_owned(), "406 Content-Type header [text/plain] is not supported"),
        ("/_bulk", NDJSON, String::new(), "400 parse_exception: request body is required"),
        (
            "/_bulk",
            NDJSON,
            ONE.trim_end().to_owned(),
            "400 illegal_argument_exception: The bulk request must be terminated by a newline [\\n]",
        ),
        (
            "/_bulk",
            NDJSON,
            "[\"a\"]\n{}\n".into(),
            "400 illegal_argument_exception: Malformed action/metadata line [1], expected START_OBJECT but found [START_ARRAY]",
        ),
        (
            "/_bulk",
            NDJSON,
            ONE.replace("create", "make"),
            "400 illegal_argument_exception: Malformed action/metadata line [1], expected one of [create, delete, index, \
             update] but found [make]",
        ),
        (
            "/_bulk",
            NDJSON,
            ONE.replace(",\"_id\"", ",\"_type\":\"_doc\",\"_id\""),
            "400 illegal_argument_exception: Action/metadata line [1] contains an unknown parameter [_type]",
        ),
        (
            "/_bulk",
            NDJSON,
            "{\"create\":{\"_id\":\"1\"}}\n{}\n".into(),
            "400 action_request_validation_exception: Validation Failed: 1: index is missing;",
        ),
        (
            "/_bulk?nope=1",
            NDJSON,
            ONE.to_owned(),
            "400 illegal_argument_exception: request [/_bulk] contains unrecognized parameter: [nope]",
        ),
        ("/_bulk?pipeline=nope", NDJSON, create("probe", "8", "{}"), "200 create 400 illegal_argument_exception"),
        ("/es/_bulk/x", NDJSON, ONE.to_owned(), "400 no handler found for uri [/es/_bulk/x] and method [POST]"),
        (
            "/_bulk?filter_path=errors,items.*.status,items.*.error",
            NDJSON,
            mixed.concat(),
            "200 create 201, create 409 version_conflict_engine_exception, create 400 mapper_parsing_exception, create 400 \
             invalid_index_name_exception, create 400 invalid_index_name_exception, create 400 mapper_parsing_exception, \
             create 400 mapper_parsing_exception, create 400 mapper_parsing_exception",
        ),
        (
            "/_bulk",
            NDJSON,
            streamed.concat(),
            "200 create 201, create 409 version_conflict_engine_exception, index 400 illegal_argument_exception, create \
             400 mapper_parsing_exception",
        ),
    ] {
        assert_eq!(asked(addr, path, headers, &body), wanted, "{path} {body}");
    }
}

#[test]
fn the_old_one_demands_types() {
    // No such server could be had: the words are those that users of 6.8 quote (elastic/elasticsearch#93762).
    let double = ElasticServer::ruled(Rules { version: Version::Six, ..Rules::default() });
    let wanted = "400 action_request_validation_exception: Validation Failed: 1: type is missing;2: type is missing;";
    let body = [ONE, &ONE.replace("\"1\"", "\"2\"")].concat();
    assert_eq!(asked(double.addr(), "/_bulk", NDJSON, &body), wanted);
    let typed = ONE.replace(",\"_id\"", ",\"_type\":\"_doc\",\"_id\"");
    assert_eq!(asked(double.addr(), "/_bulk", NDJSON, &typed), "200 create 201");
}
