//! What documents are like, and what becomes of each.

use std::time::Duration;

use serde_json::json;
use test_kit::{
    Line, Signal,
    elastic::{ElasticServer, Fault, Rules, Version},
};

use crate::{Bench, assert_each_once, numbered};

#[test]
fn a_line_is_a_document_with_its_time_and_an_id() {
    let (bench, server) = (Bench::with_lines(2), ElasticServer::start());
    let _sidecar = bench.elastic(&format!("url: '{}', tag_key: from", server.url()));
    let documents = server.wait_documents(2);
    assert_eq!((documents[0].index.as_str(), &documents[0].source["message"]), ("logs", &json!("line 0")));
    assert_eq!(documents[0].source["from"], "app");
    assert!(documents[0].source["@timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    assert!(documents[0].id.len() == 24 && documents[0].id != documents[1].id, "{documents:#?}");
    let call = &server.calls()[0];
    assert_eq!((call.method.as_str(), call.header("content-type")), ("POST", Some("application/x-ndjson")));
}

#[test]
fn an_index_is_named_by_date_tag_and_field() {
    let (bench, server) = (Bench::new(), ElasticServer::start());
    bench.input("format: json");
    bench.append(concat!(
        "{\"service\":\"Order Desk\",\"@timestamp\":\"2026-11-21T05:13:16.154Z\"}\n",
        "{\"service\":\"cart\",\"@timestamp\":\"2026-11-22T05:13:16.154Z\"}\n",
        "{\"@timestamp\":\"2026-11-22T05:13:16.154Z\"}\n",
    ));
    let index = "index: '{tag}-{service:other}-%Y', url: ";
    let _sidecar = bench.ship("opensearch", &format!("{index}'{}'", server.url()), "");
    let year = jiff::Timestamp::now().strftime("%Y").to_string();
    let names: Vec<_> = server.wait_documents(3).into_iter().map(|one| one.index).collect();
    assert_eq!(names, [format!("app-order-desk-{year}"), format!("app-cart-{year}"), format!("app-other-{year}")]);
}

#[test]
fn json_over_several_lines_is_one_document() {
    let (bench, server) = (Bench::new(), ElasticServer::start());
    bench.input("format: json\n    multiline: {start: '^\\{'}\n    multiline_wait: 100ms");
    bench.append("{\n  \"a\": {\n    \"b\": \"c\\nd\"\n  }\n}\n{\"a\":\n{}}\n");
    let _sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    let documents = server.wait_documents(2);
    assert_eq!(documents[0].source["a"], json!({"b": "c\nd"}));
}

#[test]
fn a_data_stream_takes_documents_with_ids_once() {
    let rules = Rules { data_streams: vec!["logs-".into()], ..Rules::default() };
    let (bench, server) = (Bench::with_lines(100), ElasticServer::ruled(rules));
    server.fail([Fault::CloseAfter, Fault::None]);
    let output = format!("url: '{}', index: logs-app-prod, data_stream: true", server.url());
    let _sidecar = bench.ship("elasticsearch", &output, "");
    server.wait_calls(2);
    assert_each_once(&server.wait_documents(100), 100);
}

#[test]
fn documents_go_through_the_pipeline() {
    let rules = Rules { pipelines: vec!["my%2Dpipe".into()], ..Rules::default() };
    let (bench, server) = (Bench::with_lines(1), ElasticServer::ruled(rules));
    let _sidecar = bench.elastic(&format!("url: '{}', pipeline: my-pipe", server.url()));
    server.wait_documents(1);
}

#[test]
fn a_pipeline_that_is_not_there_yet_loses_nothing() {
    let (bench, server) = (Bench::with_lines(10), ElasticServer::start());
    let sidecar = bench.elastic(&format!("url: '{}', pipeline: p", server.url()));
    let line = sidecar.wait_message("not delivered");
    assert!(line.field("why").contains("pipeline with id [p] does not exist"), "{}", line.raw);
    server.wait_calls(3);
    assert_eq!(sidecar.metric("log_shipper_records_total{output=\"elasticsearch\"}"), Some(0.0));
}

#[test]
fn a_server_that_refuses_types_gets_none_and_nothing_is_lost() {
    for (version, compress) in [(Version::Eight, "gzip"), (Version::Eight, "none"), (Version::OpenSearch, "zstd")] {
        let (bench, server) = (Bench::with_lines(500), ElasticServer::ruled(Rules { version, ..Rules::default() }));
        let sidecar = bench.ship(
            "elasticsearch",
            &format!("index: logs, url: '{}', type: _doc, compress: {compress}", server.url()),
            "batch_bytes: 10Ki",
        );
        assert_each_once(&server.wait_documents(500), 500);
        let refused = |line: &Line| line.message().starts_with("the server refuses _type");
        assert_eq!(sidecar.wait_log(refused).level(), "WARN");
        assert_eq!(sidecar.logs().iter().filter(|line| refused(line)).count(), 1);
    }
}

#[test]
fn a_server_that_demands_types_gets_them_and_nothing_is_lost() {
    let rules = Rules { version: Version::Six, ..Rules::default() };
    let (bench, server) = (Bench::with_lines(500), ElasticServer::ruled(rules));
    let output = format!("index: logs, url: '{}', compress: gzip", server.url());
    let sidecar = bench.ship("elasticsearch", &output, "batch_bytes: 10Ki");
    assert_each_once(&server.wait_documents(500), 500);
    sidecar.wait_log(|line| line.message().starts_with("the server demands _type"));
}

#[test]
fn only_the_documents_that_failed_are_sent_again() {
    for (status, kind) in [(429, "es_rejected_execution_exception"), (503, "unavailable_shards_exception")] {
        let (bench, server) = (Bench::with_lines(1000), ElasticServer::start());
        server.fail([Fault::Items(10, status, kind), Fault::Items(10, status, kind), Fault::None]);
        let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
        assert_each_once(&server.wait_documents(1000), 1000);
        let sent: Vec<_> = server.wait_calls(3).iter().map(|call| call.documents).collect();
        assert_eq!(sent, [1000, 100, 10], "{status}");
        let line = sidecar.wait_message("delivers again");
        assert_eq!(line.level(), "INFO");
        // Counted a moment after it is said.
        let counted = || sidecar.metric("log_shipper_records_total{output=\"elasticsearch\"}");
        assert!(test_kit::eventually(test_kit::PATIENCE, || counted() == Some(1000.0)), "{:?}", counted());
    }
}

#[test]
fn what_is_sent_twice_is_there_once() {
    let (bench, server) = (Bench::with_lines(3000), ElasticServer::start());
    let output = format!("index: logs, url: '{}'", server.url());
    let sidecar = bench.ship("elasticsearch", &output, "batch_bytes: 20Ki");
    server.wait_documents(500);
    sidecar.kill9();
    sidecar.wait_exit();
    // Not even where it was is remembered.
    std::fs::remove_file(bench.dir.join("positions")).unwrap();
    let sidecar = bench.ship("elasticsearch", &output, "batch_bytes: 20Ki");
    bench.append(&numbered(3000));
    server.wait_documents(3001);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    assert_each_once(&server.documents(), 3001);
    assert_eq!(sidecar.logs().iter().filter(|line| line.level() == "ERROR").count(), 0);
}

#[test]
fn what_was_copied_and_cut_before_it_was_acknowledged_keeps_its_ids() {
    let (bench, server) = (Bench::with_lines(50), ElasticServer::start());
    server.fail([Fault::Slow(Duration::from_secs(600))]);
    let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    server.wait_documents(50);
    sidecar.kill9();
    sidecar.wait_exit();
    let log = bench.dir.join("app.log");
    std::fs::copy(&log, bench.dir.join("app.log.1")).unwrap();
    std::fs::write(&log, "").unwrap();
    bench.append(&numbered(50));
    let _sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    server.wait_documents(51);
    assert_each_once(&server.documents(), 51);
    let sent = || server.calls().iter().map(|call| call.documents).sum::<usize>();
    assert!(test_kit::eventually(test_kit::PATIENCE, || sent() == 101), "{}", sent());
}

#[test]
fn a_request_that_is_too_large_is_split_and_the_server_is_not_asked_so_much_again() {
    for slams in [false, true] {
        let rules = Rules { largest: 150_000, slams, ..Rules::default() };
        let (bench, server) = (Bench::with_lines(20_000), ElasticServer::ruled(rules));
        let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
        assert_each_once(&server.wait_documents(20_000), 20_000);
        let sizes: Vec<_> = server.calls().iter().map(|call| call.bytes).collect();
        let too_large = sizes.iter().filter(|bytes| **bytes > 150_000).count();
        assert!(too_large <= 6, "{sizes:?}");
        sidecar.wait_message("the server takes no requests so large (batch_bytes)");
    }
}

#[test]
fn compressed_bodies_are_understood() {
    for (compress, version) in [("gzip", Version::Eight), ("zstd", Version::OpenSearch)] {
        let (bench, server) = (Bench::with_lines(5000), ElasticServer::ruled(Rules { version, ..Rules::default() }));
        server.fail([Fault::Items(7, 429, "circuit_breaking_exception"), Fault::None]);
        let _sidecar = bench.elastic(&format!("url: '{}', compress: {compress}", server.url()));
        assert_each_once(&server.wait_documents(5000), 5000);
        let calls = server.calls();
        assert!(calls.iter().all(|call| call.header("content-encoding") == Some(compress)), "{calls:#?}");
        assert!(calls[0].bytes < 5000 * 30, "{} bytes", calls[0].bytes);
    }
}
