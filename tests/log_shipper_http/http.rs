//! Anybody who takes HTTP.

use std::{fs, io::Read, time::Duration};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use test_kit::{HookServer, Reply, Request, Sidecar, eventually};

use crate::{Bench, numbered};

impl Bench {
    #[track_caller]
    fn http(&self, output: &str) -> Sidecar {
        self.ship("http", output, "")
    }
}

fn dropped(sidecar: &Sidecar, reason: &str) -> Option<f64> {
    sidecar.metric(&format!("log_shipper_dropped_records_total{{output=\"http\",reason=\"{reason}\"}}"))
}

/// The lines of all these requests.
fn lines(requests: &[Request]) -> String {
    requests.iter().map(|request| request.body.as_str()).collect()
}

#[test]
fn lines_go_as_they_were() {
    let (bench, hook) = (Bench::with_lines(3), HookServer::start());
    let _sidecar = bench.http(&format!("url: '{}', format: raw, headers: {{X-Tenant: a}}", hook.url("/logs?k=v")));
    let requests = hook.wait_requests(1);
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", "/logs?k=v"));
    assert_eq!(requests[0].header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(requests[0].header("x-tenant"), Some("a"));
    assert_eq!(lines(&requests), "line 0\nline 1\nline 2\n");
}

#[test]
fn records_go_as_json_lines() {
    for name in ["json_lines", "ndjson"] {
        let (bench, hook) = (Bench::with_lines(2), HookServer::start());
        let _sidecar = bench.http(&format!("url: '{}', method: put, format: {name}, tag_key: tag", hook.url("/logs")));
        let requests = hook.wait_requests(1);
        assert_eq!(
            (requests[0].method.as_str(), requests[0].header("content-type")),
            ("PUT", Some("application/x-ndjson"))
        );
        let first: Value = serde_json::from_str(requests[0].body.lines().next().unwrap()).unwrap();
        assert_eq!((&first["message"], &first["tag"]), (&json!("line 0"), &json!("app")));
        assert!(first["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{first}");
        assert!(requests[0].body.ends_with("}\n"));
    }
}

#[test]
fn records_go_as_an_array_with_the_time_as_a_number() {
    let (bench, hook) = (Bench::with_lines(3), HookServer::start());
    let _sidecar = bench.http(&format!("url: '{}', format: json, time_key: date, time_format: seconds", hook.url("/")));
    let request = hook.wait_requests(1).remove(0);
    assert_eq!(request.header("content-type"), Some("application/json"));
    let records: Vec<Value> = serde_json::from_str(&request.body).unwrap();
    assert_eq!((records.len(), &records[2]["message"]), (3, &json!("line 2")));
    assert!(records[0]["date"].as_f64().is_some_and(|date| date > 1.7e9), "{records:?}");
}

#[test]
fn bodies_are_compressed() {
    for compress in ["gzip", "zstd"] {
        let (bench, hook) = (Bench::with_lines(100), HookServer::start());
        let _sidecar = bench.http(&format!("url: '{}', format: raw, compress: {compress}", hook.url("/")));
        let request = hook.wait_requests(1).remove(0);
        assert_eq!(request.header("content-encoding"), Some(compress));
        let mut plain = String::new();
        match compress {
            "gzip" => GzDecoder::new(request.bytes.as_slice()).read_to_string(&mut plain).unwrap(),
            _ => zstd::Decoder::new(request.bytes.as_slice()).unwrap().read_to_string(&mut plain).unwrap(),
        };
        assert_eq!(plain, (0..100).map(numbered).collect::<String>());
    }
}

#[test]
fn whatever_may_pass_is_tried_again_until_it_does() {
    let statuses = [408, 425, 429, 500, 502, 503, 504, 401, 403, 404];
    let (bench, hook) = (Bench::with_lines(10), HookServer::start());
    let script = statuses.map(|status| Reply::Status(status, String::new()));
    let broken = [Reply::Hang, Reply::Close, Reply::Garbage, Reply::Redirect("http://elsewhere/".into())];
    hook.answer(script.into_iter().chain(broken).chain([Reply::ok()]));
    let sidecar = bench.http(&format!("url: '{}', format: raw, timeout: 300ms", hook.url("/")));
    sidecar.wait_message("delivers again");
    let requests = hook.wait_requests(statuses.len() + 5);
    assert_eq!(requests.last().unwrap().body, (0..10).map(numbered).collect::<String>());
    assert_eq!(sidecar.metric("log_shipper_records_total{output=\"http\"}"), Some(10.0));
    assert_eq!(dropped(&sidecar, "refused"), None);
}

#[test]
fn what_counts_as_success_can_be_said() {
    let (bench, hook) = (Bench::with_lines(1), HookServer::start());
    hook.answer([Reply::Status(204, String::new()), Reply::Status(409, String::new())]);
    let sidecar = bench.http(&format!("url: '{}', success: '200,409'", hook.url("/")));
    sidecar.wait_message("delivers again");
    assert_eq!(hook.requests().len(), 2);
}

#[test]
fn retry_after_is_waited_for() {
    let (bench, hook) = (Bench::with_lines(1), HookServer::start());
    hook.answer([Reply::Header(503, "Retry-After", "1".into()), Reply::ok()]);
    let _sidecar = bench.http(&format!("url: '{}'", hook.url("/")));
    let requests = hook.wait_requests(2);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(990));
}

#[test]
fn what_is_refused_for_good_is_kept_line_by_line() {
    for (format, document) in [("raw", json!("line 1")), ("json_lines", json!(null)), ("json", json!(null))] {
        let (bench, hook) = (Bench::with_lines(3), HookServer::start());
        hook.answer([Reply::Status(422, "no such stream".into()), Reply::ok()]);
        let path = bench.dir.join("dead").display().to_string();
        let sidecar = bench.http(&format!("url: '{}', format: {format}, dead_letter: {path}", hook.url("/")));
        assert!(eventually(test_kit::PATIENCE, || dropped(&sidecar, "refused") == Some(3.0)));
        bench.append("after\n");
        assert!(hook.wait_requests(2)[1].body.contains("after"));
        let dead: Vec<Value> =
            fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(dead.len(), 3);
        assert!(dead[0]["reason"].as_str().is_some_and(|reason| reason.contains("no such stream")), "{dead:#?}");
        match document {
            Value::Null => assert_eq!(dead[1]["document"]["message"], "line 1"),
            text => assert_eq!(dead[1]["document"], text),
        }
    }
}

#[test]
fn what_is_refused_without_a_place_for_it_is_counted_and_said() {
    let (bench, hook) = (Bench::with_lines(3), HookServer::answering([Reply::Status(400, "bad".into())]));
    let sidecar = bench.http(&format!("url: '{}'", hook.url("/")));
    let line = sidecar.wait_message("given up");
    assert_eq!((line.field("records").as_str(), line.field("reason").as_str()), ("3", "refused"));
    assert!(line.field("why").contains("answered 400") && line.field("why").contains("bad"), "{}", line.raw);
    assert_eq!(dropped(&sidecar, "refused"), Some(3.0));
}

#[test]
fn which_answers_are_refusals_can_be_said() {
    let (bench, hook) = (Bench::with_lines(3), HookServer::answering([Reply::Status(404, String::new())]));
    let sidecar = bench.http(&format!("url: '{}', refused: '400-407,409-424,426-428,430-499'", hook.url("/")));
    assert!(eventually(test_kit::PATIENCE, || dropped(&sidecar, "refused") == Some(3.0)));
}

#[test]
fn a_body_that_is_too_large_goes_in_halves() {
    for (format, compress) in [("raw", "none"), ("json_lines", "gzip"), ("json", "none")] {
        let (bench, hook) = (Bench::with_lines(8), HookServer::start());
        let too_large = || Reply::Status(413, String::new());
        hook.answer([too_large(), too_large(), Reply::ok()]);
        let settings = format!("url: '{}', format: {format}, compress: {compress}", hook.url("/"));
        let sidecar = bench.http(&settings);
        let arrived = || sidecar.metric("log_shipper_records_total{output=\"http\"}") == Some(8.0);
        assert!(eventually(test_kit::PATIENCE, arrived), "{}", sidecar.stderr());
        let requests = hook.requests();
        if compress == "none" {
            let text = lines(&requests[2..]);
            let counts = (0..8).map(|number| text.matches(numbered(number).trim_end()).count());
            assert_eq!(counts.collect::<Vec<_>>(), [1; 8], "{format}: {text}");
            assert!(format != "json" || requests.iter().all(|one| serde_json::from_str::<Value>(&one.body).is_ok()));
        }
        assert_eq!(dropped(&sidecar, "too_large"), None);
    }
}

#[test]
fn a_kept_connection_that_closes_under_a_request_is_not_even_a_retry() {
    let (bench, hook) = (Bench::with_lines(1), HookServer::start());
    hook.answer([Reply::ok(), Reply::Close, Reply::ok()]);
    let sidecar = bench.http(&format!("url: '{}', format: raw", hook.url("/")));
    hook.wait_requests(1);
    bench.append(&numbered(1));
    assert_eq!(hook.wait_requests(3)[2].body, numbered(1));
    assert_eq!(sidecar.metric("log_shipper_retries_total{output=\"http\"}"), Some(0.0));
}
