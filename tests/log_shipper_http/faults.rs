//! Servers as they are on bad days: nothing is lost, nothing is there twice, nothing spins.

use std::time::Duration;

use test_kit::{
    Signal,
    elastic::{ElasticServer, Fault},
    eventually, free_port,
};

use crate::{Bench, assert_each_once, numbered};

/// The first batch meets this twice, the second once.
#[track_caller]
fn survives(fault: &Fault) {
    let (bench, server) = (Bench::with_lines(300), ElasticServer::start());
    server.fail([fault.clone(), fault.clone(), Fault::None, fault.clone(), Fault::None]);
    let output = format!("index: logs, url: '{}', timeout: 300ms", server.url());
    let sidecar = bench.ship("elasticsearch", &output, "");
    server.wait_documents(300);
    sidecar.wait_message("delivers again");
    bench.append(&(300..600).map(numbered).collect::<String>());
    server.wait_documents(600);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0, "{fault:?}");
    assert_each_once(&server.documents(), 600);
    let calls = server.calls();
    assert!((3..12).contains(&calls.len()), "{fault:?}: {} requests", calls.len());
}

#[test]
fn a_server_that_hangs_loses_nothing() {
    survives(&Fault::Hang);
}

#[test]
fn a_server_that_is_slower_than_the_timeout_loses_nothing() {
    survives(&Fault::Slow(Duration::from_millis(600)));
}

#[test]
fn a_server_that_closes_half_a_connection_loses_nothing() {
    survives(&Fault::HalfClose);
}

#[test]
fn an_answer_that_is_garbage_loses_nothing() {
    survives(&Fault::Garbage);
}

#[test]
fn an_answer_that_is_no_json_loses_nothing() {
    survives(&Fault::Html);
}

#[test]
fn an_answer_cut_short_loses_nothing() {
    survives(&Fault::Cut(40));
}

#[test]
fn an_answer_of_another_length_than_announced_loses_nothing() {
    survives(&Fault::Length(10));
    survives(&Fault::Length(1_000_000));
}

#[test]
fn an_answer_about_fewer_documents_loses_nothing() {
    survives(&Fault::Fewer(200));
}

#[test]
fn a_server_without_time_loses_nothing() {
    survives(&Fault::Status(429, "{\"error\":\"Too many requests\"}"));
    survives(&Fault::Status(503, "<html>Service Unavailable</html>"));
}

#[test]
fn a_server_that_lets_nobody_in_loses_nothing() {
    survives(&Fault::Status(401, ""));
    survives(&Fault::Status(403, "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no\"}}"));
}

#[test]
fn a_request_refused_as_a_whole_while_nothing_was_taken_yet_loses_nothing() {
    let bench = Bench::with_lines(100);
    let server = ElasticServer::failing([Fault::Status(400, "{\"error\":\"no handler found for uri [/_bulk]\"}")]);
    let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    let line = sidecar.wait_message("not delivered");
    assert!(line.field("why").contains("every request is refused: 400 no handler found"), "{}", line.raw);
    server.fail([Fault::None]);
    assert_each_once(&server.wait_documents(100), 100);
}

#[test]
fn an_answer_that_never_ends_costs_little_memory() {
    let (bench, server) = (Bench::with_lines(100), ElasticServer::start());
    server.fail([Fault::Endless, Fault::Endless, Fault::None]);
    let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    assert_each_once(&server.wait_documents(100), 100);
    sidecar.wait_message("delivers again");
    let peak = std::fs::read_to_string(format!("/proc/{}/status", sidecar.pid())).unwrap();
    let peak =
        peak.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    assert!(peak.unwrap() < 48 << 10, "{peak:?} KiB");
}

#[test]
fn a_kept_connection_that_closes_under_a_request_is_not_even_a_retry() {
    for fault in [Fault::Race, Fault::Close, Fault::CloseAfter] {
        let (bench, server) = (Bench::with_lines(50), ElasticServer::start());
        server.fail([Fault::None, fault.clone(), Fault::None]);
        let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
        server.wait_documents(50);
        bench.append(&(50..100).map(numbered).collect::<String>());
        assert_each_once(&server.wait_documents(100), 100);
        let delivered = || sidecar.metric("log_shipper_records_total{output=\"elasticsearch\"}") == Some(100.0);
        assert!(eventually(test_kit::PATIENCE, delivered));
        let retries = sidecar.metric("log_shipper_retries_total{output=\"elasticsearch\"}");
        assert_eq!(retries, Some(0.0), "{fault:?}");
    }
}

#[test]
fn the_connection_is_kept() {
    let (bench, server) = (Bench::new(), ElasticServer::start());
    let _sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    for number in 0..5 {
        bench.append(&numbered(number));
        server.wait_documents(number as usize + 1);
    }
    assert!(server.calls().iter().all(|call| call.connection == 0), "{:#?}", server.calls());
}

#[test]
fn retry_after_is_waited_for_as_seconds_and_as_a_date() {
    for is_date in [false, true] {
        let later = std::time::SystemTime::now() + Duration::from_secs(3);
        let when = if is_date { httpdate::fmt_http_date(later) } else { "2".to_owned() };
        let (bench, server) = (Bench::with_lines(10), ElasticServer::start());
        server.fail([Fault::RetryAfter(429, when.clone()), Fault::None]);
        let _sidecar = bench.elastic(&format!("url: '{}'", server.url()));
        let calls = server.wait_calls(2);
        let waited = calls[1].at - calls[0].at;
        assert!(waited >= Duration::from_millis(900), "{when}: {waited:?}");
        assert_each_once(&server.wait_documents(10), 10);
    }
}

#[test]
fn a_server_that_comes_later_is_waited_for_with_one_warning() {
    let bench = Bench::with_lines(10);
    let addr = ([127, 0, 0, 1], free_port()).into();
    let sidecar = bench.elastic(&format!("url: 'http://{addr}'"));
    let retries = || sidecar.metric("log_shipper_retries_total{output=\"elasticsearch\"}") > Some(4.0);
    assert!(eventually(test_kit::PATIENCE, retries));
    let server = ElasticServer::at(addr);
    assert_each_once(&server.wait_documents(10), 10);
    let warnings: Vec<_> = sidecar.logs().into_iter().filter(|line| line.message() == "not delivered").collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].field("why").contains("connection refused"), "{}", warnings[0].raw);
}

#[test]
fn a_name_that_nobody_knows_is_said_once_and_tried_again() {
    let bench = Bench::with_lines(10);
    let sidecar = bench.elastic("url: 'http://elasticsearch.invalid:9200'");
    let line = sidecar.wait_message("not delivered");
    assert!(line.field("why").contains("cannot resolve elasticsearch.invalid"), "{}", line.raw);
    assert!(sidecar.is_running());
    // The settings can be set right without losing anything.
    let server = ElasticServer::start();
    let output = format!("index: logs, url: '{}'", server.url());
    bench.dir.put("config.yaml", bench.settings("elasticsearch", &output, ""));
    assert_eq!(sidecar.admin_post("/-/reload").0, 200);
    assert_each_once(&server.wait_documents(10), 10);
}
