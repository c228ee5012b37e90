//! Pushing to Loki as it should be.

use std::collections::BTreeMap;

use test_kit::{PATIENCE, Signal, eventually, loki::LokiServer};

use crate::{Bench, QUICK, assert_all, numbered, ready};

/// A Loki output to this server, with more settings, quick to try again.
pub(crate) fn output(server: &LokiServer, more: &str) -> String {
    format!("- loki: {{url: '{}'{more}}}\n  {QUICK}\n  batch_bytes: 16KiB", server.url())
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn both_forms_say_the_same() {
    for (form, compress, content_type, encoding) in [
        ("protobuf", "none", "application/x-protobuf", None),
        ("json", "none", "application/json", None),
        ("json", "gzip", "application/json", Some("gzip")),
    ] {
        let (bench, server) = (Bench::new(), LokiServer::start());
        let one =
            "{\"t\":\"2026-01-02T03:04:05.678901234Z\",\"level\":\"a\\\"b\\\\c\\nd\",\"id\":7,\"m\":\"\u{1f600}\"}";
        bench.log(&format!("{one}\nno json\n"));
        let labels = "labels: {job: x, tag: '{tag}', file: '{path}', level: '{level:none}'}";
        let more = format!(
            ", format: {form}, compress: {compress}, tenant: us, {labels}, structured_metadata: {{id: '{{id}}'}}"
        );
        let _sidecar = ready(bench.start_with("format: json, time: {field: t, keep: true}", &output(&server, &more)));
        let entries = server.wait_entries(2);
        let path = bench.path("logs/app.log");
        let labels = |level| pairs(&[("job", "x"), ("tag", "app"), ("file", path.to_str().unwrap()), ("level", level)]);
        assert_eq!(entries[0].labels, labels("a\"b\\c\nd"), "{form}");
        assert_eq!((entries[0].time, entries[0].line.as_str()), (1_767_323_045_678_901_234, one));
        assert_eq!(entries[0].metadata, pairs(&[("id", "7")]));
        assert_eq!((entries[1].line.as_str(), &entries[1].labels), ("no json", &labels("none")));
        assert_eq!(entries[1].metadata, pairs(&[]));
        let push = &server.pushes()[0];
        assert_eq!((push.content_type.as_str(), push.encoding.as_deref()), (content_type, encoding));
        assert_eq!(push.tenant.as_deref(), Some("us"));
    }
}

#[test]
fn a_line_can_be_rewritten_as_json_or_logfmt() {
    for (line, wanted) in
        [("raw", "a=1 b=\"x y\""), ("json", "{\"a\":\"1\",\"b\":\"x y\"}"), ("logfmt", "a=1 b=\"x y\"")]
    {
        let (bench, server) = (Bench::new(), LokiServer::start());
        bench.log("a=1 b=\"x y\"\n");
        let _sidecar = ready(bench.start_with("format: logfmt", &output(&server, &format!(", line: {line}"))));
        assert_eq!(server.wait_entries(1)[0].line, wanted);
    }
}

#[test]
fn every_line_arrives_once_in_order_and_each_at_a_time_of_its_own() {
    let (bench, server) = (Bench::new(), LokiServer::start());
    bench.log(&numbered(0..5000));
    let sidecar = bench.following(&output(&server, ""));
    server.wait_entries(5000);
    bench.log(&numbered(5000..6000));
    server.wait_entries(6000);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    assert_eq!(assert_all(&server.lines(), 0..6000), 0);
    let entries = server.entries();
    assert!(entries.windows(2).all(|pair| pair[0].time < pair[1].time));
}

#[test]
fn the_same_line_at_the_same_moment_is_kept_as_often_as_it_was_written() {
    let (bench, server) = (Bench::new(), LokiServer::start());
    let at = |second: u8| format!("{{\"t\":\"2026-01-02T03:04:{second:02}Z\",\"m\":1}}\n");
    bench.log(&[at(9), at(9), at(5), at(9), at(5)].concat());
    let _sidecar = ready(bench.start_with("format: json, time: t", &output(&server, "")));
    server.wait_entries(5);
    bench.log(&[at(9), at(5), at(5)].concat());
    let entries = server.wait_entries(8);
    let mut times: Vec<_> = entries[..5].iter().map(|entry| entry.time - 1_767_323_040_000_000_000).collect();
    assert_eq!(times, [5_000_000_000, 5_000_000_001, 9_000_000_000, 9_000_000_001, 9_000_000_002]);
    times = entries[5..].iter().map(|entry| entry.time - 1_767_323_040_000_000_000).collect();
    assert_eq!(times, [5_000_000_000, 5_000_000_001, 9_000_000_003]);
}

#[test]
fn a_label_that_is_different_in_every_line_does_not_flood_loki() {
    let (bench, server) = (Bench::new(), LokiServer::start());
    for id in 0..50 {
        bench.log(&format!("id={id} m=x\n"));
    }
    let more = ", labels: {job: x, id: '{id}'}, most_streams: 10";
    let sidecar = ready(bench.start_with("format: logfmt", &output(&server, more)));
    let entries = server.wait_entries(50);
    let streams: std::collections::BTreeSet<_> = entries.iter().map(|entry| entry.labels.clone()).collect();
    assert_eq!(streams.len(), 11);
    assert_eq!(entries.iter().filter(|entry| entry.labels == pairs(&[("job", "x")])).count(), 40);
    let line = sidecar.wait_log(|line| line.message().starts_with("too many different labels"));
    assert_eq!((line.level().as_str(), line.field("most").as_str()), ("WARN", "10"));
}

#[test]
fn a_record_without_any_label_gets_the_tag() {
    let (bench, server) = (Bench::new(), LokiServer::start());
    bench.log("level=info\nm=x\n");
    let _sidecar = ready(bench.start_with("format: logfmt", &output(&server, ", labels: {level: '{level}'}")));
    let entries = server.wait_entries(2);
    let labels: Vec<_> = entries.iter().map(|entry| entry.labels.clone()).collect();
    assert_eq!(labels, [pairs(&[("level", "info")]), pairs(&[("job", "app")])]);
}

#[test]
fn a_kill_minus_9_loses_nothing() {
    let (bench, server) = (Bench::new(), LokiServer::start());
    bench.log(&numbered(0..30_000));
    let settings = output(&server, "");
    for kills in 1..=4 {
        let sidecar = bench.following(&settings);
        let pushes = 8 * kills;
        server.wait_pushes(pushes);
        sidecar.kill9();
        sidecar.wait_exit();
    }
    let last = numbered(29_999..30_000);
    let _sidecar = bench.following(&settings);
    assert!(eventually(PATIENCE, || server.lines().last().is_some_and(|line| *line == last.trim_end())));
    let again = assert_all(&server.lines(), 0..30_000);
    assert!(again <= 4 * (16 << 10) / 20, "{again} lines came again");
}
