//! Settings of the forward output.

use super::*;

#[test]
fn addresses_are_read_as_people_type_them() {
    for (text, host, port) in [
        ("fluentd", "fluentd", 24224),
        ("fluentd:1", "fluentd", 1),
        ("10.0.0.1", "10.0.0.1", 24224),
        ("10.0.0.1:9", "10.0.0.1", 9),
        ("::1", "::1", 24224),
        ("[::1]", "::1", 24224),
        ("[::1]:24", "::1", 24),
    ] {
        assert_eq!(text.parse(), Ok(Address::Tcp(host.into(), port)), "{text}");
    }
    assert_eq!("unix:/run/a.sock".parse(), Ok(Address::Unix("/run/a.sock".into())));
    for text in ["", ":", ":24224", "a b", "http://a:1", "a:0", "a:x", "a:70000", "[a]:1", "::x"] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

#[test]
fn addresses_are_shown_as_they_can_be_typed() {
    for text in ["fluentd:24224", "[::1]:24", "unix:/run/a.sock"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
}

fn problems(text: &str) -> Vec<String> {
    let outcome = common::config::parse("f", text, |root| {
        root.section("forward").map(|mut section| read(&mut section));
    });
    outcome.err().map(|failure| failure.problems).unwrap_or_default()
}

#[test]
fn settings_are_checked_all_at_once() {
    assert_eq!(problems("forward: {servers: fluentd}"), [""; 0]);
    assert_eq!(problems("forward: {servers: [a, b:1], shared_key: '', user: u, password: p, tls: {}}"), [""; 0]);
    let found = problems("forward:\n  user: u\n  mode: fast\n  servers:\n  - {address: 'a:0', weight: 0}\n");
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(problems("forward: {}")[0].contains("servers: required"));
}
