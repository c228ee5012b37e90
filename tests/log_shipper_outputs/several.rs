//! Several outputs at once, each at its own pace, and what waiting costs.

use std::fs;

use test_kit::{
    HookServer, PATIENCE, Reply, eventually,
    forward::{Fault, ForwardServer},
};

use crate::{Bench, QUICK, assert_all, numbered};

#[test]
fn an_output_that_takes_nothing_holds_up_no_other_and_memory_stays_small() {
    let (bench, web) = (Bench::new(), HookServer::answering([Reply::Hang]));
    let hanging = ForwardServer::failing([Fault::Hang]);
    let dead = ForwardServer::start().addr();
    let lines = numbered(0..1_000_000);
    bench.log(&lines);
    let out = bench.path("out");
    let sidecar = bench.following(&format!(
        "- {{name: dead, forward: {{servers: '{dead}'}}, {QUICK}}}\n\
         - {{name: hanging, forward: {{servers: '{}'}}}}\n\
         - {{name: loki, loki: {{url: '{}'}}}}\n\
         - file: {{path: '{}', sync: false}}",
        hanging.addr(),
        web.url(""),
        out.display(),
    ));
    let length = || fs::metadata(&out).map_or(0, |found| found.len());
    assert!(eventually(PATIENCE, || length() == lines.len() as u64), "{} of {}", length(), lines.len());
    assert!(fs::read_to_string(&out).unwrap() == lines);
    sidecar.wait_log(|line| line.field("output") == "dead" && line.message() == "not delivered");
    let behind = |output| sidecar.metric(&format!("log_shipper_backlog_bytes{{output=\"{output}\"}}")).unwrap();
    assert_eq!([behind("dead"), behind("hanging"), behind("loki")], [lines.len() as f64; 3]);
    // Each output may hold two bodies of 1 MiB, made of as many lines; there is nothing else.
    assert!(sidecar.rss_kib() < 40 << 10, "{} KiB", sidecar.rss_kib());
}

#[test]
fn outputs_take_what_is_meant_for_them() {
    let (bench, one, two) = (Bench::new(), ForwardServer::start(), ForwardServer::start());
    let dir = bench.dir.display();
    let outputs = format!(
        "- {{name: one, tags: ['b*'], forward: {{servers: '{}'}}}}\n- {{name: two, forward: {{servers: '{}'}}}}",
        one.addr(),
        two.addr()
    );
    bench.log_to("a", &numbered(0..10));
    bench.log_to("b", &numbered(0..10));
    let text = format!(
        "state_file: {dir}/positions\ninputs:\n- {{tag: a, paths: [{dir}/logs/a.log]}}\n\
         - {{tag: bee, paths: [{dir}/logs/b.log]}}\noutputs:\n{outputs}\n"
    );
    let config = bench.dir.put("log-shipper.yaml", text);
    let start = test_kit::Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(["--config", &config]);
    let _sidecar = crate::ready(start);
    two.wait_received(20);
    one.wait_received(10);
    assert!(one.received().iter().all(|record| record.tag == "bee"));
    assert_eq!(assert_all(&one.texts("message"), 0..10), 0);
}
