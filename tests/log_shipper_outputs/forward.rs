//! The forward protocol as it should be.

use std::fs;

use test_kit::{
    Authority, PATIENCE, Signal, eventually,
    forward::{ForwardServer, Mode, Security},
};

use crate::{Bench, QUICK, assert_all, numbered, ready};

const JSON: &str = "format: json, time: t";

/// A forward output to this server, with more settings, quick to try again.
pub(crate) fn output(server: &ForwardServer, more: &str) -> String {
    format!("- forward: {{servers: '{}'{more}}}\n  {QUICK}\n  batch_bytes: 16KiB", server.addr())
}

#[test]
fn every_mode_says_the_same() {
    for (name, mode) in [
        ("message", Mode::Message),
        ("forward", Mode::Forward),
        ("packed_forward", Mode::PackedForward),
        ("compressed_packed_forward", Mode::CompressedPackedForward),
    ] {
        for acks in [true, false] {
            let (bench, server) = (Bench::new(), ForwardServer::start());
            bench.log(
                "{\"t\":\"2026-01-02T03:04:05.678901234Z\",\"s\":\"a\\n\\u00e9\",\"n\":[-1,2.5,null,{\"b\":true}]}\n",
            );
            bench.log("no json\n");
            let more = format!(", mode: {name}, require_ack: {acks}");
            let sidecar = ready(bench.start_with(JSON, &output(&server, &more)));
            let received = server.wait_received(2);
            let wanted = serde_json::json!({"s": "a\né", "n": [-1, 2.5, null, {"b": true}]});
            assert_eq!((&received[0].record, received[0].tag.as_str(), received[0].mode), (&wanted, "app", mode));
            assert_eq!(received[0].time, (1_767_323_045, Some(678_901_234)));
            assert_eq!(received[1].record, serde_json::json!({"message": "no json"}));
            assert_eq!(received.iter().all(|one| one.chunk.is_some()), acks, "{name}");
            let delivered = || sidecar.metric("log_shipper_records_total{output=\"forward\"}") == Some(2.0);
            assert!(eventually(PATIENCE, delivered), "{name}");
        }
    }
}

#[test]
fn times_are_whole_seconds_and_the_tag_another_where_that_is_asked_for() {
    let (bench, server) = (Bench::new(), ForwardServer::start());
    bench.log("{\"t\":\"2026-01-02T03:04:05.9Z\"}\n");
    let _sidecar = ready(bench.start_with(JSON, &output(&server, ", tag: other.tag, whole_seconds: true")));
    let received = server.wait_received(1);
    assert_eq!((received[0].tag.as_str(), received[0].time), ("other.tag", (1_767_323_045, None)));
}

