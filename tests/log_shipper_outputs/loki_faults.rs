//! A Loki that takes not everything, or nothing, and what becomes of the entries then.

use std::time::Duration;

use test_kit::{PATIENCE, Reply, Sidecar, eventually, loki::LokiServer};

use crate::{Bench, QUICK, assert_all, loki::output, numbered, ready};

#[track_caller]
fn wait_metric(sidecar: &Sidecar, sample: &str, wanted: f64) {
    let value = || sidecar.metric(sample);
    assert!(eventually(PATIENCE, || value() == Some(wanted)), "{sample}: {:?}; {}", value(), sidecar.stderr());
}

fn delivered(sidecar: &Sidecar, wanted: f64) {
    wait_metric(sidecar, "log_shipper_records_total{output=\"loki\"}", wanted);
}

fn dropped(sidecar: &Sidecar, reason: &str, wanted: f64) {
    wait_metric(sidecar, &format!("log_shipper_dropped_records_total{{output=\"loki\",reason=\"{reason}\"}}"), wanted);
}

#[test]
fn whatever_goes_wrong_every_line_arrives_in_order() {
    for fault in [
        Reply::Status(500, "no".into()),
        Reply::Status(503, "no".into()),
        Reply::Status(429, "ingestion rate limit exceeded for user us".into()),
        Reply::Garbage,
        Reply::Close,
        Reply::Hang,
        Reply::Redirect("/elsewhere".into()),
    ] {
        let bench = Bench::new();
        let script = [LokiServer::taken(), fault.clone(), fault.clone(), LokiServer::taken()];
        let server = LokiServer::answering(script);
        bench.log(&numbered(0..2000));
        let sidecar = bench.following(&output(&server, ", timeout: 300ms"));
        delivered(&sidecar, 2000.0);
        // What was not taken is what comes again, before anything else.
        let pushes = server.pushes();
        let lines = |at: usize| pushes[at].entries.iter().map(|entry| (entry.time, &entry.line)).collect::<Vec<_>>();
        assert!(lines(1) == lines(2) && lines(2) == lines(3), "{fault:?}");
        assert_all(&server.lines(), 0..2000);
    }
}

#[test]
fn loki_says_how_long_to_wait() {
    let bench = Bench::new();
    let script = [Reply::Header(429, "Retry-After", "1".into()), LokiServer::taken()];
    let server = LokiServer::answering(script);
    bench.log("one\n");
    let sidecar = bench.following(&output(&server, ""));
    delivered(&sidecar, 1.0);
    let requests = server.times();
    assert!(requests[1] - requests[0] >= Duration::from_secs(1), "{:?}", requests[1] - requests[0]);
}

#[test]
fn entries_that_are_never_taken_are_counted_by_reason_and_the_others_arrive() {
    let behind = "entry with timestamp 2020-01-01 00:00:00 +0000 UTC ignored, reason: 'entry too far behind, entry \
                  timestamp is: 2020-01-01T00:00:00Z, oldest acceptable timestamp is: 2026-11-21T05:00:00Z',\n\
                  user 'us', total ignored: 3 out of 10 for stream: {job=\"x\"}";
    let order = "entry with timestamp 2020-01-01 00:00:00 +0000 UTC ignored, reason: 'entry out of order' for stream: \
                 {job=\"x\"},\nuser 'us', total ignored: 3 out of 10 for stream: {job=\"x\"}";
    let old = "3 errors like: entry for stream '{job=\"x\"}' has timestamp too old: 2020-01-01T00:00:00Z, oldest \
               acceptable timestamp is: 2026-11-14T00:00:00Z";
    let long = "max entry size '262144' bytes exceeded for stream '{job=\"x\"}' while adding an entry with length \
                '300000' bytes";
    let metadata = "10 errors like: stream '{job=\"x\"}' includes structured metadata, but this feature is disallowed.";
    for (text, reason, refused) in [
        (behind, "too_far_behind", 3),
        (order, "out_of_order", 3),
        (old, "too_old", 3),
        (long, "line_too_long", 1),
        (metadata, "structured_metadata", 10),
        ("error at least one label pair is required per stream", "labels", 10),
        ("nonsense", "rejected", 10),
    ] {
        let bench = Bench::new();
        let server = LokiServer::answering([Reply::Status(400, text.into()), LokiServer::taken()]);
        bench.log(&numbered(0..10));
        let sidecar = bench.following(&output(&server, ""));
        dropped(&sidecar, reason, f64::from(refused));
        let line = sidecar.wait_message("given up");
        assert_eq!((line.level().as_str(), line.field("reason").as_str()), ("ERROR", reason));
        bench.log(&numbered(10..20));
        delivered(&sidecar, f64::from(20 - refused));
        assert_eq!(assert_all(&server.lines(), 0..20), 0, "nothing is sent again");
    }
}

