//! Settings and bodies of the Loki output.

use super::*;

#[test]
fn the_path_is_added_where_it_is_missing() {
    for (base, url) in [
        ("http://loki:3100", "http://loki:3100/loki/api/v1/push"),
        ("http://loki:3100/", "http://loki:3100/loki/api/v1/push"),
        ("http://gateway/logs?a=b", "http://gateway/logs/loki/api/v1/push?a=b"),
        ("http://loki:3100/loki/api/v1/push", "http://loki:3100/loki/api/v1/push"),
        ("http://gateway/api/prom/push?a=b", "http://gateway/api/prom/push?a=b"),
    ] {
        assert_eq!(endpoint(base), url);
    }
}

fn problems(text: &str) -> Vec<String> {
    let outcome = common::config::parse("f", text, |root| {
        root.section("loki").map(|mut section| read(&mut section));
    });
    outcome.err().map(|failure| failure.problems).unwrap_or_default()
}

#[test]
fn settings_are_checked_all_at_once() {
    assert_eq!(problems("loki: {url: 'http://l:3100', labels: {a: '{tag}', b: 'x'}, tenant: t}"), [""; 0]);
    let found = problems(
        "loki:\n  url: 'http://l'\n  labels: {a-b: x, c: '{'}\n  line: tree\n  compress: gzip\n  streams_per_push: 0\n",
    );
    assert_eq!(found.len(), 5, "{found:#?}");
}
