//! Who we are, and whom we trust.

use test_kit::{
    Authority, Sidecar, Signal,
    elastic::{ElasticServer, Rules},
};

use crate::Bench;

#[test]
fn proves_who_it_is_by_password_token_or_key() {
    let bench = Bench::new();
    let secret = bench.dir.put("secret", "s3cret\n");
    for (settings, header) in [
        ("user: elastic, password: pass".to_owned(), "Basic ZWxhc3RpYzpwYXNz"),
        (format!("user: elastic, password_file: {secret}"), "Basic ZWxhc3RpYzpzM2NyZXQ="),
        ("token: abc".into(), "Bearer abc"),
        (format!("api_key_file: {secret}"), "ApiKey s3cret"),
        ("headers: {Authorization: 'Custom x'}".into(), "Custom x"),
    ] {
        let rules = Rules { authorization: Some(header.into()), ..Rules::default() };
        let (bench, server) = (Bench::with_lines(1), ElasticServer::ruled(rules));
        let sidecar = bench.elastic(&format!("url: '{}', {settings}", server.url()));
        server.wait_documents(1);
        assert!(!sidecar.stderr().contains("s3cret"), "{}", sidecar.stderr());
    }
}

#[test]
fn a_password_that_is_wrong_is_said_without_showing_it_and_may_be_changed() {
    let rules = Rules { authorization: Some("Bearer new".into()), ..Rules::default() };
    let (bench, server) = (Bench::with_lines(1), ElasticServer::ruled(rules));
    let token = bench.dir.put("token", "old-token");
    let sidecar = bench.elastic(&format!("url: '{}', token_file: {token}", server.url()));
    let line = sidecar.wait_message("not delivered");
    assert!(
        line.field("why").contains("401") && line.field("why").contains("are the credentials right?"),
        "{}",
        line.raw
    );
    assert!(!sidecar.stderr().contains("old-token"));
    bench.dir.put("token", "new");
    server.wait_documents(1);
}

#[test]
fn trusts_the_authority_of_a_file_and_shows_its_own_certificate() {
    let (authority, theirs) = (Authority::new("servers"), Authority::new("clients"));
    let rules =
        Rules { tls: Some(authority.server(&["127.0.0.1"])), client_authority: Some(theirs.pem()), ..Rules::default() };
    let (bench, server) = (Bench::with_lines(3), ElasticServer::ruled(rules));
    let own = theirs.client("log-shipper");
    let ca = bench.dir.put("ca.pem", authority.pem());
    let (certificate, key) = (bench.dir.put("tls.crt", own.certificate), bench.dir.put("tls.key", own.key));
    let output = format!("url: '{}', ca_file: {ca}", server.url());
    let _sidecar = bench.elastic(&format!("{output}, client_certificate: {certificate}, client_key: {key}"));
    server.wait_documents(3);
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing() {
    let rules = Rules { tls: Some(Authority::new("somebody").server(&["127.0.0.1"])), ..Rules::default() };
    let (bench, server) = (Bench::with_lines(1), ElasticServer::ruled(rules));
    let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    let line = sidecar.wait_message("not delivered");
    assert!(line.field("why").contains("certificate"), "{}", line.raw);
    assert_eq!((server.count(), server.calls().len()), (0, 0));
}

#[test]
fn mistakes_in_the_settings_are_told_all_at_once() {
    let bench = Bench::new();
    let output = "index: Logs, url: 'ftp://a', cloud_id: 'x:***', op: update, compress: lzma, data_stream: maybe";
    let config = bench.dir.put("config.yaml", bench.settings("elasticsearch", output, ""));
    let checked = Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(["--check-config", "--config", &config]).run();
    assert_eq!(checked.code, 78);
    for wanted in
        ["expected an index name", "cloud id", "expected http or https", "create or index", "gzip, zstd or none"]
    {
        assert!(checked.stderr.contains(wanted), "{wanted}: {}", checked.stderr);
    }
}

#[test]
fn settings_that_cannot_work_do_not_replace_those_that_do() {
    let (bench, server) = (Bench::with_lines(1), ElasticServer::start());
    let sidecar = bench.elastic(&format!("url: '{}'", server.url()));
    server.wait_documents(1);
    let output = "servers: ['127.0.0.1:1'], tls: {ca_file: /nowhere/ca.pem}";
    bench.dir.put("config.yaml", bench.settings("forward", output, ""));
    sidecar.signal(Signal::HUP);
    let line = sidecar.wait_log(|line| line.message().starts_with("settings not reloaded, the old ones stay"));
    assert!(line.message().contains("/nowhere/ca.pem"), "{}", line.raw);
    bench.append("line 1\n");
    server.wait_documents(2);
}
