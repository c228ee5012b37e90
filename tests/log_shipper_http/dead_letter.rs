//! What is refused for good.

use std::fs;

use serde_json::Value;
use test_kit::{
    Sidecar,
    elastic::{ElasticServer, Rules},
    eventually,
};

use crate::Bench;

/// A number first, so that the text after it does not fit.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.input("format: json");
    bench.append("{\"n\":1}\n{\"n\":\"two\"}\n{\"n\":3}\n{\"n\":4,\"n\":5}\n{\"n\":6}\n");
    bench
}

fn lines(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn dropped(sidecar: &Sidecar, reason: &str) -> Option<f64> {
    let sample = format!("log_shipper_dropped_records_total{{output=\"elasticsearch\",reason=\"{reason}\"}}");
    sidecar.metric(&sample)
}

#[test]
fn refused_documents_are_kept_with_the_reason_and_hold_nobody() {
    let (bench, server) = (bench(), ElasticServer::start());
    let path = bench.dir.join("dead").display().to_string();
    let sidecar = bench.elastic(&format!("url: '{}', dead_letter: {path}", server.url()));
    server.wait_documents(3);
    assert!(eventually(test_kit::PATIENCE, || lines(&path).len() == 2), "{:?}", lines(&path));
    let dead = lines(&path);
    assert_eq!((&dead[0]["document"]["n"], &dead[0]["index"]), (&"two".into(), &"logs".into()));
    assert!(dead[0]["reason"].as_str().unwrap().contains("failed to parse field [n]"), "{dead:#?}");
    assert!(dead[1]["reason"].as_str().unwrap().contains("Duplicate field"), "{dead:#?}");
    assert_eq!(dropped(&sidecar, "mapper_parsing_exception"), Some(2.0));
    assert_eq!(sidecar.metric("log_shipper_records_total{output=\"elasticsearch\"}"), Some(3.0));
}

#[test]
fn without_a_place_for_them_they_are_counted_and_said() {
    let (bench, server) = (bench(), ElasticServer::start());
    let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    server.wait_documents(3);
    let line = sidecar.wait_message("given up");
    assert_eq!((line.field("records"), line.field("reason")), ("2".into(), "mapper_parsing_exception".into()));
    assert!(line.field("why").contains("failed to parse field [n]"), "{}", line.raw);
    assert_eq!(dropped(&sidecar, "mapper_parsing_exception"), Some(2.0));
}

#[test]
fn where_they_cannot_be_kept_they_wait() {
    let (bench, server) = (bench(), ElasticServer::start());
    let path = bench.dir.join("later/dead").display().to_string();
    let sidecar = bench.elastic(&format!("url: '{}', dead_letter: {path}", server.url()));
    let line = sidecar.wait_message("not delivered");
    assert!(line.field("why").contains("later/dead: no such file or directory"), "{}", line.raw);
    server.wait_documents(3);
    assert_eq!(dropped(&sidecar, "mapper_parsing_exception"), None);
    fs::create_dir(bench.dir.join("later")).unwrap();
    sidecar.wait_message("delivers again");
    assert_eq!(lines(&path).len(), 2);
    assert_eq!(dropped(&sidecar, "mapper_parsing_exception"), Some(2.0));
}

#[test]
fn they_are_kept_in_two_files_of_bounded_size() {
    let (bench, server) = (Bench::new(), ElasticServer::start());
    bench.input("format: json");
    bench.append("{\"n\":1}\n");
    let path = bench.dir.join("dead").display().to_string();
    let output = format!("index: logs, url: '{}', dead_letter: {path}, dead_letter_bytes: 4Ki", server.url());
    let sidecar = bench.ship("elasticsearch", &output, "batch_bytes: 1Ki");
    server.wait_documents(1);
    bench.append(&(0..300).map(|number| format!("{{\"n\":\"x{number}\"}}\n")).collect::<String>());
    let all = || dropped(&sidecar, "mapper_parsing_exception") == Some(300.0);
    assert!(eventually(test_kit::PATIENCE, all), "{}", sidecar.stderr());
    for file in [path.clone(), format!("{path}.1")] {
        let size = fs::metadata(&file).unwrap().len();
        assert!(size > 0 && size <= 4096, "{file}: {size}");
    }
    assert_eq!(lines(&path).last().unwrap()["document"]["n"], "x299");
}

#[test]
fn one_document_that_is_too_large_alone_does_not_hold_the_others() {
    let rules = Rules { largest: 100_000, ..Rules::default() };
    let (bench, server) = (Bench::new(), ElasticServer::ruled(rules));
    bench.append(&format!("before\n{}\nafter\n", "x".repeat(200_000)));
    let path = bench.dir.join("dead").display().to_string();
    let sidecar = bench.elastic(&format!("url: '{}', dead_letter: {path}", server.url()));
    server.wait_documents(2);
    assert!(eventually(test_kit::PATIENCE, || dropped(&sidecar, "too_large") == Some(1.0)));
    assert_eq!(lines(&path)[0]["document"]["message"].as_str().unwrap().len(), 200_000);
}
