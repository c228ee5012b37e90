//! h2spec: the conformance suite of HTTP/2.

use std::{process::Command, sync::Arc};

use test_kit::{Authority, Sidecar, TempDir};

use crate::{app::App, built, ours};

fn run(sidecar: &Sidecar, more: &[&str]) {
    let port = sidecar.port_of("127.0.0.1:0").to_string();
    let mut command = Command::new(built("h2spec"));
    command.args(["--strict", "-h", "127.0.0.1", "-p", &port, "-o", "5"]).args(more);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failures = said.find("Failures:").map_or("", |at| &said[at..]);
    assert!(
        said.contains(" 0 failed") && !said.contains(" 0 passed") && said.contains(" 0 skipped"),
        "{failures}\n{said}"
    );
}

#[test]
fn every_case_passes_without_tls() {
    let (dir, app) = (Arc::new(TempDir::new()), App::echo());
    let config = format!("listeners: [{{listen: \"127.0.0.1:0\", routes: [{{to: \"{}\"}}]}}]\n", app.place());
    run(&ours(&dir, &config), &[]);
}

#[test]
fn every_case_passes_over_tls() {
    let (dir, app) = (Arc::new(TempDir::new()), App::echo());
    let pair = Authority::new("test").server(&["localhost", "127.0.0.1"]);
    let (certificate, key) = (dir.put("tls.crt", &pair.certificate), dir.put("tls.key", &pair.key));
    let config = format!(
        "listeners: [{{listen: \"127.0.0.1:0\", tls: {{cert_file: {certificate}, key_file: {key}}}, routes: [{{to: \"{}\"}}]}}]\n",
        app.place()
    );
    run(&ours(&dir, &config), &["-t", "-k"]);
}
