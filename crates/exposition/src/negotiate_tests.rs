//! Who gets what.

use super::*;

fn negotiated(accept: &str) -> String {
    negotiate(accept, Offer::default()).content_type()
}

#[test]
fn a_reader_gets_what_it_prefers() {
    let text = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=";
    let protobuf =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=";
    for (accept, expected) in [
        ("", text.to_owned()),
        ("*/*", text.to_owned()),
        ("text/html,application/xml;q=0.9", text.to_owned()),
        ("text/plain", text.to_owned()),
        ("text/plain;version=0.0.4;q=0", text.to_owned()),
        ("application/openmetrics-text", format!("{open}underscores")),
        ("application/openmetrics-text; version=2.0.0", text.to_owned()),
        ("application/openmetrics-text; version=0.0.1, text/plain", open.replace("1.0.0", "0.0.1") + "underscores"),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.6", format!("{open}underscores")),
        ("text/plain, application/openmetrics-text", text.to_owned()),
        ("application/openmetrics-text;version=1.0.0;escaping=dots", format!("{open}dots")),
        ("application/openmetrics-text;version=1.0.0;escaping=nonsense", format!("{open}underscores")),
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8".to_owned(),
        ),
        // As Prometheus 3 asks, with native histograms and without.
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            format!("{protobuf}underscores"),
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            format!("{open}allow-utf-8"),
        ),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", text.to_owned()),
        ("application/vnd.google.protobuf;proto=other;encoding=delimited", text.to_owned()),
    ] {
        assert_eq!(negotiated(accept), expected, "{accept}");
    }
}

#[test]
fn what_is_not_offered_is_not_given() {
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;q=0.5";
    let shape = |openmetrics, protobuf| negotiate(accept, Offer { openmetrics, protobuf }).shape;
    assert_eq!(shape(OpenMetrics::Preferred, true), Shape::Protobuf);
    assert_eq!(shape(OpenMetrics::Preferred, false), Shape::OpenMetrics);
    assert_eq!(shape(OpenMetrics::Never, false), Shape::Text);
    assert_eq!(shape(OpenMetrics::Alone, false), Shape::OpenMetrics);
    let with_text = negotiate(
        "application/openmetrics-text,text/plain;q=0.1",
        Offer { openmetrics: OpenMetrics::Alone, protobuf: true },
    );
    assert_eq!(with_text.shape, Shape::Text);
}

#[test]
fn a_body_is_compressed_for_who_asks() {
    for (accept, expected) in [
        ("", Coding::Plain),
        ("*", Coding::Plain),
        ("identity", Coding::Plain),
        ("gzip", Coding::Gzip),
        ("gzip;q=0", Coding::Plain),
        ("gzip, zstd", Coding::Zstd),
        ("gzip;q=1.0, zstd;q=0.5", Coding::Gzip),
        ("br, deflate, GZIP", Coding::Gzip),
    ] {
        assert_eq!(coding(accept), expected, "{accept}");
    }
}
