//! Several servers that are as good as each other.

use test_kit::{
    elastic::{ElasticServer, Fault, Rules},
    free_port,
};

use crate::{Bench, numbered};

#[test]
fn servers_take_turns() {
    let (bench, one, two) = (Bench::new(), ElasticServer::start(), ElasticServer::start());
    let _sidecar = bench.elastic(&format!("url: ['{}', '{}']", one.url(), two.url()));
    for number in 0..6 {
        bench.append(&numbered(number));
        assert!(test_kit::eventually(test_kit::PATIENCE, || one.count() + two.count() == number as usize + 1));
    }
    assert_eq!((one.count(), two.count()), (3, 3));
}

#[test]
fn one_that_fails_is_passed_over_and_said_once() {
    let (bench, good, bad) = (Bench::new(), ElasticServer::start(), ElasticServer::failing([Fault::Status(503, "")]));
    let gone = format!("http://127.0.0.1:{}", free_port());
    let sidecar = bench.elastic(&format!("url: ['{gone}', '{}', '{}']", bad.url(), good.url()));
    for number in 0..5 {
        bench.append(&numbered(number));
        good.wait_documents(number as usize + 1);
    }
    assert_eq!(bad.calls().len(), 1);
    let said = sidecar.logs().into_iter().filter(|line| line.message() == "a server takes no records");
    assert_eq!(said.map(|line| line.field("server")).filter(|server| server.contains("_bulk")).count(), 2);
    assert_eq!(sidecar.metric("log_shipper_retries_total{output=\"elasticsearch\"}"), Some(0.0));
}

#[test]
fn the_path_of_the_url_comes_first() {
    let rules = Rules { path: "/es/cluster".into(), ..Rules::default() };
    let (bench, server) = (Bench::with_lines(1), ElasticServer::ruled(rules));
    let _sidecar = bench.elastic(&format!("url: '{}/es', path: cluster", server.url()));
    server.wait_documents(1);
}

#[test]
fn a_server_that_does_not_know_short_answers_is_asked_for_long_ones() {
    let (bench, server) = (Bench::with_lines(5), ElasticServer::start());
    let unknown = "{\"error\":{\"reason\":\"request [/_bulk] contains unrecognized parameter: [filter_path]\"}}";
    server.fail([Fault::Status(400, unknown), Fault::None]);
    let _sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    server.wait_documents(5);
    bench.append(&numbered(5));
    server.wait_documents(6);
    let paths: Vec<_> = server.calls().into_iter().map(|call| call.path).collect();
    assert!(paths[0].contains("filter_path") && paths[1..].iter().all(|path| path == "/_bulk"), "{paths:?}");
}