#[test]
fn a_push_that_is_too_large_is_made_smaller_until_it_is_taken() {
    let bench = Bench::new();
    let large = || Reply::Status(413, "request body too large".into());
    let server = LokiServer::answering([large(), large(), LokiServer::taken()]);
    bench.log(&numbered(0..100));
    let sidecar = bench.following(&output(&server, ""));
    delivered(&sidecar, 100.0);
    let sizes: Vec<_> = server.pushes().iter().map(|push| push.entries.len()).collect();
    assert_eq!(sizes, [100, 50, 25, 25, 50]);
    let taken: Vec<_> = server.pushes()[2..].iter().flat_map(|push| push.entries.clone()).collect();
    assert!(taken.iter().map(|entry| entry.line.as_str()).eq(numbered(0..100).lines()));
}

#[test]
fn a_single_line_that_is_too_large_is_given_up_and_the_rest_arrives() {
    let bench = Bench::new();
    let large = Reply::Status(413, "request body too large".into());
    let server = LokiServer::answering([large, LokiServer::taken()]);
    bench.log("one\n");
    let sidecar = bench.following(&output(&server, ""));
    dropped(&sidecar, "rejected", 1.0);
    bench.log("two\n");
    delivered(&sidecar, 1.0);
}

#[test]
fn a_stream_that_has_to_wait_holds_up_no_other_and_keeps_its_order() {
    for text in [
        "entry with timestamp 2026-01-01 00:00:00 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: \
         1KB/sec) while attempting to ingest for stream '{job=\"x\"}' totaling 20B',\nuser 'us', total ignored: 2 out \
         of 2 for stream: {job=\"x\"}",
        "maximum active stream limit exceeded when trying to create stream {job=\"x\"}, reduce the number of active \
         streams",
    ] {
        let bench = Bench::new();
        let refused = || Reply::Status(429, text.into());
        let server = LokiServer::answering([refused(), LokiServer::taken(), LokiServer::taken(), LokiServer::taken()]);
        bench.log("n=a1\nn=b1\nn=a2\nn=c1\n");
        // The first letter is the stream.
        let labels = ", labels: {s: '{s}'}";
        let input = "format: regex, pattern: '^n=(?<s>[a-z])'";
        let sidecar = ready(bench.start_with(input, &output(&server, labels)));
        delivered(&sidecar, 4.0);
        let pushed: Vec<Vec<_>> =
            server.pushes().iter().map(|push| push.entries.iter().map(|entry| entry.line.clone()).collect()).collect();
        let wanted = [vec!["n=a1", "n=a2"], vec!["n=b1"], vec!["n=c1"], vec!["n=a1", "n=a2"]];
        assert_eq!(pushed, wanted);
    }
}

#[test]
fn a_limit_for_everybody_is_not_hammered() {
    let bench = Bench::new();
    let refused = Reply::Status(429, "ingestion rate limit exceeded for user us (limit: 1 bytes/sec)".into());
    let server = LokiServer::answering([refused, LokiServer::taken()]);
    bench.log("n=a\nn=b\nn=c\n");
    let sidecar = ready(bench.start_with("format: logfmt", &output(&server, ", labels: {n: '{n}'}")));
    delivered(&sidecar, 3.0);
    let lines: Vec<_> = server.pushes().iter().map(|push| push.entries[0].line.clone()).collect();
    assert_eq!(lines, ["n=a", "n=a", "n=b", "n=c"]);
}

#[test]
fn a_server_that_fails_is_passed_over_while_another_works() {
    let (bench, good) = (Bench::new(), LokiServer::start());
    let dead = LokiServer::start().url();
    bench.log(&numbered(0..2000));
    let settings = format!("- loki: {{url: ['{dead}', '{}']}}\n  {QUICK}\n  batch_bytes: 16KiB", good.url());
    let sidecar = bench.following(&settings);
    delivered(&sidecar, 2000.0);
    assert_eq!(assert_all(&good.lines(), 0..2000), 0);
    assert_eq!(sidecar.metric("log_shipper_retries_total{output=\"loki\"}"), Some(0.0));
}
