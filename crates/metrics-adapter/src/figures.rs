//! Metrics about this process, made of [`Facts`] when somebody asks.

use common::prometheus::{Registry, proto};
use exposition::{Family, Kind, Labels, Series, Value};

use crate::{
    facts::Facts,
    line::{Kind as LineKind, Wrong, datadog::Message},
    store::counts::Refused,
};

/// A family whose series are single numbers.
pub fn family<L: IntoIterator<Item = (&'static str, String)>>(
    name: &str,
    kind: Kind,
    help: &str,
    samples: impl IntoIterator<Item = (L, f64)>,
) -> Family {
    let series = |(labels, value): (L, f64)| Series {
        labels: Labels::new(labels),
        value: Value::Number { value, exemplar: None },
        created: None,
        timestamp: None,
    };
    Family {
        name: name.into(),
        help: Some(help.into()),
        unit: None,
        kind,
        series: samples.into_iter().map(series).collect(),
    }
}

/// One number without labels.
pub fn single(name: &str, kind: Kind, help: &str, value: u64) -> Family {
    family(name, kind, help, [([], value as f64)])
}

/// Numbers that differ by one label.
pub fn by<'l>(
    name: &str,
    help: &str,
    label: &'static str,
    samples: impl IntoIterator<Item = (&'l str, u64)>,
) -> Family {
    let samples = samples.into_iter().map(|(value, number)| ([(label, value.to_owned())], number as f64));
    family(name, Kind::Counter, help, samples)
}

/// All of ours.
pub fn families(facts: &Facts) -> Vec<Family> {
    let counts = &facts.counts;
    let counter = |name: &str, help: &str, value: u64| single(&named(name), Kind::Counter, help, value);
    let gauge = |name: &str, help: &str, value: usize| single(&named(name), Kind::Gauge, help, value as u64);
    let wrong = Wrong::ALL.map(|wrong| (wrong.reason(), counts.wrong[wrong as usize]));
    let refused = |limits: bool| {
        let some = Refused::ALL.into_iter().filter(move |refused| refused.is_limit() == limits);
        some.map(|refused| (refused.reason(), counts.refused[refused as usize]))
    };
    let kinds = LineKind::ALL.map(|kind| (kind.name(), counts.events[kind as usize]));
    let messages = Message::ALL.map(|message| (message.name(), counts.messages[message as usize]));
    let packets = [("udp", facts.udp_packets), ("unixgram", facts.unixgram_packets)];
    let drops = facts.drops.iter().map(|(addr, lost)| (addr.as_str(), *lost));
    let mut all = vec![
        counter("lines_total", "Lines that came in.", counts.lines),
        counter("samples_total", "Samples that lines had.", counts.samples),
        by(&named("events_total"), "Samples that were counted.", "type", kinds),
        by(&named("sample_errors_total"), "Samples or lines that are wrong.", "reason", wrong),
        by(&named("refused_total"), "Samples that cannot be a metric.", "reason", refused(false)),
        by(
            &named("overflow_total"),
            "Samples that came when there was no room for their series.",
            "limit",
            refused(true),
        ),
        counter("tag_errors_total", "Tags that are none.", counts.tag_errors),
        counter("dropped_total", "Samples that a rule drops.", counts.dropped),
        counter("unmapped_total", "Samples that no rule matches.", counts.unmapped),
        by(&named("messages_total"), "Messages of DogStatsD that are no metrics.", "type", messages),
        by(&named("packets_total"), "Packets that came in.", "transport", packets),
        by(&named("kernel_drops_total"), "Packets that the kernel threw away: the buffer was full.", "listener", drops),
        counter("connections_total", "Connections that were accepted.", facts.connections),
        counter("connection_errors_total", "Connections that failed.", facts.connection_errors),
        counter("long_lines_total", "Lines on connections that are longer than lines may be.", facts.long_lines),
        counter("expired_series_total", "Series that ended because nothing came for them.", counts.expired),
        gauge("series", "Series there are.", facts.size.series),
        gauge("names", "Names there are.", facts.size.families),
        gauge("keys", "Different lines that are known.", facts.size.keys),
        gauge("series_bytes", "Memory that series take.", facts.size.bytes),
        gauge("series_limit_bytes", "Memory that series may take.", facts.memory_limit),
        gauge("mapping_rules", "Rules of the mapping.", facts.mappings),
    ];
    let replaced = counts.replaced.iter().map(|((name, label), times)| {
        ([("metric_name", name.to_string()), ("label", label.to_string())], *times as f64)
    });
    all.push(family(
        &named("replaced_label_values_total"),
        Kind::Counter,
        "Label values that were one too many, and replaced.",
        replaced,
    ));
    let relays = |number: fn(&crate::facts::Passed) -> u64| {
        facts.relays.iter().map(move |relay| (relay.target.as_str(), number(relay))).collect::<Vec<_>>()
    };
    if !facts.relays.is_empty() {
        let mut passed = |name: &str, help: &str, number| all.push(by(&named(name), help, "target", relays(number)));
        passed("relay_lines_total", "Lines that were passed on.", |relay| relay.lines);
        passed("relay_packets_total", "Packets that were passed on.", |relay| relay.packets);
        passed("relay_long_lines_total", "Lines that are too long to be passed on.", |relay| relay.long_lines);
        passed("relay_lost_packets_total", "Packets that the target did not take.", |relay| relay.lost_packets);
    }
    all.retain(|family| !family.series.is_empty());
    all
}

fn named(suffix: &str) -> String {
    format!("metrics_adapter_{suffix}")
}

/// What every sidecar has.
pub fn of_registry(registry: &Registry) -> Vec<Family> {
    registry.gather().iter().map(converted).collect()
}

fn converted(family: &proto::MetricFamily) -> Family {
    let kind = match family.get_field_type() {
        proto::MetricType::COUNTER => Kind::Counter,
        proto::MetricType::GAUGE => Kind::Gauge,
        _ => Kind::Unknown,
    };
    let series = |metric: &proto::Metric| {
        let labels = metric.get_label().iter().map(|label| (label.name(), label.value()));
        let value = match kind {
            Kind::Counter => metric.get_counter().get_value(),
            _ => metric.get_gauge().get_value(),
        };
        let value = Value::Number { value, exemplar: None };
        Series { labels: Labels::new(labels), value, created: None, timestamp: None }
    };
    Family {
        name: family.name().into(),
        help: Some(family.help().into()),
        unit: None,
        kind,
        series: family.get_metric().iter().map(series).collect(),
    }
}