#[test]
fn every_line_arrives_once_and_in_order_on_one_connection() {
    let (bench, server) = (Bench::new(), ForwardServer::start());
    bench.log(&numbered(0..5000));
    let sidecar = bench.following(&output(&server, ""));
    server.wait_received(5000);
    bench.log(&numbered(5000..6000));
    server.wait_received(6000);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    assert_eq!(assert_all(&server.texts("message"), 0..6000), 0);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_connection_is_for_one_message_where_the_server_or_the_operator_says_so() {
    for (security, more) in [
        (Security::default(), ", keepalive: false"),
        (Security { shared_key: Some("k".into()), closes: true, ..Security::default() }, ", shared_key: k"),
    ] {
        let (bench, server) = (Bench::new(), ForwardServer::secured(security));
        let _sidecar = bench.following(&output(&server, more));
        for number in 0..3 {
            bench.log(&numbered(number..number + 1));
            server.wait_received(number as usize + 1);
        }
        assert_eq!((assert_all(&server.texts("message"), 0..3), server.connections()), (0, 3));
    }
}

#[test]
fn each_side_proves_that_it_knows_the_key() {
    let security = Security {
        shared_key: Some("the key".into()),
        users: vec![("us".into(), "the password".into())],
        ..Security::default()
    };
    let (bench, server) = (Bench::new(), ForwardServer::secured(security));
    let key = bench.dir.put("key", "the key\n");
    bench.log(&numbered(0..10));
    let credentials = format!(", shared_key_file: '{key}', user: us, password: the password");
    let _sidecar = bench.following(&output(&server, &credentials));
    server.wait_received(10);
    assert_eq!(assert_all(&server.texts("message"), 0..10), 0);
}

#[test]
fn what_is_wrong_with_a_key_or_a_user_is_said_and_no_record_is_given_away() {
    let secured = |users: &[(&str, &str)], lies| Security {
        shared_key: Some("right".into()),
        users: users.iter().map(|(user, password)| ((*user).into(), (*password).into())).collect(),
        lies,
        ..Security::default()
    };
    for (security, settings, said) in [
        (secured(&[], false), ", shared_key: wrong", "shared_key mismatch"),
        (secured(&[("u", "p")], false), ", shared_key: right, user: u, password: x", "username/password mismatch"),
        (secured(&[("u", "p")], false), ", shared_key: right", "is there one to set?"),
        (secured(&[], true), ", shared_key: right", "does not know the shared key"),
        (secured(&[], false), "", "set shared_key"),
        (Security::default(), ", shared_key: right, connect_timeout: 100ms", "does it want a shared key?"),
    ] {
        let (bench, server) = (Bench::new(), ForwardServer::secured(security));
        bench.log("secret\n");
        let sidecar = bench.following(&output(&server, settings));
        let line = sidecar.wait_log(|line| line.message() == "not delivered");
        assert!(line.field("why").contains(said), "{settings}: {}", line.raw);
        assert!(!sidecar.stderr().contains("right"), "{}", sidecar.stderr());
        if !settings.is_empty() {
            assert_eq!(server.received(), []);
        }
    }
}

#[test]
fn a_server_that_wants_a_key_is_heard_also_where_nothing_is_acknowledged() {
    let security = Security { shared_key: Some("k".into()), ..Security::default() };
    let (bench, server) = (Bench::new(), ForwardServer::secured(security));
    let sidecar = bench.following(&output(&server, ", require_ack: false"));
    bench.log("one\n");
    let delivered = || sidecar.metric("log_shipper_records_total{output=\"forward\"}") == Some(1.0);
    assert!(eventually(PATIENCE, delivered));
    bench.log("two\n");
    let line = sidecar.wait_log(|line| line.message() == "not delivered");
    assert!(line.field("why").contains("set shared_key"), "{}", line.raw);
}

#[test]
fn tls_goes_to_the_server_that_is_meant_and_to_no_other() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let server = || {
        let tls = Some(authority.server(&["fluentd.example", "127.0.0.1"]));
        ForwardServer::secured(Security { tls, client_authority: Some(authority.pem()), ..Security::default() })
    };
    let client = authority.client("us");
    let stranger = other.client("them");
    for (roots, pair, name, said) in [
        (&authority, Some(&client), "127.0.0.1", None),
        (&authority, Some(&client), "fluentd.example", None),
        (&authority, Some(&client), "another.example", Some("another.example")),
        (&other, Some(&client), "127.0.0.1", Some("")),
        (&authority, Some(&stranger), "127.0.0.1", Some("")),
        (&authority, None, "127.0.0.1", Some("certificate")),
    ] {
        let (bench, server) = (Bench::new(), server());
        let ca = bench.dir.put("ca.pem", roots.pem());
        let mut tls = format!("ca_file: '{ca}'");
        if let Some(pair) = pair {
            let (cert, key) = (bench.dir.put("cert.pem", &pair.certificate), bench.dir.put("key.pem", &pair.key));
            tls += &format!(", client_certificate: '{cert}', client_key: '{key}'");
        }
        bench.log(&numbered(0..10));
        let settings = output(&server, &format!(", tls_name: {name}, tls: {{{tls}}}"));
        let sidecar = bench.following(&settings);
        match said {
            None => {
                server.wait_received(10);
                assert_eq!(assert_all(&server.texts("message"), 0..10), 0);
            }
            Some(said) => {
                let line = sidecar.wait_log(|line| line.message() == "not delivered");
                let why = line.field("why");
                assert!(why.contains(said) && !why.contains("Error"), "{why}");
                assert_eq!(server.received(), []);
            }
        }
    }
}

#[test]
fn a_kill_minus_9_loses_nothing() {
    let (bench, server) = (Bench::new(), ForwardServer::start());
    bench.log(&numbered(0..30_000));
    let total = fs::metadata(bench.path("logs/app.log")).unwrap().len();
    let settings = output(&server, "");
    for kills in 1..=4 {
        let sidecar = bench.following(&settings);
        let enough = 30_000 * kills / 6;
        assert!(eventually(PATIENCE, || server.received().len() >= enough), "{enough} of {total} bytes");
        sidecar.kill9();
        sidecar.wait_exit();
    }
    let last = numbered(29_999..30_000);
    let _sidecar = bench.following(&settings);
    assert!(eventually(PATIENCE, || server.texts("message").last().is_some_and(|text| *text == last.trim_end())));
    let again = assert_all(&server.texts("message"), 0..30_000);
    assert!(again <= 4 * (16 << 10) / 20, "{again} lines came again");
}
