//! Forward servers that fail, one way or another, and what becomes of the records then.

use std::time::{Duration, Instant};

use test_kit::{
    PATIENCE, eventually,
    forward::{Fault, ForwardServer},
};

use crate::{Bench, QUICK, assert_all, forward::output, numbered};

/// Not patient, for servers that never answer.
const HASTY: &str = ", ack_timeout: 200ms, connect_timeout: 2s";

#[test]
fn whatever_a_server_does_instead_of_acknowledging_every_line_arrives_in_order() {
    for (fault, said) in [
        (Fault::NoAck, "no acknowledgement within 200ms"),
        (Fault::WrongAck, "which was not sent"),
        (Fault::CloseAfter, "it closed the connection"),
        (Fault::CloseInside, ""),
        (Fault::Garbage, "not the forward protocol"),
        (Fault::Hang, "within 200ms"),
    ] {
        let bench = Bench::new();
        let server = ForwardServer::failing([fault.clone(), fault.clone(), fault.clone(), Fault::None]);
        bench.log(&numbered(0..2000));
        let sidecar = bench.following(&output(&server, HASTY));
        let line = sidecar.wait_log(|line| line.message() == "not delivered");
        assert!(line.field("why").contains(said), "{fault:?}: {}", line.raw);
        let last = numbered(1999..2000);
        let arrived = || server.texts("message").last().is_some_and(|text| *text == last.trim_end());
        assert!(eventually(PATIENCE, arrived), "{fault:?}");
        // What it took and did not acknowledge comes again, each time.
        let again = assert_all(&server.texts("message"), 0..2000);
        assert!(again <= 3 * (16 << 10) / 20, "{fault:?}: {again} lines came again");
    }
}

#[test]
fn late_acknowledgements_count_and_nothing_is_sent_twice() {
    let bench = Bench::new();
    let server = ForwardServer::failing([Fault::LateAck(Duration::from_millis(50))]);
    bench.log(&numbered(0..3000));
    let _sidecar = bench.following(&output(&server, ""));
    server.wait_received(3000);
    assert_eq!((assert_all(&server.texts("message"), 0..3000), server.connections()), (0, 1));
}

#[test]
fn nothing_is_forgotten_before_it_is_acknowledged() {
    let bench = Bench::new();
    let server = ForwardServer::failing([Fault::NoAck]);
    bench.log(&numbered(0..10));
    let settings = output(&server, "");
    let sidecar = bench.following(&settings);
    server.wait_received(10);
    sidecar.kill9();
    sidecar.wait_exit();
    server.fail([Fault::None]);
    let _sidecar = bench.following(&settings);
    server.wait_received(20);
    assert_eq!(assert_all(&server.texts("message"), 0..10), 10);
}

#[test]
fn a_server_that_restarts_while_the_connection_is_idle_costs_no_line_and_no_warning() {
    for acks in [true, false] {
        let (bench, server) = (Bench::new(), ForwardServer::start());
        let sidecar = bench.following(&output(&server, &format!(", require_ack: {acks}")));
        for number in 0..5 {
            bench.log(&numbered(number..number + 1));
            server.wait_received(number as usize + 1);
            server.close_all();
        }
        assert_eq!(assert_all(&server.texts("message"), 0..5), 0);
        assert!(sidecar.logs().iter().all(|line| line.level() == "INFO"), "{}", sidecar.stderr());
    }
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let bench = Bench::new();
    let addr = ForwardServer::start().addr();
    bench.log(&numbered(0..100));
    let settings = format!("- forward: {{servers: ['{addr}']}}\n  {QUICK}");
    let sidecar = bench.following(&settings);
    let line = sidecar.wait_log(|line| line.message() == "not delivered");
    assert_eq!(line.field("why"), format!("{addr}: connection refused"));
    let server = ForwardServer::at(addr);
    server.wait_received(100);
    sidecar.wait_message("delivers again");
    assert_eq!(assert_all(&server.texts("message"), 0..100), 0);
}

/// To these servers, YAML list items; a batch holds few lines, so that there are many.
fn several(servers: &str) -> String {
    format!("- forward: {{servers: [{servers}]}}\n  {QUICK}\n  batch_bytes: 256")
}

#[test]
fn several_servers_get_their_shares_by_weight() {
    let (bench, one, two) = (Bench::new(), ForwardServer::start(), ForwardServer::start());
    bench.log(&numbered(0..4000));
    let servers = format!("{{address: '{}', weight: 3}}, {{address: '{}', weight: 1}}", one.addr(), two.addr());
    let _sidecar = bench.following(&several(&servers));
    let came = || one.received().len() + two.received().len();
    assert!(eventually(PATIENCE, || came() == 4000), "{}", came());
    let share = one.received().len() as f64 / 4000.0;
    assert!((0.7..0.8).contains(&share), "{share}");
}

#[test]
fn a_standby_is_for_when_the_others_fail() {
    let (bench, one, standby) = (Bench::new(), ForwardServer::start(), ForwardServer::start());
    let addr = one.addr();
    let servers = format!("'{addr}', {{address: '{}', standby: true}}", standby.addr());
    let sidecar = bench.following(&several(&servers));
    bench.log(&numbered(0..100));
    one.wait_received(100);
    assert_eq!(standby.received(), []);
    drop(one);
    bench.log(&numbered(100..200));
    standby.wait_received(100);
    let line = sidecar.wait_message("a server takes no records");
    assert_eq!(line.field("server"), addr.to_string());
    assert_eq!(assert_all(&standby.texts("message"), 100..200), 0);
    // No server failed the records: nothing had to wait.
    assert_eq!(sidecar.metric("log_shipper_retries_total{output=\"forward\"}"), Some(0.0));
}

#[test]
fn a_dead_server_among_several_costs_no_time_once_it_is_known() {
    let (bench, alive) = (Bench::new(), ForwardServer::start());
    let dead = ForwardServer::start().addr();
    let _sidecar = bench.following(&several(&format!("'{dead}', '{}'", alive.addr())));
    let begun = Instant::now();
    for number in 0..50 {
        bench.log(&numbered(number..number + 1));
        alive.wait_received(number as usize + 1);
    }
    assert_eq!(assert_all(&alive.texts("message"), 0..50), 0);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}
