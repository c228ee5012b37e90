//! What readers get, by what they ask for: read back by our own readers, which the vectors of the standard judge.

use std::io::Read;

use exposition::{Family, Kind, Value, read_openmetrics, read_protobuf, read_text};
use test_kit::{Sidecar, TempDir, http};

use crate::{configured, send, wait_metric};

const MAPPING: &str = "\
mappings:
- {match: request.*, name: request_seconds, labels: {path: $1}, observer_type: histogram}
- {match: cache.*, name: cache_hits_total, labels: {cache: $1}}
";

const PACKETS: [&str; 5] =
    ["cache.a:3|c\ncache.b:1|c", "request.x:30|ms\nrequest.x:700|ms", "temp:21.5|g", "load:1|h\nload:3|h", "plain:2|c"];

fn adapter(dir: &TempDir) -> Sidecar {
    let mapping = dir.put("mapping.yaml", MAPPING);
    let sidecar = configured(dir, &format!("mapping: {mapping}\n"));
    send(&sidecar, &PACKETS);
    wait_metric(&sidecar, "plain", 2.0);
    wait_metric(&sidecar, "load_count", 2.0);
    sidecar
}

/// Headers in lower case, and the body as it is. By HTTP/1.0, which has no chunks.
fn scraped(sidecar: &Sidecar, headers: &str) -> (String, Vec<u8>) {
    let request = format!("GET /metrics HTTP/1.0\r\n{headers}\r\n");
    let answer = http::raw(sidecar.admin(), request.as_bytes()).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase(), answer[end + 4..].to_vec())
}

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

#[track_caller]
fn family<'f>(families: &'f [Family], name: &str) -> &'f Family {
    families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("{name} is not there"))
}

/// What must be the same in all formats.
#[track_caller]
fn has_what_was_sent(families: &[Family]) {
    let hits = family(families, "cache_hits_total");
    assert_eq!(hits.kind, Kind::Counter);
    let values: Vec<_> = hits.series.iter().map(|series| (series.labels.text(), &series.value)).collect();
    let number = |value| Value::Number { value, exemplar: None };
    assert_eq!(values, [("cache=\"a\"", &number(3.0)), ("cache=\"b\"", &number(1.0))]);
    assert_eq!(family(families, "temp").series[0].value, number(21.5));
    let Value::Summary { count, sum, quantiles } = &family(families, "load").series[0].value else {
        panic!("a summary")
    };
    assert_eq!((*count, *sum, quantiles.len()), (Some(2.0), Some(4.0), 3));
    let Value::Histogram { count, buckets, .. } = &family(families, "request_seconds").series[0].value else {
        panic!("a histogram")
    };
    let at = |upper| buckets.iter().find(|bucket| bucket.upper == upper).unwrap().cumulative;
    assert_eq!((*count, at(0.025), at(0.05), at(1.0)), (Some(2.0), 0.0, 1.0, 2.0));
}

#[test]
fn text_is_what_everybody_gets() {
    let dir = TempDir::new();
    let sidecar = adapter(&dir);
    for headers in ["", "Accept: */*\r\n", "Accept: text/html\r\n", "Accept: text/plain;version=0.0.4\r\n"] {
        let (head, body) = scraped(&sidecar, headers);
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{headers}: {head}");
        let families = read_text(&text(body)).unwrap();
        has_what_was_sent(&families);
        assert_eq!(family(&families, "plain").kind, Kind::Counter);
    }
}

#[test]
fn openmetrics_is_as_the_standard_says() {
    let dir = TempDir::new();
    let sidecar = adapter(&dir);
    let (head, body) = scraped(&sidecar, "Accept: application/openmetrics-text; version=1.0.0,text/plain;q=0.5\r\n");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
    let body = text(body);
    let families = read_openmetrics(&body).unwrap_or_else(|problem| panic!("{problem}\n{body}"));
    has_what_was_sent(&families);
    assert!(body.ends_with("# EOF\n") && body.contains("cache_hits_created{cache=\"a\"} "), "{body}");
    // A name must not depend on the format.
    assert_eq!(family(&families, "plain").kind, Kind::Unknown);
}

#[test]
fn protobuf_has_native_histograms() {
    let dir = TempDir::new();
    let sidecar = adapter(&dir);
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let (head, body) = scraped(&sidecar, &format!("Accept: {accept};q=0.7,text/plain;q=0.3\r\n"));
    assert!(head.contains("content-type: application/vnd.google.protobuf; proto=io.prometheus.client"), "{head}");
    let families = read_protobuf(&body).unwrap();
    has_what_was_sent(&families);
    let Value::Histogram { native: Some(native), .. } = &family(&families, "request_seconds").series[0].value else {
        panic!("expected a native histogram")
    };
    let observed: f64 = native.positive.iter().map(|(_, count)| count).sum();
    assert_eq!((native.schema, observed), (3, 2.0));
}

#[test]
fn bodies_are_compressed_for_those_who_ask() {
    let dir = TempDir::new();
    let sidecar = adapter(&dir);
    let (head, body) = scraped(&sidecar, "Accept-Encoding: gzip\r\n");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut plain = String::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut plain).unwrap();
    has_what_was_sent(&read_text(&plain).unwrap());
    let (head, body) = scraped(&sidecar, "Accept-Encoding: gzip, zstd\r\n");
    assert!(head.contains("content-encoding: zstd"), "{head}");
    has_what_was_sent(&read_text(&text(zstd::decode_all(body.as_slice()).unwrap())).unwrap());
    let (head, _) = scraped(&sidecar, "Accept-Encoding: identity\r\n");
    assert!(!head.contains("content-encoding"), "{head}");
}

#[test]
fn readers_of_the_peer_get_what_they_got_from_it() {
    let flags = ["--web.listen-address=127.0.0.1:0", "--statsd.listen-udp=127.0.0.1:0", "--statsd.listen-tcp="];
    let sidecar = crate::adapter().argv0("statsd_exporter").own_admin().args(flags).spawn();
    sidecar.wait_message("ready");
    let kind = |accept: &str| {
        let (head, _) = scraped(&sidecar, &format!("Accept: {accept}\r\n"));
        head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default().to_owned()
    };
    // As Prometheus asks, which would call its series differently if it got OpenMetrics now.
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    assert!(kind(prometheus).starts_with("text/plain; version=0.0.4"), "{}", kind(prometheus));
    assert!(kind("application/openmetrics-text").starts_with("application/openmetrics-text; version=1.0.0"));
}
